"""What comes in from outside and what sessions share: events, triggers, outcomes, values, connections."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.add_column("sessions", sa.Column("event_form", sa.Integer, nullable=False, server_default="0"))
    op.add_column("sessions", sa.Column("on_parent_end", sa.String, nullable=False, server_default=""))
    op.add_column("sessions", sa.Column("memo", sa.Text))
    op.add_column("sessions", sa.Column("status", sa.LargeBinary))
    op.create_index("sessions_of_parent", "sessions", ["parent_id"], sqlite_where=sa.text("parent_id != ''"))
    op.create_index("sessions_of_event", "sessions", ["event_id"], sqlite_where=sa.text("event_id != ''"))
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("event_id", sa.String, nullable=False, unique=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("source_type", sa.String, nullable=False),
        sa.Column("event_type", sa.String, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("dedup", sa.String),
        sa.Column("memo", sa.Text, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("events_by_source", "events", ["project", "source", "seq"])
    op.create_index("events_once", "events", ["project", "source", "dedup"], unique=True)
    op.create_index("events_by_time", "events", ["created_us"])
    op.create_table(
        "dispatches",
        sa.Column("event_seq", sa.BigInteger, sa.ForeignKey("events.seq"), primary_key=True, autoincrement=False),
        sa.Column("trigger_name", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("session_id", sa.String, nullable=False),
        sa.Column("group_key", sa.String, nullable=False),
        sa.Column("due_us", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("dispatches_open", "dispatches", ["due_us"], sqlite_where=sa.text("state = 'pending'"))
    op.create_index("dispatches_started", "dispatches", ["event_seq"], sqlite_where=sa.text("state = 'started'"))
    op.create_index("dispatches_of_session", "dispatches", ["session_id"], sqlite_where=sa.text("session_id != ''"))
    op.create_table(
        "triggers",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("type", sa.String, nullable=False),
        sa.Column("slug", sa.String, nullable=False, unique=True),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("last_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "subscriptions",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("subscription_id", sa.String, primary_key=True),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("source", sa.String, nullable=False),
        sa.Column("filter", sa.String, nullable=False),
        sa.Column("after_seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("subscriptions_by_source", "subscriptions", ["project", "source"])
    op.create_table(
        "outcomes",
        sa.Column("event_id", sa.String, primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("session_id", sa.String, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "shared_values",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("published", sa.Boolean, nullable=False),
        sa.Column("set_us", sa.BigInteger, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "connections",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("integration", sa.String, nullable=False),
        sa.Column("slug", sa.String, nullable=False, unique=True),
        sa.Column("set_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )

"""The first schema. History: never edited, whatever tables.py becomes."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _create_store()
    _create_sessions()
    _create_histories()


def _create_store() -> None:
    op.create_table("meta", sa.Column("name", sa.String, primary_key=True), sa.Column("value", sa.Text, nullable=False))
    op.create_table(
        "projects",
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("created_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "builds",
        sa.Column("digest", sa.String, primary_key=True),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("exports", sa.Text, nullable=False),
        sa.Column("manifest", sa.Text, nullable=False),
    )
    op.create_table(
        "deployments",
        sa.Column("deployment_id", sa.String, primary_key=True),
        sa.Column("project", sa.String, sa.ForeignKey("projects.name"), nullable=False),
        sa.Column("build_id", sa.String, sa.ForeignKey("builds.digest"), nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("vars", sa.Text, nullable=False),
        sa.Column("settings", sa.Text, nullable=False),
    )
    op.create_index("deployments_by_project", "deployments", ["project", "state"])


def _create_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("session_id", sa.String, primary_key=True),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("created_us", sa.BigInteger, nullable=False),
        sa.Column("ended_us", sa.BigInteger),
        sa.Column("wake_at_us", sa.BigInteger),
        sa.Column("project", sa.String, nullable=False),
        sa.Column("build_id", sa.String, nullable=False),
        sa.Column("deployment_id", sa.String, nullable=False),
        sa.Column("entry_point", sa.String, nullable=False),
        sa.Column("durable", sa.Boolean, nullable=False),
        sa.Column("hash_seed", sa.BigInteger, nullable=False),
        sa.Column("parent_id", sa.String, nullable=False),
        sa.Column("event_id", sa.String, nullable=False),
        sa.Column("forked_from", sa.String, nullable=False),
        sa.Column("origin_id", sa.String, nullable=False),
        sa.Column("stop_requested", sa.Text),
        sa.Column("waiting", sa.LargeBinary),
        sa.Column("event", sa.LargeBinary, nullable=False),
        sa.Column("result", sa.LargeBinary),
        sa.Column("error", sa.LargeBinary),
        sa.Column("divergence", sa.LargeBinary),
    )
    alive = sa.text("ended_us IS NULL")
    op.create_index("sessions_by_time", "sessions", ["created_us", "session_id"])
    op.create_index("sessions_by_project", "sessions", ["project", "created_us", "session_id"])
    op.create_index("sessions_alive", "sessions", ["session_id"], sqlite_where=alive)
    op.create_index("sessions_to_wake", "sessions", ["wake_at_us"], sqlite_where=sa.text("wake_at_us IS NOT NULL"))
    op.create_index("sessions_of_deployment", "sessions", ["deployment_id"], sqlite_where=alive)


def _create_histories() -> None:
    op.create_table(
        "entries",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "logs",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("ordinal", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("idx", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("line", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "signals",
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("n", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        sa.Column("at_us", sa.BigInteger, nullable=False),
        sa.Column("consumed_seq", sa.BigInteger),
        sqlite_with_rowid=False,
    )

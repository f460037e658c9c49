"""Which subscriptions had an event."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("event_seq", sa.BigInteger, sa.ForeignKey("events.seq"), primary_key=True, autoincrement=False),
        sa.Column("session_id", sa.String, sa.ForeignKey("sessions.session_id"), primary_key=True),
        sa.Column("subscription_id", sa.String, primary_key=True),
        sa.Column("taken_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("deliveries_of_session", "deliveries", ["session_id"])

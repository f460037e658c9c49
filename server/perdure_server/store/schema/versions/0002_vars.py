"""Variables that are set outside the manifest, secret ones encrypted."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "vars",
        sa.Column("project", sa.String, primary_key=True),
        sa.Column("name", sa.String, primary_key=True),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("secret", sa.Boolean(create_constraint=False), nullable=False),
        sa.Column("key_id", sa.String, nullable=False),
        sa.Column("set_us", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )

"""Brings an older database to the newest schema. Imported only when there is one."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlalchemy.pool import NullPool

from perdure_server.store.schema import HEAD


def upgrade(url: str, revision: str = HEAD) -> None:
    """Run all migrations up to `revision` on the database at `url` (an SQLAlchemy URL), each in its own transaction."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

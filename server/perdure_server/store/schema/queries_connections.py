"""Statements about connections. As `queries`."""

from typing import Final

from sqlalchemy import bindparam, delete, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.sql import ClauseElement

from perdure_server.store.schema.outside import connections

_new = upsert(connections)
_one = (connections.c.project == bindparam("project"), connections.c.name == bindparam("name"))

STATEMENTS: Final[dict[str, tuple[str, ClauseElement]]] = {
    "PUT_CONNECTION": (
        "a connection, new or changed; its slug stays",
        _new.on_conflict_do_update(
            index_elements=["project", "name"],
            set_={name: _new.excluded[name] for name in ("integration", "set_us")},
        ),
    ),
    "CONNECTION": ("one connection", select(connections).where(*_one)),
    "CONNECTION_BY_SLUG": (
        "the connection that a service calls by this URL",
        select(connections).where(connections.c.slug == bindparam("slug")),
    ),
    "CONNECTIONS": (
        "a project's connections",
        select(connections).where(connections.c.project == bindparam("project")).order_by(connections.c.name),
    ),
    "DELETE_CONNECTION": ("a connection is removed", delete(connections).where(*_one)),
}

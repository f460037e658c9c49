"""Connections as they are kept. Their values are variables of the project, NAME__KEY."""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

from perdure_server.store import statements_connections as sql

Parameters = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ConnectionRow:
    """`slug` is in the URL that the service sends events to."""

    project: str
    name: str
    integration: str
    slug: str
    set_us: int


class ConnectionReads:
    """The part of `base.Reads`."""

    @abstractmethod
    def _rows(self, statement: str, parameters: Parameters) -> list[sqlite3.Row]: ...

    def connections(self, project: str) -> list[ConnectionRow]:
        return [ConnectionRow(**dict(row)) for row in self._rows(sql.CONNECTIONS, {"project": project})]

    def connection(self, project: str, name: str) -> ConnectionRow | None:
        rows = self._rows(sql.CONNECTION, {"project": project, "name": name})
        return ConnectionRow(**dict(rows[0])) if rows else None

    def connection_by_slug(self, slug: str) -> ConnectionRow | None:
        rows = self._rows(sql.CONNECTION_BY_SLUG, {"slug": slug})
        return ConnectionRow(**dict(rows[0])) if rows else None


class ConnectionWrites:
    """The part of `base.Transaction`."""

    _connection: sqlite3.Connection

    def put_connection(self, row: ConnectionRow) -> None:
        self._connection.execute(sql.PUT_CONNECTION, asdict(row))

    def delete_connection(self, project: str, name: str) -> bool:
        return self._connection.execute(sql.DELETE_CONNECTION, {"project": project, "name": name}).rowcount > 0

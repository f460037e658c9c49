"""Rows of what sessions share and say: stored values, outcomes, and the ties of parents and children."""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any, Final

from perdure_server.store import statements_values as sql

_ALL: Final = -1
_RETIRED: Final = ""  # the name of the row that keeps the highest version that was ever deleted; no key is empty


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A value of a project's key-value store."""

    project: str
    name: str
    version: int  # rises with every change, and is never used again for this key
    published: bool
    set_us: int
    value: bytes = b""  # JSON; left out of lists


@dataclass(frozen=True, slots=True)
class OutcomeRow:
    """What a session answered to whoever waits for the outcomes of an event."""

    event_id: str
    n: int  # from 1
    session_id: str
    at_us: int
    value: bytes  # JSON


@dataclass(frozen=True, slots=True)
class Bereaved:
    """A living session whose parent has ended. `policy`: "terminate" or "request_cancel"."""

    session_id: str
    policy: str


class ValueReads:
    """The part of `base.Reads` that concerns these tables."""

    @abstractmethod
    def _rows(self, statement: str, parameters: dict[str, Any]) -> list[sqlite3.Row]: ...

    def stored_value(self, project: str, name: str) -> StoredRow | None:
        rows = self._rows(sql.VALUE, {"project": project, "name": name})
        return _stored(rows[0]) if rows else None

    def stored_values(self, project: str, prefix: str = "") -> list[StoredRow]:
        rows = self._rows(sql.VALUES_LISTED, {"project": project, "prefix": prefix})
        return [_stored(row, project=project) for row in rows]

    def stored_count(self, project: str) -> int:
        return _number(self._rows(sql.VALUE_COUNT, {"project": project}))

    def retired_version(self, project: str) -> int:
        row = self.stored_value(project, _RETIRED)
        return row.version if row else 0

    def outcomes(self, event_id: str, after_n: int = 0, limit: int = _ALL) -> list[OutcomeRow]:
        rows = self._rows(sql.OUTCOMES, {"event_id": event_id, "after_n": after_n, "limit": limit})
        return [OutcomeRow(**dict(row)) for row in rows]

    def project_of_event(self, event_id: str) -> str | None:
        rows = self._rows(sql.PROJECT_OF_EVENT, {"event_id": event_id})
        return rows[0][0] if rows else None

    def project_bytes(self, project: str) -> int:
        return sum(row[0] for row in self._rows(sql.PROJECT_BYTES, {"project": project}))

    def answers_open(self, event_id: str) -> bool:
        return any(row[0] for row in self._rows(sql.ANSWERS_OPEN, {"event_id": event_id}))

    def children(self, parent_id: str) -> int:
        return _number(self._rows(sql.CHILDREN, {"parent_id": parent_id}))

    def living(self, deployment_id: str, most: int) -> int:
        return _number(self._rows(sql.LIVING, {"of_deployment": deployment_id, "most": most}))

    def bereaved(self, parent_id: str = "") -> list[Bereaved]:
        rows = self._rows(sql.BEREAVED_OF, {"parent_id": parent_id}) if parent_id else self._rows(sql.BEREAVED, {})
        return [Bereaved(row[0], row[1]) for row in rows]

    def has_had_signal(self, session_id: str, name: str) -> bool:
        return _number(self._rows(sql.SIGNALS_NAMED, {"session_id": session_id, "name": name})) > 0

    def signals_waiting(self, session_id: str) -> tuple[int, int]:
        count, size = self._rows(sql.SIGNALS_WAITING, {"session_id": session_id})[0]
        return count, size


class ValueWrites(ValueReads):
    """The part of `base.Transaction` that concerns these tables."""

    _connection: sqlite3.Connection

    def put_value(self, row: StoredRow) -> None:
        self._connection.execute(sql.PUT_VALUE, asdict(row))

    def delete_value(self, project: str, name: str) -> bool:
        gone = self._connection.execute(sql.DELETE_VALUE, {"project": project, "name": name}).fetchall()
        for row in gone:
            retired = StoredRow(project, _RETIRED, row["version"], published=False, set_us=row["set_us"])
            self._connection.execute(sql.RETIRE_VERSION, asdict(retired))
        return bool(gone)

    def _copy_ends(self, parameters: dict[str, Any]) -> None:
        self._connection.execute(sql.COPY_ENDS, parameters)

    def add_outcome(self, event_id: str, session_id: str, value: bytes, at_us: int) -> int:
        row = {"event_id": event_id, "session_id": session_id, "at_us": at_us, "value": value}
        return _number(self._connection.execute(sql.ADD_OUTCOME, row).fetchall())


def _stored(row: sqlite3.Row, **more: str) -> StoredRow:
    columns = dict(row) | more
    columns["published"] = bool(columns["published"])
    return StoredRow(**columns)


def _number(rows: list[sqlite3.Row]) -> int:
    number: int = rows[0][0]
    return number

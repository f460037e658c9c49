"""Every read, on whatever runs a statement: the store's own connections, or a transaction."""

from __future__ import annotations

import json
import sqlite3
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Final

from perdure_server.core.errors import PerdureError
from perdure_server.store import statements as sql
from perdure_server.store.connections import ConnectionReads
from perdure_server.store.events import EventReads
from perdure_server.store.lifecycle import LifecycleReads
from perdure_server.store.model import (
    SIGNAL_HELD_BYTES,
    Build,
    Deployment,
    InviteRow,
    JoinedHost,
    LogPosition,
    LogRow,
    SessionRecord,
    SignalRow,
    TokenRow,
    VarRow,
)
from perdure_server.store.subscriptions import SubscriptionReads
from perdure_server.store.values import ValueReads

_ALL: Final = -1  # LIMIT -1 is none
_MAX_US: Final = 2**63 - 1
_NAMED_STATES: Final = 8  # in SESSIONS
Parameters = dict[str, Any]


class SqliteReads(ConnectionReads, EventReads, LifecycleReads, SubscriptionReads, ValueReads):
    """Implements `base.Reads`."""

    @abstractmethod
    def _rows(self, statement: str, parameters: Parameters) -> list[sqlite3.Row]: ...

    def load_session(self, session_id: str) -> SessionRecord | None:
        rows = self._rows(sql.SESSION, {"session_id": session_id})
        return _session(rows[0]) if rows else None

    def list_sessions(
        self, project: str = "", states: Sequence[str] = (), limit: int = 100, before: str = ""
    ) -> list[SessionRecord]:
        before_us = _MAX_US
        if before:
            last = self.load_session(before)
            if last is None:
                raise PerdureError("P0204", f"unknown session {before!r}")
            before_us = last.created_us
        if len(states) > _NAMED_STATES:
            raise ValueError(f"at most {_NAMED_STATES} states can be named, not {len(states)}")
        named = [*states, *[""] * (_NAMED_STATES - len(states))]
        parameters: Parameters = {f"state{n}": state for n, state in enumerate(named)}
        parameters |= {"any_state": not states, "before_us": before_us, "before_id": before, "limit": limit}
        if project:
            return [_session(row) for row in self._rows(sql.SESSIONS_OF_PROJECT, parameters | {"project": project})]
        return [_session(row) for row in self._rows(sql.SESSIONS, parameters)]

    def alive_sessions(self) -> list[SessionRecord]:
        return [_session(row) for row in self._rows(sql.ALIVE, {})]

    def alive_ids(self) -> list[str]:
        return [row[0] for row in self._rows(sql.ALIVE_IDS, {})]

    def due_timers(self, now_us: int, limit: int = 1000) -> list[tuple[str, int]]:
        return [(row[0], row[1]) for row in self._rows(sql.DUE, {"now_us": now_us, "limit": limit})]

    def next_wake_us(self) -> int | None:
        wake: int | None = self._rows(sql.NEXT_WAKE, {})[0][0]
        return wake

    def entries(self, session_id: str, after_seq: int = 0, limit: int = _ALL) -> list[bytes]:
        rows = self._rows(sql.ENTRIES, {"session_id": session_id, "after_seq": after_seq, "limit": limit})
        return [row[0] for row in rows]

    def logs(self, session_id: str, after: LogPosition = LogPosition(), limit: int = _ALL) -> list[LogRow]:  # noqa: B008 - frozen
        place = {"after_ordinal": after.ordinal, "after_idx": after.index}
        rows = self._rows(sql.LOGS, {"session_id": session_id, "limit": limit, **place})
        return [LogRow(row[0], row[1], row[2]) for row in rows]

    def last_log(self, session_id: str) -> LogPosition:
        rows = self._rows(sql.LAST_LOG, {"session_id": session_id})
        return LogPosition(rows[0][0], rows[0][1]) if rows else LogPosition()

    def log_bytes(self, session_id: str) -> int:
        total: int = self._rows(sql.LOG_BYTES, {"session_id": session_id})[0][0]
        return total

    def signals(self, session_id: str) -> list[SignalRow]:
        parameters = {"session_id": session_id, "longest": SIGNAL_HELD_BYTES}
        return [SignalRow(*row) for row in self._rows(sql.SIGNALS, parameters)]

    def signal_payload(self, session_id: str, n: int) -> bytes:
        payload: bytes = self._rows(sql.SIGNAL_PAYLOAD, {"session_id": session_id, "n": n})[0][0]
        return payload

    def projects(self) -> list[str]:
        return [row[0] for row in self._rows(sql.PROJECTS, {})]

    def build(self, digest: str) -> Build | None:
        rows = self._rows(sql.BUILD, {"digest": digest})
        if not rows:
            return None
        columns = dict(rows[0])
        exports, manifest = json.loads(columns.pop("exports")), json.loads(columns.pop("manifest"))
        return Build(**columns, exports=exports, manifest=manifest)

    def deployment(self, deployment_id: str) -> Deployment | None:
        rows = self._rows(sql.DEPLOYMENT, {"deployment_id": deployment_id})
        return _deployment(rows[0]) if rows else None

    def active_deployment(self, project: str) -> Deployment | None:
        rows = self._rows(sql.ACTIVE_DEPLOYMENT, {"project": project})
        return _deployment(rows[0]) if rows else None

    def deployments(self, project: str) -> list[Deployment]:
        return [_deployment(row) for row in self._rows(sql.DEPLOYMENTS, {"project": project})]

    def facts(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self._rows(sql.META, {})}

    def vars(self, project: str) -> list[VarRow]:
        return [_var(row) for row in self._rows(sql.VARS, {"project": project})]

    def sealed_vars(self) -> list[VarRow]:
        return [_var(row) for row in self._rows(sql.SEALED_VARS, {})]

    def tokens(self) -> list[TokenRow]:
        return [TokenRow(**dict(row)) for row in self._rows(sql.BEARERS, {})]

    def invites(self) -> list[InviteRow]:
        return [InviteRow(**dict(row)) for row in self._rows(sql.INVITES, {})]

    def joined_hosts(self) -> list[JoinedHost]:
        return [JoinedHost(**dict(row)) for row in self._rows(sql.HOSTS, {})]


def _session(row: sqlite3.Row) -> SessionRecord:
    columns = dict(row)
    columns["durable"] = bool(columns["durable"])
    for name in ("stop_requested", "memo"):
        if columns[name] is not None:
            columns[name] = json.loads(columns[name])
    return SessionRecord(**columns)


def _var(row: sqlite3.Row) -> VarRow:
    columns = dict(row)
    columns["secret"] = bool(columns["secret"])
    return VarRow(**columns)


def _deployment(row: sqlite3.Row) -> Deployment:
    columns = dict(row)
    for name in ("vars", "settings"):
        columns[name] = json.loads(columns[name])
    return Deployment(**columns)

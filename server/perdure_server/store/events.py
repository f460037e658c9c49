"""Rows of what comes in from outside: events, what became of them at triggers, and the triggers themselves."""

from __future__ import annotations

import json
import sqlite3
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from perdure_server.store import statements_events as sql
from perdure_server.store import statements_subscriptions as subscriptions_sql

_MAX_SEQ: Final = 2**63 - 1
PENDING: Final = "pending"  # to be started: at `due_us`, or when there is room
STARTED: Final = "started"
COMPLETED: Final = "completed"
FAILED: Final = "failed"  # the one session it got did not complete
DROPPED: Final = "dropped"  # by a limit, or for a newer event
DEAD: Final = "dead"  # none of several sessions completed


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened. `seq` 0: not stored yet."""

    event_id: str
    project: str
    source: str  # name of a trigger or a connection
    source_type: str  # webhook, schedule, connection, manual
    event_type: str
    created_us: int
    data: bytes = b""  # JSON; left out of lists
    memo: Mapping[str, str] = field(default_factory=dict)
    dedup: str | None = None  # None: as often as it is sent
    seq: int = 0


@dataclass(frozen=True, slots=True)
class DispatchRow:
    """What became of an event at one trigger."""

    event_seq: int
    trigger_name: str
    state: str
    attempt: int = 0  # of the session that was started last, from 1; 0: none yet
    session_id: str = ""  # of that attempt
    group_key: str = ""  # in which it counts; "": it counts nowhere
    due_us: int = 0  # of a pending one: when it may start; 0: when there is room
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TriggerRow:
    """A trigger that a project has had: what outlives its deployments."""

    project: str
    name: str
    type: str  # webhook, schedule, connection
    slug: str
    created_us: int
    last_us: int = 0  # the time of a schedule that was last dealt with


class EventReads:
    """The part of `base.Reads` that concerns these tables."""

    @abstractmethod
    def _rows(self, statement: str, parameters: dict[str, Any]) -> list[sqlite3.Row]: ...

    def event(self, event_id: str) -> EventRow | None:
        return _one(self._rows(sql.EVENT, {"event_id": event_id}))

    def event_at(self, seq: int) -> EventRow | None:
        return _one(self._rows(sql.EVENT_AT, {"seq": seq}))

    def event_once(self, project: str, source: str, dedup: str) -> EventRow | None:
        return _one(self._rows(sql.EVENT_ONCE, {"project": project, "source": source, "dedup": dedup}))

    def events(
        self, project: str = "", source: str = "", state: str = "", limit: int = 100, before_seq: int = 0
    ) -> list[EventRow]:
        page = {"source": source, "state": state, "limit": limit, "before_seq": before_seq or _MAX_SEQ}
        if project:
            rows = self._rows(sql.EVENTS_OF_PROJECT, page | {"project": project})
        else:
            rows = self._rows(sql.EVENTS, page)
        return [_event(row) for row in rows]

    def events_after(self, project: str, source: str, after_seq: int, limit: int = 100) -> list[EventRow]:
        page = {"project": project, "source": source, "after_seq": after_seq, "limit": limit}
        return [_event(row) for row in self._rows(sql.EVENTS_AFTER, page)]

    def last_event_seq(self) -> int:
        seq: int = self._rows(sql.LAST_EVENT, {})[0][0]
        return seq

    def dispatches(self, event_seq: int) -> list[DispatchRow]:
        return [_dispatch(row) for row in self._rows(sql.DISPATCHES, {"event_seq": event_seq})]

    def dispatch(self, event_seq: int, trigger_name: str) -> DispatchRow | None:
        rows = self._rows(sql.DISPATCH, {"event_seq": event_seq, "trigger_name": trigger_name})
        return _dispatch(rows[0]) if rows else None

    def dispatch_of_session(self, session_id: str) -> DispatchRow | None:
        rows = self._rows(sql.DISPATCH_OF_SESSION, {"session_id": session_id})
        return _dispatch(rows[0]) if rows else None

    def pending_dispatches(self) -> list[DispatchRow]:
        return [_dispatch(row) for row in self._rows(sql.DISPATCHES_PENDING, {})]

    def held_dispatches(self) -> list[DispatchRow]:
        return [_dispatch(row) for row in self._rows(sql.DISPATCHES_HELD, {})]

    def unsettled_sessions(self, limit: int = 1000) -> list[str]:
        return [row[0] for row in self._rows(sql.DISPATCHES_ENDED, {"limit": limit})]

    def triggers(self, project: str) -> list[TriggerRow]:
        return [TriggerRow(**dict(row)) for row in self._rows(sql.TRIGGERS, {"project": project})]

    def trigger_of_slug(self, slug: str) -> TriggerRow | None:
        rows = self._rows(sql.TRIGGER_OF_SLUG, {"slug": slug})
        return TriggerRow(**dict(rows[0])) if rows else None


class EventWrites(EventReads):
    """The part of `base.Transaction` that concerns these tables."""

    _connection: sqlite3.Connection

    def insert_event(self, event: EventRow) -> int:
        columns = {
            "event_id": event.event_id,
            "project": event.project,
            "source": event.source,
            "source_type": event.source_type,
            "event_type": event.event_type,
            "created_us": event.created_us,
            "dedup": event.dedup,
            "memo": json.dumps(dict(event.memo), separators=(",", ":")) if event.memo else "{}",
            "data": event.data,
        }
        rows = self._connection.execute(sql.INSERT_EVENT, columns).fetchall()
        return rows[0][0] if rows else 0

    def put_dispatch(self, row: DispatchRow) -> None:
        self._connection.execute(sql.PUT_DISPATCH, asdict(row))

    def put_trigger(self, row: TriggerRow) -> None:
        self._connection.execute(sql.PUT_TRIGGER, asdict(row))

    def trigger_fired(self, project: str, name: str, at_us: int) -> None:
        self._connection.execute(sql.TRIGGER_FIRED, {"of_project": project, "of_name": name, "at_us": at_us})

    def delete_events_before(self, before_us: int, limit: int = 1000) -> int:
        rows = self._rows(sql.OLD_EVENTS, {"before_us": before_us, "limit": limit})
        delete_events(self._connection, rows)
        return len(rows)


def delete_events(connection: sqlite3.Connection, rows: Sequence[sqlite3.Row]) -> None:
    """With what became of them. Rows of `seq` and `event_id`."""
    for row in rows:
        connection.execute(sql.DELETE_DISPATCHES, {"seq": row["seq"]})
        connection.execute(subscriptions_sql.DELETE_DELIVERIES, {"event_seq": row["seq"]})
        connection.execute(sql.DELETE_OUTCOMES, {"event_id": row["event_id"]})
        connection.execute(sql.DELETE_EVENT, {"seq": row["seq"]})


def _one(rows: list[sqlite3.Row]) -> EventRow | None:
    return _event(rows[0]) if rows else None


def _event(row: sqlite3.Row) -> EventRow:
    columns = dict(row)
    columns["memo"] = json.loads(columns["memo"])
    return EventRow(**columns)


def _dispatch(row: sqlite3.Row) -> DispatchRow:
    return DispatchRow(**dict(row))

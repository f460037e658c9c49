"""The calls of a session, put together from the rows of its journal. Pure."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass

from perdure_proto.v1.journal_pb2 import (
    ENTRY_KIND_ACTIVITY,
    ENTRY_KIND_MARKER,
    ENTRY_KIND_ORDER,
    ENTRY_KIND_RESOLVED,
    ENTRY_KIND_RETRY,
    ENTRY_KIND_STARTED,
    ENTRY_KIND_SYSTEM,
    ENTRY_KIND_WAIT,
    RESOLUTION_KIND_CANCELLED,
    RESOLUTION_KIND_FIRED,
    RESOLUTION_KIND_REFUSED,
    RESOLUTION_KIND_SIGNALLED,
    RESOLUTION_KIND_TIMED_OUT,
    WAIT_KIND_EVENT,
    WAIT_KIND_REQUEST,
    WAIT_KIND_SIGNAL,
    CallSite,
    Entry,
    Payload,
)


class CallKind(enum.Enum):
    """What a call is, as JSON documents name it."""

    ACTIVITY = "activity"
    MARKER = "marker"
    TIMER = "timer"
    SIGNAL = "signal"
    EVENT = "event"
    REQUEST = "request"
    SYSTEM = "system"


class CallState(enum.Enum):
    """How far a call is, as JSON documents name it."""

    RUNNING = "running"
    RETRYING = "retrying"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Call:
    """One call of user code; `seq` is the place of its newest row, so that a fork from there has all of the call."""

    lane: str
    ordinal: int
    seq: int
    kind: CallKind
    function: str
    state: CallState
    attempts: int
    started_at_us: int
    duration_us: int | None
    site: CallSite
    args_digest: bytes
    args_preview: str
    outcome: Payload | None
    is_error: bool

    @property
    def place(self) -> str:
        """`file:line` of the call."""
        return f"{self.site.file}:{self.site.line}"


_CLOCK = "clock"
"""The lane in which the timers of event loops and time-outs fire."""
_OUTCOMES = frozenset({ENTRY_KIND_ACTIVITY, ENTRY_KIND_MARKER, ENTRY_KIND_SYSTEM})
_KINDS = {
    ENTRY_KIND_MARKER: CallKind.MARKER,
    ENTRY_KIND_SYSTEM: CallKind.SYSTEM,
    ENTRY_KIND_STARTED: CallKind.ACTIVITY,
    ENTRY_KIND_RETRY: CallKind.ACTIVITY,
    ENTRY_KIND_ACTIVITY: CallKind.ACTIVITY,
}
_RESOLVED_WAIT = {
    RESOLUTION_KIND_FIRED: CallState.COMPLETED,
    RESOLUTION_KIND_SIGNALLED: CallState.COMPLETED,
    RESOLUTION_KIND_TIMED_OUT: CallState.TIMED_OUT,
    RESOLUTION_KIND_CANCELLED: CallState.CANCELLED,
    RESOLUTION_KIND_REFUSED: CallState.FAILED,
}
_WAITS = {
    WAIT_KIND_SIGNAL: CallKind.SIGNAL,
    WAIT_KIND_EVENT: CallKind.EVENT,
    WAIT_KIND_REQUEST: CallKind.REQUEST,
}


def assemble(entries: Iterable[Entry]) -> list[Call]:
    """One `Call` per (lane, ordinal), in the order in which the calls began."""
    rows: dict[tuple[str, int], list[Entry]] = {}
    for entry in entries:
        if entry.kind != ENTRY_KIND_ORDER and entry.lane != _CLOCK:  # no calls, but places among those of other lanes
            rows.setdefault((entry.lane, entry.ordinal), []).append(entry)
    return [_call(of_one) for of_one in rows.values()]


def _call(rows: list[Entry]) -> Call:
    first, last = rows[0], rows[-1]
    kind = _kind(first)
    state = _state(kind, last)
    return Call(
        lane=first.lane,
        ordinal=first.ordinal,
        seq=last.seq,
        kind=kind,
        function=first.function,
        state=state,
        attempts=max([1, *(row.attempt for row in rows)]),
        started_at_us=first.at_us,
        duration_us=_duration_us(first, last, state),
        site=first.site,
        args_digest=first.args_digest,
        args_preview=first.args_preview,
        outcome=_outcome(last),
        is_error=last.is_error or last.resolution.kind == RESOLUTION_KIND_REFUSED,
    )


def _kind(first: Entry) -> CallKind:
    if first.kind != ENTRY_KIND_WAIT:
        return _KINDS.get(first.kind, CallKind.SYSTEM)
    return _WAITS.get(first.wait.kind, CallKind.TIMER)


def _state(kind: CallKind, last: Entry) -> CallState:
    if last.kind in _OUTCOMES:
        return CallState.FAILED if last.is_error else CallState.COMPLETED
    if kind is CallKind.ACTIVITY:
        return CallState.RUNNING if last.kind == ENTRY_KIND_STARTED else CallState.RETRYING
    if last.kind == ENTRY_KIND_RESOLVED:
        return _RESOLVED_WAIT.get(last.resolution.kind, CallState.COMPLETED)
    return CallState.WAITING


def _duration_us(first: Entry, last: Entry, state: CallState) -> int | None:
    if state in {CallState.RUNNING, CallState.RETRYING, CallState.WAITING}:
        return None
    if last.duration_us or last is first:
        return last.duration_us
    return max(0, last.at_us - first.at_us)


def _outcome(last: Entry) -> Payload | None:
    if last.kind in _OUTCOMES and last.HasField("outcome"):
        return last.outcome
    if last.kind == ENTRY_KIND_RESOLVED and last.resolution.HasField("payload"):
        return last.resolution.payload
    return None

"""What the end of a session means for the event that it was started for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from perdure_proto.v1 import journal_pb2 as pb

from perdure_server.coordinator.triggering.live import Group, Live
from perdure_server.core.state import Phase
from perdure_server.store import DispatchRow, SessionRecord, Transaction
from perdure_server.store.events import COMPLETED, DEAD, FAILED, PENDING, STARTED

FIRST_PAUSE_US: Final = 1_000_000
LONGEST_PAUSE_US: Final = 300_000_000
_REASON_CHARS: Final = 500


def settle(tx: Transaction, session_id: str, now_us: int, live_of: Callable[[str], Live | None]) -> DispatchRow | None:
    """Note how the session has ended, and whether its event gets another one; None when there is nothing to note."""
    row, session = tx.dispatch_of_session(session_id), tx.load_session(session_id)
    if row is None or session is None or row.state != STARTED or session.ended_us is None:
        return None
    settled = _settled(row, session, now_us, _retries(session.project, row.trigger_name, live_of))
    tx.put_dispatch(settled)
    return settled


def pause_us(attempt: int) -> int:
    """How long to wait after this many attempts that failed: it doubles."""
    return min(FIRST_PAUSE_US << min(attempt - 1, 20), LONGEST_PAUSE_US)


def _retries(project: str, trigger: str, live_of: Callable[[str], Live | None]) -> int:
    live = live_of(project)
    armed = live.by_name.get(trigger) if live is not None else None
    return armed.trigger.retry if armed is not None else 0


def _settled(row: DispatchRow, session: SessionRecord, now_us: int, retries: int) -> DispatchRow:
    if session.state == Phase.COMPLETED.value:
        return replace(row, state=COMPLETED, reason="")
    reason = _reason(session)
    if session.state == Phase.STOPPED.value:  # somebody wanted it to end
        return replace(row, state=FAILED, reason=reason)
    if row.attempt <= retries:
        group = row.group_key or Group(session.project).text()
        return replace(row, state=PENDING, due_us=now_us + pause_us(row.attempt), group_key=group, reason=reason)
    return replace(row, state=DEAD if retries else FAILED, reason=reason)


def _reason(session: SessionRecord) -> str:
    error = pb.Error.FromString(session.error) if session.error else pb.Error()
    told = ": ".join(part for part in (error.type, error.message) if part)
    return f"session {session.state}{': ' if told else ''}{told}"[:_REASON_CHARS]

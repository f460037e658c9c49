"""Messages of a host as events of a session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as pb

from perdure_server.coordinator.waits import wait_point
from perdure_server.coordinator.writer import examine
from perdure_server.core import events as ev
from perdure_server.core.state import Phase

if TYPE_CHECKING:
    from perdure_server.coordinator.actor import Actor
    from perdure_server.coordinator.engine import Coordinator

_OUTCOMES: Final = frozenset({jpb.ENTRY_KIND_ACTIVITY, jpb.ENTRY_KIND_SYSTEM})
_ENDS: Final = {
    pb.DONE_STATE_COMPLETED: Phase.COMPLETED,
    pb.DONE_STATE_FAILED: Phase.FAILED,
    pb.DONE_STATE_STOPPED: Phase.STOPPED,
    pb.DONE_STATE_DIVERGED: Phase.DIVERGED,
}


def _attached(_c: Coordinator, actor: Actor, body: pb.Attached) -> ev.Event:
    if body.epoch == actor.state.epoch:
        actor.pid = body.pid
    return ev.Attached(body.epoch)


def _live(_c: Coordinator, _actor: Actor, _body: pb.Live) -> None:
    """That a replay is over changes nothing for the coordinator."""


def _records(_c: Coordinator, actor: Actor, body: pb.Records) -> ev.Event:
    event = examine(body, actor.limits.payload_bytes)
    if not actor.state.waits or not isinstance(event, ev.RecordsReceived):
        return event
    entries = (record.entry for record in body.records if record.HasField("entry"))
    return replace(event, over=frozenset((entry.lane, entry.ordinal) for entry in entries if entry.kind in _OUTCOMES))


def _waiting(c: Coordinator, actor: Actor, body: pb.Waiting) -> ev.Event:
    waits, busy = [], body.busy
    for call in body.waits:
        waited = actor.waits.get(call.lane, call.ordinal)
        if waited is not None:
            waits.append(wait_point(waited))
        elif actor.waits.has_ended(call.lane, call.ordinal):
            busy = True  # what it says has crossed the news, after which it will go on
        else:
            reason = f"it waits for call {call.ordinal} of lane {call.lane!r}, which is no wait"
            return ev.Misbehaved(body.epoch, reason)
    return ev.WaitBegan(body.epoch, tuple(waits), c.clock.now_us(), busy)


def _suspended(_c: Coordinator, _actor: Actor, body: pb.Suspended) -> ev.Event:
    return ev.Suspended(body.epoch)


def _done(_c: Coordinator, _actor: Actor, body: pb.Done) -> ev.Event:
    phase = _ENDS.get(body.state)
    if phase is None:
        return ev.Misbehaved(body.epoch, f"it ended in state {body.state}")
    return ev.DoneReceived(body.epoch, body.no, phase)


def _lost(_c: Coordinator, actor: Actor, body: pb.Lost) -> ev.Event:
    if body.epoch == actor.state.epoch and _host_gives_up(actor, body):
        return ev.HostGone(body.reason)
    return ev.RunnerLost(
        body.epoch, body.reason, body.exit_code, body.code, body.reason, body.fatal, refused=body.refused
    )


def _host_gives_up(actor: Actor, body: pb.Lost) -> bool:
    """Was the runner killed so that the session goes on elsewhere? Then nobody counts that."""
    connection = actor.connection
    if connection is None or body.code or body.fatal:
        return False
    return connection.leaving or (body.session_id, body.epoch) in connection.moving


EVENTS: Final[dict[str, Callable[[Coordinator, Actor, Any], ev.Event | None]]] = {
    "attached": _attached,
    "live": _live,
    "records": _records,
    "waiting": _waiting,
    "suspended": _suspended,
    "done": _done,
    "lost": _lost,
}

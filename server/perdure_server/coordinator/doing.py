"""What is done about every effect of `core.session.step`: one small function each, in one table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from perdure_proto.v1 import journal_pb2 as pb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_proto.v1.runner_pb2 import ToHost

from perdure_server.coordinator import family
from perdure_server.coordinator.history import complete, journal
from perdure_server.coordinator.hosts import Connection, kill_runner
from perdure_server.coordinator.requests import answering
from perdure_server.coordinator.sealing import seal
from perdure_server.coordinator.waits import Given, pack, resolution
from perdure_server.coordinator.writer import cut
from perdure_server.core import divergence as divergences
from perdure_server.core import effects as fx
from perdure_server.core import events as ev
from perdure_server.core import limits
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Ending, Phase, Resolving, Stop
from perdure_server.store import SPILL_BYTES, SessionUpdate, Transaction, spill

if TYPE_CHECKING:
    from perdure_server.coordinator.actor import Actor


def _place(actor: Actor, effect: fx.Place, *_: object) -> None:
    actor.detach(actor.state.epoch)
    actor.coordinator.placement.want(actor, effect.after_s)


def _send_history(actor: Actor, effect: fx.SendHistory, *_: object) -> None:
    actor.coordinator.placement.begin(actor, effect.epoch)


def _append(actor: Actor, effect: fx.Append, message: Any, _origin: object) -> None:
    limit = actor.limits.journal_entries
    if not limit or actor.state.next_seq - 1 <= limit:
        actor.writer.add(message, effect.first_seq)
        return
    cut(message, limit - effect.first_seq + 1)
    if message.records:
        actor.writer.add(message, effect.first_seq)
    actor.handle(ev.Doomed("P0601", limits.reached("journal_entries", str(limit), str(limit + 1))))


def _acknowledge_records(actor: Actor, effect: fx.Acknowledge, *_: object) -> None:
    actor.acknowledgement = None
    committed = rpb.Committed(
        session_id=actor.session_id, epoch=actor.state.epoch, no=effect.no, seq=actor.committed_seq
    )
    actor.send(ToHost(committed=committed))


def _resolve(actor: Actor, effect: fx.Resolve, found: Any, _origin: object) -> None:
    waited = actor.waits.get(effect.wait.lane, effect.wait.ordinal)
    assert waited is not None
    ending, given, reason = effect.ending, None, ""
    match ending:
        case Ending.CANCELLED:
            reason = actor.state.stop_reason
        case Ending.SIGNALLED:
            given = actor.take_signal(effect.wait)
        case Ending.EVENT:
            assert isinstance(found, Given)
            given, ending = found, Ending.REFUSED if found.refused else ending
    entry = row = resolution(waited, ending, effect.seq, actor.coordinator.clock.now_us(), given, reason)
    if given is not None and given.blob:
        row = pb.Entry.FromString(entry.SerializeToString())
        row.resolution.payload.data, row.resolution.payload.blob = b"", given.blob
    actor.waits.ended(row)
    actor.resolution = entry
    actor.writer.write(
        lambda: actor.handle(ev.Resolved()),
        entries=[row],
        update=SessionUpdate(state=Phase.RUNNING.value, wake_at_us=None, waiting=None),
        consumes=given.signal if given else None,
        also=_deliver(actor.session_id, *given.cursor, entry.at_us) if given and given.cursor else None,
    )


def _deliver(session_id: str, subscription: str, seq: int, at_us: int) -> Callable[[Transaction], None]:
    def deliver(transaction: Transaction) -> None:
        if not transaction.deliver(session_id, subscription, seq, at_us):
            raise ValueError(f"subscription {subscription} of session {session_id} has had event {seq} already")

    return deliver


def _answer(actor: Actor, effect: fx.Answer, *_: object) -> None:
    waited = actor.waits.get(effect.wait.lane, effect.wait.ordinal)
    assert waited is not None
    answering.answer(actor, waited, effect.seq)


def _send_resolved(actor: Actor, *_: object) -> None:
    resolved = rpb.Resolved(session_id=actor.session_id, epoch=actor.state.epoch, entry=actor.resolution)
    actor.send(ToHost(resolved=resolved))


def _send_stop(actor: Actor, effect: fx.SendStop, *_: object) -> None:
    _order(actor, rpb.STOP_KIND_POLITE, effect.reason)


def _send_suspend(actor: Actor, *_: object) -> None:
    _order(actor, rpb.STOP_KIND_SUSPEND, "")


def _order(actor: Actor, kind: rpb.StopKind.ValueType, reason: str) -> None:
    stop = rpb.Stop(session_id=actor.session_id, epoch=actor.state.epoch, kind=kind, reason=reason)
    actor.send(ToHost(stop=stop))


def _kill(actor: Actor, effect: fx.Kill, _message: object, origin: Connection | None) -> None:
    connection = origin or actor.connection
    if connection is not None:
        kill_runner(connection, actor.session_id, effect.epoch, effect.reason)
        actor.coordinator.placement.released(connection, actor.session_id, effect.epoch)


def _persist(actor: Actor, *_: object) -> None:
    state = actor.state
    waited = actor.waited() if state.phase is Phase.WAITING and state.resolving is Resolving.NO else []
    first = state.first_due()
    update = SessionUpdate(
        state=state.phase.value if waited else Phase.RUNNING.value,
        waiting=pack(waited) if waited else None,
        wake_at_us=first.fires_at_us if waited and first else None,
        stop_requested=None if state.stop is Stop.NONE else {"reason": state.stop_reason},
    )
    actor.writer.write(_nothing_more, update=update)


def _nothing_more() -> None:
    """The row is durable; `settle`, which follows, may let the session go."""


def _arm_timer(actor: Actor, effect: fx.ArmTimer, *_: object) -> None:
    actor.coordinator.timers.arm(actor.session_id, effect.at_us)


def _arm_suspend(actor: Actor, effect: fx.ArmSuspend, *_: object) -> None:
    actor.arm_event("suspend", effect.after_s, ev.SuspendDue())


def _arm_start_timeout(actor: Actor, effect: fx.ArmStartTimeout, *_: object) -> None:
    actor.arm_event("runner", effect.after_s, ev.StartTimeout(actor.state.epoch))


def _arm_leave_timeout(actor: Actor, effect: fx.ArmLeaveTimeout, *_: object) -> None:
    actor.arm_event("runner", effect.after_s, ev.LeaveTimeout(actor.state.epoch))


def _arm_run_time(actor: Actor, *_: object) -> None:
    limit_s, epoch, began_us = actor.limits.run_s, actor.state.epoch, actor.coordinator.clock.now_us()

    def over() -> None:
        used_s = (actor.coordinator.clock.now_us() - began_us) / 1e6
        message = limits.reached("run_time", limits.seconds(limit_s), limits.seconds(round(used_s, 1)))
        actor.handle(ev.RunTimeOver(epoch, message))

    if limit_s:
        actor.arm("run time", limit_s, over)


def _arm_grace(actor: Actor, effect: fx.ArmGrace, *_: object) -> None:
    actor.arm_event("grace", effect.after_s, ev.GraceOver())


def _rest(actor: Actor, *_: object) -> None:
    actor.detach(actor.state.epoch)
    actor.coordinator.publish_session(actor)


def _finish(actor: Actor, effect: fx.Finish, message: Any, _origin: object) -> None:
    connection, epoch = actor.connection, actor.state.epoch
    done = message if isinstance(message, rpb.Done) and not effect.code else None
    actor.detach(epoch)
    ended_us = actor.coordinator.clock.now_us()
    report = family.report(actor.coordinator, actor.record, effect, done, ended_us)

    def finished() -> None:
        if done is not None and connection is not None:
            committed = rpb.Committed(session_id=actor.session_id, epoch=epoch, no=done.no, seq=actor.committed_seq)
            connection.send(ToHost(committed=committed))
        actor.coordinator.ended(actor)
        if report is not None:
            report.deliver(actor.coordinator)

    also = report.write if report else None
    if done is not None and len(done.result.data) > SPILL_BYTES:
        actor.writer.write(finished, prepare=lambda: _end(actor, effect, done, ended_us), also=also)
    else:
        actor.writer.write(finished, update=_end(actor, effect, done, ended_us), also=also)


def _end(actor: Actor, effect: fx.Finish, done: rpb.Done | None, ended_us: int) -> SessionUpdate:
    result = error = divergence = None
    if done is not None:
        result, error, divergence = _parts(actor, done)
    elif effect.code or effect.message:
        error = pb.Error(type="PerdureError", message=effect.message, code=effect.code).SerializeToString()
    return SessionUpdate(
        state=effect.phase.value,
        ended_us=ended_us,
        wake_at_us=None,
        waiting=None,
        result=result,
        error=error,
        divergence=divergence,
    )


def _forget(actor: Actor, effect: fx.Forget, *_: object) -> None:
    actor.coordinator.forgotten(actor, effect.code, effect.message)
    actor.drop()


def _refuse(actor: Actor, effect: fx.Refuse, *_: object) -> None:
    actor.refusal = PerdureError(effect.code, f"{actor.session_id}: {effect.message}")


def _parts(actor: Actor, done: rpb.Done) -> tuple[bytes | None, bytes | None, bytes | None]:
    """Result, error and divergence of the end, serialised, or None."""
    # JSON is shown to people, and the host has masked it; anything else nobody ever decodes.
    if actor.knows_secrets and done.result.encoding == pb.ENCODING_PICKLE:
        seal(done.result, actor.coordinator.vault)
    if done.HasField("result") and len(done.result.data) > SPILL_BYTES:
        holder = pb.Entry(outcome=done.result)
        spill(holder, actor.coordinator.blobs)
        done.result.CopyFrom(holder.outcome)
    result = done.result.SerializeToString() if done.HasField("result") else None
    error = done.error.SerializeToString() if done.HasField("error") else None
    divergence = None
    if done.HasField("divergence"):
        complete(done.divergence, journal(actor.coordinator, actor.session_id))
        divergence = done.divergence.SerializeToString()
        error = divergences.error(done.divergence).SerializeToString()
    return result, error, divergence


DO: Final[dict[type[fx.Effect], Callable[[Actor, Any, Any, Connection | None], None]]] = {
    fx.Place: _place,
    fx.SendHistory: _send_history,
    fx.Append: _append,
    fx.Acknowledge: _acknowledge_records,
    fx.Resolve: _resolve,
    fx.Answer: _answer,
    fx.SendResolved: _send_resolved,
    fx.SendStop: _send_stop,
    fx.SendSuspend: _send_suspend,
    fx.Kill: _kill,
    fx.Persist: _persist,
    fx.ArmTimer: _arm_timer,
    fx.ArmSuspend: _arm_suspend,
    fx.ArmStartTimeout: _arm_start_timeout,
    fx.ArmLeaveTimeout: _arm_leave_timeout,
    fx.ArmRunTime: _arm_run_time,
    fx.ArmGrace: _arm_grace,
    fx.Finish: _finish,
    fx.Rest: _rest,
    fx.Forget: _forget,
    fx.Refuse: _refuse,
}

"""Rows of the store and sessions in memory as messages of control.proto."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator import lineage
from perdure_server.coordinator.waits import next_of, unpack
from perdure_server.core.state import Phase, Runner
from perdure_server.secrets import is_sealed
from perdure_server.store import SessionRecord

if TYPE_CHECKING:
    from perdure_server.coordinator.actor import Actor


def timestamp(at_us: int) -> str:
    """RFC 3339, UTC, with microseconds."""
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=at_us)
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def session_message(record: SessionRecord, actor: Actor | None, *, with_data: bool = True) -> pb.Session:
    """The session as people see it; `actor` knows more than the row while it is in memory."""
    message = pb.Session(
        session_id=record.session_id,
        project=record.project,
        build_id=record.build_id,
        entry_point=record.entry_point,
        state=_row_state(record),
        created_at=timestamp(record.created_us),
        ended_at=timestamp(record.ended_us) if record.ended_us else "",
        parent_id=record.parent_id,
        event_id=record.event_id,
        entries=record.entries,
        epoch=record.epoch,
        durable=record.durable,
        event=record.event if with_data else b"",
        forked_from=lineage.source_of(record.forked_from),
        suspended=record.state == Phase.WAITING.value,
        memo=record.memo,
        status=record.status or b"",
    )
    if record.result is not None:
        message.result.MergeFromString(record.result)
        if not with_data or is_sealed(message.result.data):
            message.result.ClearField("data")
    if record.error is not None:
        message.error.MergeFromString(record.error)
    if record.divergence is not None:
        message.divergence.MergeFromString(record.divergence)
    if record.waiting is not None:
        message.waiting_for.CopyFrom(next_of(unpack(record.waiting)).wait)
    if actor is not None and not record.ended_us:
        _overlay(message, actor)
    return message


def _row_state(record: SessionRecord) -> str:
    """A row that says "running" while nobody runs the session is a session on its way to a runner."""
    return Phase.STARTING.value if record.state == Phase.RUNNING.value else record.state


def _overlay(message: pb.Session, actor: Actor) -> None:
    state = actor.state
    if state.phase.ended:  # not durable yet
        message.state = Phase.RUNNING.value
        return
    message.state = state.phase.value
    message.epoch = state.epoch
    message.entries = actor.committed_seq
    message.runner_pid = actor.pid
    message.host_id = actor.connection.host_id if actor.connection else ""
    message.suspended = state.phase is Phase.WAITING and state.runner is Runner.NONE
    message.ClearField("waiting_for")
    if waited := actor.waited():
        message.waiting_for.CopyFrom(next_of(waited).wait)

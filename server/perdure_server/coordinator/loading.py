"""Bringing a session from its rows back into memory."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from perdure_proto.v1 import journal_pb2 as pb

from perdure_server.coordinator.actor import Actor
from perdure_server.coordinator.waits import OpenWaits, unpack, wait_point
from perdure_server.core import events as ev
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Phase, SessionState, Stop
from perdure_server.store import SessionRecord, SignalRow

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator


class Loading:
    """Loads sessions, each at most once at a time."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._under_way: dict[str, asyncio.Task[Actor | None]] = {}

    async def actor(self, session_id: str) -> Actor | None:
        """The session in memory; None when it has ended. Raises P0204 when there is none.

        Whoever calls this has to `settle` the actor afterwards.
        """
        if (actor := self._c.actors.get(session_id)) is not None:
            return actor
        task = self._under_way.get(session_id)
        if task is None:
            task = self._under_way[session_id] = asyncio.create_task(self._load(session_id))
            task.add_done_callback(lambda _: self._under_way.pop(session_id, None))
        return await asyncio.shield(task)

    async def deliver(self, session_id: str, event: ev.Event) -> None:
        """Let `event` happen to a session that may be suspended."""
        actor = await self.actor(session_id)
        if actor is not None:
            actor.handle(event)
            actor.settle()

    async def _load(self, session_id: str) -> Actor | None:
        record, signals, log_bytes, tail = await asyncio.to_thread(self._read, session_id)
        if record is None:
            raise PerdureError("P0204", f"unknown session {session_id!r}", help="`perdure sessions list` shows all")
        if record.ended_us is not None:
            return None
        await self._c.builds.of(record.build_id)
        await self._c.builds.deployment(record.deployment_id)
        waits = OpenWaits(tail)
        state = _state(record, waits, tail)
        if (adopted := self._c.actors.get(session_id)) is not None:
            return adopted  # whoever made its row was faster
        actor = Actor(self._c, record, state, waits=waits, signals=signals, log_bytes=log_bytes)
        self._c.actors[session_id] = actor
        if not record.durable and record.epoch:
            actor.handle(ev.Doomed("P0604", "the coordinator ended while the session ran, and it has no journal"))
        actor.handle(ev.RunnerWanted())
        actor.look_for_signal()
        actor.look_for_event()
        return actor

    def _read(self, session_id: str) -> tuple[SessionRecord | None, list[SignalRow], int, list[pb.Entry]]:
        store = self._c.store
        record = store.load_session(session_id)
        if record is None or record.ended_us is not None:
            return record, [], 0, []
        tail: list[pb.Entry] = []
        if record.waiting is not None:
            first = min(unpack(record.waiting), key=lambda waiting: waiting.seq)
            tail = [first, *map(pb.Entry.FromString, store.entries(session_id, first.seq))]
        return record, store.signals(session_id), store.log_bytes(session_id), tail


def _state(record: SessionRecord, waits: OpenWaits, tail: list[pb.Entry]) -> SessionState:
    """The state of a session without a runner, from its row and the journal after the first wait that it names."""
    named = unpack(record.waiting) if record.waiting is not None else []
    waited = [entry for wait in named if (entry := waits.get(wait.lane, wait.ordinal)) is not None]
    still_waits = bool(tail) and len(waited) == len(named)
    without_wait = Phase.STARTING if record.epoch else Phase.CREATED
    return SessionState(
        phase=Phase.WAITING if still_waits else without_wait,
        epoch=record.epoch,
        next_seq=record.entries + 1,
        placed_seq=record.entries + 1,
        waits=tuple(map(wait_point, waited)) if still_waits else (),
        stop=Stop.NONE,
        durable=record.durable,
    )

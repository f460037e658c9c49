"""Bringing a session from its rows back into memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from perdure_proto.v1 import journal_pb2 as pb

from perdure_server.coordinator.actor import Actor
from perdure_server.coordinator.waits import OpenWaits, unpack, wait_point
from perdure_server.core import events as ev
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Phase, SessionState, Stop
from perdure_server.store import SessionRecord, SignalRow

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator


class _Read(NamedTuple):
    """What the store has of a session. `tail`: its journal from the first wait on that its row names."""

    record: SessionRecord | None
    signals: list[SignalRow]
    log_bytes: int
    tail: list[pb.Entry]


class Loading:
    """Loads sessions, each at most once at a time."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._under_way: dict[str, asyncio.Future[Actor | None]] = {}

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
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if not task.cancelled():
                raise  # we are
            return await self.actor(session_id)

    async def ahead(self, session_ids: Sequence[str]) -> None:
        """Load those that are not in memory all at once: the way to a thread and back takes longer than to read one.

        `actor` then gives each without waiting.
        """
        missing = [each for each in session_ids if each not in self._c.actors and each not in self._under_way]
        loop = asyncio.get_running_loop()
        coming: dict[str, asyncio.Future[Actor | None]] = {each: loop.create_future() for each in missing}
        self._under_way.update(coming)
        try:
            rows = await asyncio.to_thread(lambda: [self._read(each) for each in missing])
            for (session_id, future), read in zip(coming.items(), rows, strict=True):
                future.set_result(await self._made(session_id, read.record, read) if read.record else None)
        finally:
            for session_id, future in coming.items():
                future.cancel()  # those that are not done: who waits for one tries again, and sees why
                self._under_way.pop(session_id, None)

    def at_hand(self, session_id: str) -> bool:
        """Is the session in memory, or on its way there?"""
        return session_id in self._c.actors or session_id in self._under_way

    async def deliver(self, session_id: str, event: ev.Event) -> None:
        """Let `event` happen to a session that may be suspended."""
        actor = await self.actor(session_id)
        if actor is not None:
            actor.handle(event)
            actor.settle()

    async def _load(self, session_id: str) -> Actor | None:
        read = await asyncio.to_thread(self._read, session_id)
        if read.record is None:
            raise PerdureError("P0204", f"unknown session {session_id!r}", help="`perdure sessions list` shows all")
        return await self._made(session_id, read.record, read)

    async def _made(self, session_id: str, record: SessionRecord, read: _Read) -> Actor | None:
        if record.ended_us is not None:
            return None
        await self._c.builds.of(record.build_id)
        await self._c.builds.deployment(record.deployment_id)
        waits = OpenWaits(read.tail)
        state = _state(record, waits, read.tail)
        if (adopted := self._c.actors.get(session_id)) is not None:
            return adopted  # whoever made its row was faster
        actor = Actor(self._c, record, state, waits=waits, signals=read.signals, log_bytes=read.log_bytes)
        self._c.actors[session_id] = actor
        if not record.durable and record.epoch:
            actor.handle(ev.Doomed("P0604", "the coordinator ended while the session ran, and it has no journal"))
        actor.handle(ev.RunnerWanted())
        actor.look_for_signal()
        actor.look_for_event()
        return actor

    def _read(self, session_id: str) -> _Read:
        store = self._c.store
        record = store.load_session(session_id)
        if record is None or record.ended_us is not None:
            return _Read(record, [], 0, [])
        tail: list[pb.Entry] = []
        if record.waiting is not None:
            first = min(unpack(record.waiting), key=lambda waiting: waiting.seq)
            tail = [first, *map(pb.Entry.FromString, store.entries(session_id, first.seq))]
        return _Read(record, store.signals(session_id), store.log_bytes(session_id), tail)


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

"""For `perdure check`: a session and those that it starts come to their end without their long waits.

Time is skipped as it would pass: nobody is woken while one of them still does something, or is about to; then it is
the one whose time comes first. So a signal that one sends to another comes before the time-out of who waits for it,
as it does outside. A wait without an end, for what none of them brings, is told (P0201).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1.journal_pb2 import WAIT_KIND_EVENT, WAIT_KIND_SIGNAL, WAIT_KIND_TIMER

from perdure_server.cli import fetch
from perdure_server.cli.connect import Control
from perdure_server.coordinator.replays import ALIAS
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import RESERVED, Phase

FAMILY = 20_000  # sessions of a run
_LIVING = tuple(phase.value for phase in Phase if not phase.ended)
_WENT_ON = frozenset({"P0205", "P0214"})  # it has ended, or waits no more, meanwhile
_LASTING = frozenset({WAIT_KIND_TIMER, WAIT_KIND_SIGNAL, WAIT_KIND_EVENT})
_SHORT_US = 1_000_000  # a delay that takes its time: the world outside may need it
_POLLS = 20  # of them in a row, while others wait longer: somebody looks again and again, and is not waited for
_SETTLING_S = 0.1  # what one of them has done is known to the others by then
_STUCK_S = 2.0

Sessions = Collection[control.Session]


@dataclass(slots=True)
class Skipping:
    """Which wait ends next, of sessions that all wait. Pure. Each wait for a signal of `signals` gets it."""

    signals: Mapping[str, bytes]
    _skipped_us: int = 0
    _due_us: dict[tuple[str, int], int] = field(default_factory=dict)
    """When a wait ends, by session and its entries, in a time to which what was skipped is added."""
    _polls: set[tuple[str, int]] = field(default_factory=set)
    """Short delays since something was skipped."""

    def next(self, waiting: Sessions, now_us: int) -> control.SignalSessionRequest | None:
        """What to send; None: they go on by themselves. P0201 when they do not.

        waiting: at least one. now_us: Unix time in microseconds.
        """
        for session in waiting:
            if (name := self._given(session)) is not None:
                return control.SignalSessionRequest(
                    session_id=session.session_id, name=name, payload=self.signals[name]
                )
        short = [_key(each) for each in waiting if _is_short(each, now_us, alone=len(waiting) == 1)]
        self._polls.update(short)
        ending = [each for each in waiting if each.waiting_for.fires_at_us and _key(each) not in short]
        if short and (not ending or len(self._polls) <= _POLLS):
            return None
        if not ending:
            raise _nobody_brings_it(waiting)
        for each in ending:
            self._due_us.setdefault(_key(each), each.waiting_for.fires_at_us + self._skipped_us)
        first = min(ending, key=lambda each: self._due_us[_key(each)])
        self._skipped_us = max(self._skipped_us, self._due_us[_key(first)] - now_us)
        self._polls.clear()
        return control.SignalSessionRequest(session_id=first.session_id, wake=True)

    def _given(self, session: control.Session) -> str | None:
        wait = session.waiting_for
        if wait.kind != WAIT_KIND_SIGNAL or _waits_for_child(session):
            return None
        return next((name for name in self.signals if not wait.names or name in wait.names), None)


@dataclass(slots=True)
class Family:
    """The session `root` and its descendants."""

    remote: Control
    root: str
    skipping: Skipping
    _seen: dict[str, control.Session] = field(default_factory=dict)
    """As they were told of last; without those that have ended."""
    _followed: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def end(self) -> None:
        """End their waits until `root` has ended, whatever the others do. P0201 for one that nothing can end."""
        async with self._following():
            while True:
                await self._changed.wait()
                self._changed.clear()
                for task in self._followed.values():
                    if task.done():
                        task.result()
                if self._followed[self.root].done():
                    return
                await self._go_on()

    @asynccontextmanager
    async def _following(self) -> AsyncIterator[None]:
        self._follow(self.root)
        try:
            yield
        finally:
            for task in self._followed.values():
                task.cancel()
            await asyncio.gather(*self._followed.values(), return_exceptions=True)

    def _follow(self, session_id: str) -> None:
        self._followed[session_id] = asyncio.create_task(self._watch(session_id))

    async def _watch(self, session_id: str) -> None:
        request = control.WatchSessionRequest(
            session_id=session_id, until_done=True, without_entries=True, without_logs=True
        )
        try:
            async for update in self.remote.watch_session(request):
                if update.WhichOneof("update") == "session":
                    self._seen[session_id] = update.session
                    self._changed.set()
        finally:
            self._seen.pop(session_id, None)
            self._changed.set()

    async def _go_on(self) -> None:
        """End a wait, if that is all that they do."""
        if not _all_wait(self._seen.values()) or not _all_wait(members := await self._members()):
            return
        alone = len(members) == 1 and not _waits_for_child(members[0])
        if not alone and not await self._stays(members, _SETTLING_S):
            return
        try:
            request = self.skipping.next(members, time.time_ns() // 1000)
        except PerdureError:
            if alone or await self._stays(members, _STUCK_S):
                raise
            return
        if request is not None:
            try:
                await self.remote.signal_session(request)
            except PerdureError as error:
                if error.code not in _WENT_ON:
                    raise

    async def _members(self) -> list[control.Session]:
        """Those that live, as they are now; whoever is new is followed from now on."""
        root = self._seen[self.root]
        listed = await fetch.sessions(self.remote, FAMILY, project=root.project, states=_LIVING)
        parents = {self.root, self.root.partition(ALIAS)[0]}
        members = {self.root: root}
        for session in reversed(listed):  # children are younger than their parents
            if session.session_id == self.root or session.parent_id in parents:
                parents.add(session.session_id)
                members[session.session_id] = session
                if session.session_id not in self._followed:
                    self._follow(session.session_id)
        return list(members.values())

    async def _stays(self, members: Sessions, seconds: float) -> bool:
        """Do they all stay as they are for so long?"""
        await asyncio.sleep(seconds)
        stays = self.root in self._seen and _places(await self._members()) == _places(members)
        if not stays:
            self._changed.set()
        return stays


def _all_wait(sessions: Sessions) -> bool:
    """None of them is on its way, or waits for the coordinator's answer, or has just got what it waited for."""
    return all(each.state == Phase.WAITING.value and each.waiting_for.kind in _LASTING for each in sessions)


def _places(sessions: Sessions) -> dict[str, tuple[int, int, str, bytes]]:
    return {
        each.session_id: (each.entries, each.epoch, each.state, each.waiting_for.SerializeToString())
        for each in sessions
    }


def _key(session: control.Session) -> tuple[str, int]:
    return session.session_id, session.entries


def _is_short(session: control.Session, now_us: int, *, alone: bool) -> bool:
    """Does its wait end soon by itself? Who is alone has the time-outs of other waits at once."""
    wait = session.waiting_for
    return 0 < wait.fires_at_us < now_us + _SHORT_US and (not alone or wait.kind == WAIT_KIND_TIMER)


def _waits_for_child(session: control.Session) -> bool:
    """Names of signals that tell of the end of a child begin with its id."""
    return any(name.startswith(RESERVED) for name in session.waiting_for.names)


def _nobody_brings_it(waiting: Sessions) -> PerdureError:
    for session in waiting:
        who = f"{session.entry_point}, which the handler has started," if session.parent_id else "the handler"
        if session.waiting_for.kind == WAIT_KIND_EVENT:
            return PerdureError(
                "P0201",
                f"{who} waits for an event, and here nothing happens outside",
                help="give next_event() a timeout, or test it with a server: `perdure events send`",
            )
        if session.waiting_for.kind == WAIT_KIND_SIGNAL and not _waits_for_child(session):
            names = " or ".join(session.waiting_for.names) or "any signal"
            others = ", which none of the sessions here sends" if len(waiting) > 1 else ""
            return PerdureError(
                "P0201", f"{who} waits for {names}{others}", help="say what it gets: --signal NAME=JSON"
            )
    return PerdureError("P0201", "the handler waits for what does not come")

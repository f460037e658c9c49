"""Taking up what was alive: at the start, and whenever something is found stuck."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from perdure_server.coordinator import family
from perdure_server.coordinator.clock import Handle
from perdure_server.coordinator.waits import unpack, wait_point
from perdure_server.core import events as ev
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Phase, Stop
from perdure_server.store import SessionRecord

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.coordinator")

# The sweep reads every living session's row: it may take this share of the time at most.
_SWEEP_SHARE: Final = 0.01
_OVERDUE_US: Final = 2_000_000
_SHORTEST_PAUSE_US: Final = 100_000
_FEW: Final = 500  # rows, up to which one after the other is cheaper than all there are
_TOGETHER: Final = 50  # sessions that are read in one go: the loop has its turn in between
_BEFORE_DOORS: Final = 100  # sessions that are taken up before the coordinator answers anybody


class Recovery:
    """Finds sessions that are alive in the store while nothing is under way for them."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self.found_stuck = 0  # by sweeps: a metric that should stay 0
        self._left: Sequence[str] = ()  # found at the start, and not taken up yet
        self._put_off: set[str] = set()  # for want of room: when their turn comes, they were not stuck
        self._next_sweep_us = 0
        self._alarm: Handle | None = None

    async def recover(self) -> None:
        """At the start: everything alive has lost its runner with the last coordinator."""
        suspects = await self._found(self._c.clock.now_us())
        revived = await self._take_up(suspects[:_BEFORE_DOORS])
        self._left = suspects[_BEFORE_DOORS:]
        self._c.spawn(family.end_bereaved(self._c))
        await self._c.timers.read_window()
        if revived:
            log.info("took up %d sessions", revived)

    def watch_over(self) -> None:
        """From now on read the timers' windows when they come near, and sweep; first, go on with what was found."""
        if self._left:
            self._c.spawn(self._finish())
        else:
            self._watch()

    async def _finish(self) -> None:
        """Webhooks do not wait until thousands of sessions are in memory: who asks for one of them has it loaded."""
        left, self._left = self._left, []
        try:
            log.info("took up %d sessions more", await self._take_up(left))
        finally:
            self._watch()

    def _watch(self) -> None:
        self._next_sweep_us = self._c.clock.now_us() + int(self._c.settings.sweep_s * 1e6)
        self._wake_up()

    def put_off(self, session_id: str) -> None:
        """The session's row is durable, and it has to wait for a sweep until there is room."""
        self._put_off.add(session_id)

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    def _wake_up(self) -> None:
        """Set the alarm to the next sweep or the middle of the timers' window, but never at once."""
        half_window_us = int(self._c.settings.timer_window_s * 5e5)
        next_us = min(self._next_sweep_us, self._c.timers.horizon_us - half_window_us)
        soonest_us = self._c.clock.now_us() + _SHORTEST_PAUSE_US
        self._alarm = self._c.clock.call_at(max(next_us, soonest_us), lambda: self._c.spawn(self._look()))

    async def _look(self) -> None:
        now_us = self._c.clock.now_us()
        try:
            if self._c.timers.horizon_us - now_us <= self._c.settings.timer_window_s * 5e5:
                await self._c.timers.read_window()
            if now_us >= self._next_sweep_us:
                self._next_sweep_us = now_us + await self._timed_sweep_us()
        except PerdureError as error:
            log.error("the sweep failed: %s", error)  # noqa: TRY400  # told; the next one tries again
        self._wake_up()

    async def _timed_sweep_us(self) -> int:
        """Sweep; how long to wait before the next one."""
        began = time.monotonic()
        stuck = await self._sweep(self._c.clock.now_us() - _OVERDUE_US)
        await family.end_bereaved(self._c)
        took_s = time.monotonic() - began
        if stuck:
            self.found_stuck += stuck
            log.warning("found %d sessions stuck; %d since the start", stuck, self.found_stuck)
        return int(max(self._c.settings.sweep_s, took_s / _SWEEP_SHARE) * 1e6)

    async def _sweep(self, overdue_us: int) -> int:
        """Get going what should go; how many of these nobody had put off."""
        before = frozenset(self._put_off)
        suspects = await self._found(overdue_us)
        self._put_off -= before.difference(suspects)  # somebody else has got them going
        return await self._take_up(suspects)

    async def _found(self, overdue_us: int) -> list[str]:
        suspects = await asyncio.to_thread(self._suspects, overdue_us)
        return suspects + await self._c.subscriptions.forgotten()

    async def _take_up(self, suspects: Sequence[str]) -> int:
        """Get these going, as far as there is room; how many went that were not put off before."""
        revived = 0
        for start in range(0, len(suspects), _TOGETHER):
            together = [each for each in suspects[start : start + _TOGETHER] if each not in self._c.actors]
            if not together:
                continue
            if self._c.placement.crowded:
                self._put_off.update(together)
                continue
            await self._c.loading.ahead(together)
            for session_id in together:
                was_put_off = session_id in self._put_off
                self._put_off.discard(session_id)
                revived += await self._revive(session_id) and not was_put_off
        return revived

    def _suspects(self, overdue_us: int) -> list[str]:
        return [row.session_id for row in self._absent() if self._suspect(row, overdue_us)]

    def _absent(self) -> Iterable[SessionRecord]:
        """Living sessions that are not in memory. Mostly these are few, and reading all rows would cost the loop its
        time: Python runs one thread at once."""
        absent = [each for each in self._c.store.alive_ids() if each not in self._c.actors]
        if len(absent) > _FEW:
            return self._c.store.alive_sessions()
        rows = map(self._c.store.load_session, absent)
        return [row for row in rows if row is not None and row.ended_us is None]

    def _suspect(self, row: SessionRecord, overdue_us: int) -> bool:
        if row.session_id in self._c.actors:
            return False
        if row.state != Phase.WAITING.value or row.waiting is None or row.stop_requested is not None:
            return True
        if row.wake_at_us is not None and row.wake_at_us <= overdue_us:
            return True
        waits = [wait for wait in map(wait_point, unpack(row.waiting)) if wait.signals is not None]
        return bool(waits) and any(w.takes(s.name) for s in self._c.store.signals(row.session_id) for w in waits)

    async def _revive(self, session_id: str) -> bool:
        """Look again, now at the newest row, and do what has to be done; False when that is nothing."""
        actor = await self._c.loading.actor(session_id)
        if actor is None:
            return False
        stop = actor.record.stop_requested
        if stop is not None and actor.state.stop is Stop.NONE:
            actor.handle(ev.StopRequested(str(stop.get("reason", "")), grace_s=self._c.settings.grace_s))
        actor.timer_due()
        actor.settle()
        return not actor.dropped

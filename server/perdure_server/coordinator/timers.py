"""The near timers of all sessions, in memory; the far ones stay rows of the store until their window comes.

Thousands of sessions that sleep for a month cost nothing here: a window holds at most `batch` timers, and the next one
is read when it has passed or run out.
"""

from __future__ import annotations

import heapq
import sys
from collections.abc import Awaitable, Callable

from perdure_server.coordinator.clock import Clock, Handle

Load = Callable[[int, int], Awaitable[list[tuple[str, int]]]]


class Timers:
    """`fire(session_id)` is called once for every timer that is due.

    `load(before_us, limit)` reads (session_id, at_us) of the store's timers due before that time, the earliest first.
    """

    def __init__(self, clock: Clock, load: Load, fire: Callable[[str], None], *, window_s: float, batch: int) -> None:
        self._clock = clock
        self._load = load
        self._fire = fire
        self._window_us = int(window_s * 1e6)
        self._batch = batch
        self._horizon_us = 0  # every stored timer before it is in memory
        self._heap: list[tuple[int, str]] = []
        self._due: dict[str, int] = {}  # what counts; the heap may hold older times too
        self._alarm: Handle | None = None
        self._alarm_us = 0

    def __len__(self) -> int:
        return len(self._due)

    @property
    def horizon_us(self) -> int:
        return self._horizon_us

    def arm(self, session_id: str, at_us: int) -> None:
        """Set the session's timer, instead of the one it may have."""
        if self._due.get(session_id) != at_us:
            self._due[session_id] = at_us
            heapq.heappush(self._heap, (at_us, session_id))
            self._set_alarm()

    def disarm(self, session_id: str) -> None:
        self._due.pop(session_id, None)

    def release(self, session_id: str) -> None:
        """The timer is a row of the store now: keep it only if the current window is to fire it."""
        if self._due.get(session_id, 0) >= self._horizon_us:
            self.disarm(session_id)

    def keep_all(self) -> None:
        """Read nothing: the timers that are armed here are all there are."""
        self._horizon_us = sys.maxsize

    async def read_window(self) -> None:
        """Read the next window of timers. Called again when `horizon_us` has come near."""
        before = self._clock.now_us() + self._window_us
        rows = await self._load(before, self._batch)
        self._horizon_us = before if len(rows) < self._batch else rows[-1][1]
        for session_id, at_us in rows:
            if session_id not in self._due:
                self.arm(session_id, at_us)

    def _set_alarm(self) -> None:
        if not self._heap or (self._alarm is not None and self._alarm_us <= self._heap[0][0]):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_us = self._heap[0][0]
        self._alarm = self._clock.call_at(self._alarm_us, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now = self._clock.now_us()
        while self._heap and self._heap[0][0] <= now:
            at_us, session_id = heapq.heappop(self._heap)
            if self._due.get(session_id) == at_us:
                del self._due[session_id]
                self._fire(session_id)
        self._set_alarm()

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

"""Many calls at their times, by one alarm of the coordinator's clock."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from perdure_server.coordinator.clock import Clock, Handle


class Alarms:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[int, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._alarm: Handle | None = None
        self._alarm_us = 0

    def at(self, due_us: int, call: Callable[[], None]) -> None:
        """Call at `due_us` (Unix time in microseconds), or soon when that has passed; never from here."""
        heapq.heappush(self._due, (due_us, next(self._numbers), call))
        self._set()

    def close(self) -> None:
        self._due.clear()
        if self._alarm is not None:
            self._alarm.cancel()

    def _set(self) -> None:
        if not self._due or (self._alarm is not None and self._alarm_us <= self._due[0][0]):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_us = self._due[0][0]
        self._alarm = self._clock.call_at(self._alarm_us, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        now_us = self._clock.now_us()
        while self._due and self._due[0][0] <= now_us:
            heapq.heappop(self._due)[2]()
        self._set()

"""Who has said nothing for a while is noticed once."""

import asyncio
import heapq
from collections.abc import Callable
from typing import Any, cast

from perdure_runner.host.quiet import Quiet


class Clock:
    """As much of a loop as is needed; its time passes in `go`."""

    def __init__(self) -> None:
        self.now = 100.0
        self._due: list[tuple[float, int, asyncio.TimerHandle]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, action: Callable[[], object]) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, action, (), cast("Any", self))
        heapq.heappush(self._due, (when, len(self._due), handle))
        return handle

    def get_debug(self) -> bool:
        return False

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        self._due = [entry for entry in self._due if entry[2] is not handle]

    def go(self, seconds: float) -> None:
        until = self.now + seconds
        while self._due and self._due[0][0] <= until:
            self.now, _, handle = heapq.heappop(self._due)
            handle._run()
        self.now = until

    @property
    def timers(self) -> int:
        return len(self._due)


def test_it_is_noticed_once_and_again_after_the_next_word() -> None:
    clock, seen = Clock(), list[float]()
    quiet = Quiet(cast("Any", clock), 2.0, lambda: seen.append(clock.now))
    clock.go(10)
    assert seen == []
    for _ in range(20):
        quiet.heard()
        assert clock.timers == 1
        clock.go(0.5)
    clock.go(30)
    assert seen == [119.5 + 2.0]
    quiet.heard()
    clock.go(1.9)
    assert len(seen) == 1
    clock.go(0.1)
    assert len(seen) == 2


def test_what_is_closed_notices_nothing() -> None:
    clock, seen = Clock(), list[float]()
    quiet = Quiet(cast("Any", clock), 2.0, lambda: seen.append(clock.now))
    quiet.heard()
    quiet.close()
    clock.go(10)
    assert seen == []

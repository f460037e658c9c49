"""Time, passed in: the coordinator asks a `Clock`, tests turn one by hand."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Handle(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    def now_us(self) -> int:
        """Unix time in microseconds."""

    def running_us(self) -> int:
        """Microseconds since some moment; however the time of day is set, they pass evenly."""

    def call_at(self, at_us: int, callback: Callable[[], None]) -> Handle:
        """Call back on the loop's thread at `at_us` (Unix time in microseconds), or soon when that has passed."""


class SystemClock:
    """The machine's clock and the running loop's timers."""

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def running_us(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000

    def call_at(self, at_us: int, callback: Callable[[], None]) -> Handle:
        delay_s = max(0.0, (at_us - self.now_us()) / 1e6)
        return asyncio.get_running_loop().call_later(delay_s, callback)

"""The session's clock: the time of user code's event loops and of its time-outs, the same in every replay.

It moves only when something is delivered: to the time at which a recorded outcome came, or to the time for which a
timer was set. That a timer fired is journaled as the n-th ORDER row of a lane of its own, because which one it was
follows from all that was before. Where nothing else can happen, the n-th firing is a WAIT at the coordinator first.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from perdure_runner.child.lanes.pending import Key
from perdure_runner.child.replay import History, How, Kind, Row

LANE: Final = "clock"
time_ns = time.time_ns  # before the session's clock takes its place


def time_us() -> int:
    """The clock on the wall, in microseconds of Unix time."""
    return time_ns() // 1000


class Clock:
    """Virtual time, and the next firing of a timer."""

    def __init__(self, history: History, begin_us: int, wait: Callable[[Key, int], None]) -> None:
        """
        Args:
            history: is asked for what is recorded of each firing.
            begin_us: when the session was created.
            wait: writes a WAIT row for a firing at the coordinator, due at that time.
        """
        self._history = history
        self._wait = wait
        self.now_us = begin_us
        self.position: int | None = None
        """The place in the journal of the next firing, if it is recorded."""
        self._firing = 0
        self.cancelled: Row | None = None
        """The row that says that the next firing's wait was cancelled, because the session is being stopped."""
        self.woken = False
        """Somebody did not want to wait for the next firing."""
        self._armed: list[int] = []
        self._inherited = False
        self._next()

    @property
    def key(self) -> Key:
        """Lane and ordinal of the next firing."""
        return LANE, self._firing

    def is_own(self, key: Key) -> bool:
        """Is that a wait of the clock's?"""
        return key[0] == LANE

    def advance(self, at_us: int) -> None:
        """Something was delivered that came at that time."""
        self.now_us = max(self.now_us, at_us)

    def due_us(self, when_s: float, *, live: bool) -> int:
        """When, on the wall, a timer is due that user code sets now for `when_s` of its own time.

        User code's time stands still while it computes, so what counts is how far off the timer is. In replay that was
        long ago.
        """
        when_us = math.ceil(when_s * 1e6)
        return time_us() + max(0, when_us - self.now_us) if live else when_us

    def fire(self, deadline_s: float) -> Row | None:
        """The n-th firing: time is now what the timer was set for. Returns `cancelled`, and time stays, if it was."""
        cancelled = self.cancelled
        if cancelled is None:
            self.advance(math.ceil(deadline_s * 1e6))
        self._next()
        return cancelled

    def _next(self) -> None:
        self._firing += 1
        self._inherited = False
        self._armed, self.woken, self.position, self.cancelled = [], False, None, None
        recorded = self._history.take(LANE, self._firing)
        if recorded is None:
            return
        _, before, last, position = recorded
        match Kind(last["kind"]):
            case Kind.ORDER:
                self.position = position
                self.cancelled = before if before.get("how") == How.CANCELLED else None
            case Kind.WAIT:
                self._armed, self._inherited = [last["fires"]], True
            case Kind.RESOLVED:
                self.cancelled = last if last["how"] == How.CANCELLED else None
                self.woken = self.cancelled is not None or last.get("at", 0) < before["fires"]

    def arm(self, due_us: int) -> None:
        """Have the coordinator wait for the next firing."""
        if self._inherited and self._armed:
            return  # by the process before; nothing has happened since
        if not self._armed or self._armed[-1] != due_us:
            self._armed.append(due_us)
            self._wait(self.key, due_us)

    def resolved(self, row: Row, due_us: int) -> None:
        """A wait of ours has ended. `due_us`: when the next timer is due now.

        If that is later, user code has cancelled the timer that the wait was for, or somebody did not want to wait.
        """
        if (LANE, row["ord"]) != self.key:
            return
        now = time_us()
        if row["how"] == How.CANCELLED:
            self.cancelled = row
        self.woken = self.cancelled is not None or (due_us > now and all(armed > now for armed in self._armed))
        self._armed = [armed for armed in self._armed if armed > now]

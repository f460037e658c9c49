"""How a session is told to stop: `perdure.Cancelled`, raised once, at a place that the journal remembers."""

from __future__ import annotations

import signal
import types
from contextlib import AbstractContextManager, nullcontext
from typing import Final

import perdure

from perdure_runner.child.lanes.lanes import Lanes
from perdure_runner.child.link import Link

_NEVER: Final = nullcontext()


class Stop:
    """Whether the session was asked to stop, and whether user code has heard of it.

    The host sends a `stop` frame and SIGUSR1. The signal interrupts an activity in progress; anywhere else the stop
    waits for the next call that is new.
    """

    def __init__(self, link: Link, lanes: Lanes) -> None:
        self._link = link
        self._lanes = lanes
        self._interruptible = False
        signal.signal(signal.SIGUSR1, self._on_signal)

    def pending(self) -> bool:
        """A stop was asked for, and the lane of user code that asks has not heard of it."""
        return self.asked and not self._lanes.current().stopped

    @property
    def asked(self) -> bool:
        """The session is to stop."""
        return self._link.stop_asked

    def cancelled(self, recorded: str = "") -> perdure.Cancelled:
        """The exception to raise; from now on the lane has been told.

        `recorded`: the reason that the journal has, which every replay tells user code again.
        """
        self._lanes.hear_of_stop()
        if not recorded and self._link.stop_reason is None:
            self._link.poll()  # the host sent the reason before the signal
        return perdure.Cancelled(recorded or self._link.stop_reason or "the session was stopped")

    def may_interrupt(self) -> AbstractContextManager[None]:
        """While the body runs, a stop raises `perdure.Cancelled` in it, if this is the main thread."""
        return self if self._lanes.strand() is self._lanes.main else _NEVER

    def __enter__(self) -> None:
        self._interruptible = True
        if self.pending():
            self._interruptible = False
            raise self.cancelled()

    def __exit__(self, *_: object) -> None:
        self._interruptible = False

    def _on_signal(self, _number: int, _frame: types.FrameType | None) -> None:
        self._link.stop_asked = True
        if not self._link.guard.postpone(self._interrupt):
            self._interrupt()

    def _interrupt(self) -> None:
        if self._interruptible and not self._lanes.current().stopped:
            self._interruptible = False
            raise self.cancelled()

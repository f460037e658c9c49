"""How a session is told to stop: `perdure.Cancelled`, raised once, at a place that the journal remembers."""

from __future__ import annotations

import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager

import perdure

from perdure_runner.child.link import Link


class Stop:
    """Whether the session was asked to stop, and whether user code has heard of it.

    The host sends a `stop` frame and SIGUSR1. The signal interrupts an activity in progress; anywhere else the stop
    waits for the next call that is new.
    """

    def __init__(self, link: Link) -> None:
        self._link = link
        self._signalled = False
        self._interruptible = False
        self.delivered = False
        """User code has got its `perdure.Cancelled`, now or in the part of its life that is being replayed."""
        signal.signal(signal.SIGUSR1, self._on_signal)

    def pending(self) -> bool:
        """A stop was asked for, and user code has not heard of it."""
        return (self._signalled or self._link.stop_reason is not None) and not self.delivered

    def cancelled(self, recorded: str = "") -> perdure.Cancelled:
        """The exception to raise; from now on the stop counts as delivered.

        `recorded`: the reason that the journal has, which every replay tells user code again.
        """
        self.delivered = True
        return perdure.Cancelled(recorded or self._link.stop_reason or "the session was stopped")

    @contextmanager
    def may_interrupt(self) -> Iterator[None]:
        """While the body runs, a stop raises `perdure.Cancelled` in it."""
        self._interruptible = True
        try:
            if self.pending():
                raise self.cancelled()
            yield
        finally:
            self._interruptible = False

    def _on_signal(self, _number: int, _frame: types.FrameType | None) -> None:
        self._signalled = True
        if self._link.busy:
            self._link.after_line = self._interrupt
        else:
            self._interrupt()

    def _interrupt(self) -> None:
        if self._interruptible and not self.delivered:
            self._interruptible = False
            self._link.poll()  # the host sent the reason before the signal
            raise self.cancelled()

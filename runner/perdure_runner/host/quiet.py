"""When somebody has said nothing for a while."""

import asyncio
from collections.abc import Callable


class Quiet:
    """Calls `then` once after each time that it has heard something, and then nothing for so many seconds."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, then: Callable[[], object]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._then = then
        self._at = 0.0  # when it last heard something
        self._timer: asyncio.TimerHandle | None = None  # one for all that it hears

    def heard(self) -> None:
        """Something was said."""
        self._at = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_at(self._at + self._seconds, self._look)

    def close(self) -> None:
        """Nothing will be said any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        due = self._at + self._seconds
        if due > self._loop.time():
            self._timer = self._loop.call_at(due, self._look)
        else:
            self._timer = None
            self._then()

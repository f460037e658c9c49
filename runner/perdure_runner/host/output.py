"""What keeps a runner's output within bounds: a budget for its lines, numbers that survive dropped lines, a tail."""

import asyncio
import contextlib
import os
from collections import deque

_READ_BYTES = 1 << 16


class Budget:
    """A token bucket over bytes with a total. Time is passed in, in seconds of any clock that only goes forward."""

    def __init__(self, per_second: int, burst: int, total: int, now: float) -> None:
        self._per_second = per_second
        self._burst = burst
        self._left = total
        self._tokens = float(burst)
        self._then = now

    def take(self, count: int, now: float) -> bool:
        """Take `count` bytes if they are there; take none and give False otherwise."""
        self._tokens = min(self._burst, self._tokens + (now - self._then) * self._per_second)
        self._then = now
        if count > self._tokens or count > self._left:
            return False
        self._tokens -= count
        self._left -= count
        return True


class Numbering:
    """The numbers of a runner's records, and those under which the coordinator knows them.

    They differ by the lines that were dropped in between, for the coordinator takes consecutive numbers only.
    """

    def __init__(self) -> None:
        self.taken = 0  # the runner's last number
        self._sent = 0  # the last number given to the coordinator
        self._shift = 0
        self._acknowledged_shift = 0
        self._jumps: deque[tuple[int, int]] = deque()  # (number sent, shift from there on)

    def take(self, number: object) -> bool:
        """Accept the runner's next number; False if it is another one."""
        if type(number) is not int or number != self.taken + 1:
            return False
        self.taken = number
        return True

    def next(self) -> int:
        """Give the coordinator's number for the runner's last record; those not sent before it go with it."""
        self._sent += 1
        shift = self.taken - self._sent
        if shift != self._shift:
            self._shift = shift
            self._jumps.append((self._sent, shift))
        return self._sent

    def acknowledged(self, sent: int) -> int:
        """Give the runner's number for the coordinator's; calls come with numbers that only grow."""
        while self._jumps and self._jumps[0][0] <= sent:
            self._acknowledged_shift = self._jumps.popleft()[1]
        return sent + self._acknowledged_shift


class Tail:
    """Reads a pipe and keeps the last bytes of it: what a runner or a zygote writes past its frames."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int, keep: int) -> None:
        self._loop = loop
        self._descriptor = descriptor
        self._keep = keep
        self._kept = bytearray()
        os.set_blocking(descriptor, False)
        loop.add_reader(descriptor, self._read)

    def text(self) -> str:
        """Give what was kept, as text."""
        return self._kept.decode("utf-8", "replace").strip()

    def close(self) -> None:
        """Take what is still there, then stop reading."""
        if self._descriptor < 0:
            return
        with contextlib.suppress(OSError):
            self._add(os.read(self._descriptor, _READ_BYTES))
        self._end()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _READ_BYTES)
        except BlockingIOError:
            return
        if data:
            self._add(data)
        else:
            self._end()

    def _add(self, data: bytes) -> None:
        self._kept += data
        del self._kept[: -self._keep]

    def _end(self) -> None:
        self._loop.remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

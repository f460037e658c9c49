"""For how long a host may take its sessions for its own."""

import time
from collections import deque

_WELCOME_S = 10.0
_HEARTBEATS = 3


class Lease:
    """A coordinator gives a host's sessions to others when it has heard nothing of the host for some seconds.

    What a host knows of that: when it sent the newest of the messages that were answered. The coordinator has heard
    that one, so up to some seconds after it was sent nobody else has the sessions; later, somebody may. The length is
    shorter than the coordinator's patience (`host_timeout_s`): in the usual case, runners here are dead before others
    start. The clock is one that runs on while this process, or this machine, is stopped.
    """

    def __init__(self) -> None:
        self.length_s = _WELCOME_S
        self._from = _now()
        self._asked: deque[float] = deque()  # when

    @property
    def left_s(self) -> float:
        """Zero or less: it is over."""
        return self._from + self.length_s - _now()

    def check(self) -> None:
        """Raises TimeoutError when it is over."""
        if self.left_s <= 0:
            raise TimeoutError

    def asked(self) -> None:
        """A message goes out that will be answered; answers come in order."""
        self._asked.append(_now())

    def answered(self) -> None:
        """The oldest one is answered. An answer to nothing is none."""
        if self._asked:
            self._from = self._asked.popleft()

    def granted(self, heartbeat_s: float) -> None:
        """The hello is answered; from now on heartbeats go out every `heartbeat_s` seconds (0: none, nor an end)."""
        self.length_s = _HEARTBEATS * heartbeat_s or float("inf")
        self.answered()


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)

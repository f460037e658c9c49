"""Sessions yield to what serves them: a coordinator on the same machine answers first, however much they compute.

Where the kernel groups processes by their session (autogroup, see sched(7)), a group has one process's share of the
processors, however many are in it, and niceness counts within it only. A zygote leads a session of processes, and its
runners stay in it: together they get no more than the coordinator and its host. Elsewhere it is niceness that counts.
"""

from __future__ import annotations

import contextlib
import os


def yield_to_others(pid: int, nice: int) -> None:
    """Lower the priority of a process, and of all that it will start."""
    if nice:
        with contextlib.suppress(OSError):  # it is gone
            os.setpriority(os.PRIO_PROCESS, pid, nice)

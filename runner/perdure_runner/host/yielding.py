"""Sessions yield to what serves them: a coordinator on the same machine answers first, however much they compute."""

from __future__ import annotations

import contextlib
import os


def yield_to_others(pid: int, nice: int) -> None:
    """Lower the priority of a process, which leads a session of processes, and of all that it will start.

    Where the kernel groups processes by their session (autogroup, see sched(7)), niceness counts within a group only,
    and the group has one of its own.
    """
    if not nice:
        return
    with contextlib.suppress(OSError):  # it is gone, or the kernel has no such groups: then that is how it is
        os.setpriority(os.PRIO_PROCESS, pid, nice)
        with open(f"/proc/{pid}/autogroup", "w", encoding="ascii") as group:
            group.write(str(nice))

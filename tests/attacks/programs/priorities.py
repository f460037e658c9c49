"""Going before others: a better priority, real time, memory that cannot be taken away, more open files."""

import os
import resource

from probing import attempt, in_child, libc, verdict


def main(event):
    ways = {
        "nice": lambda: attempt(os.nice, -10) is not None,
        "real time": lambda: libc.sched_setscheduler(0, 1, b"\1\0\0\0") == 0,
        "out-of-memory score": lambda: attempt(lower_score),
        "locked memory": lambda: libc.mlock(bytes(64 << 20), 64 << 20) == 0,
        "limits": lambda: raised(resource.RLIMIT_NOFILE),
    }
    return verdict(name for name, way in ways.items() if in_child(way))


def lower_score():
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-900")
    return True


def raised(what):
    try:
        resource.setrlimit(what, (1 << 16, 1 << 16))
    except (OSError, ValueError):
        return False
    return True

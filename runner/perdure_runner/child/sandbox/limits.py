"""Limits that a process sets for itself and all that it starts, for good."""

import resource
from collections.abc import Mapping

from perdure_runner.child.sandbox import kernel, seccomp

_OPEN_FILES = 1024


def own_memory() -> int:
    """Bytes of address space this process has: a runner's limit comes on top of what it inherits."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[0]) * resource.getpagesize()


def basic(confine: Mapping[str, object], inherited: int) -> None:
    """What every runner gets: memory (bytes on top of `inherited`), open files, no core dumps."""
    cap(resource.RLIMIT_CORE, 0)
    cap(resource.RLIMIT_NOFILE, _number(confine, "open_files") or _OPEN_FILES)
    if memory := _number(confine, "memory"):
        cap(resource.RLIMIT_AS, inherited + memory)


def strict(confine: Mapping[str, object], *, counted: bool) -> None:
    """Besides: processes, unless a control group counts them, no locked memory, no priority, no message queues."""
    if not counted and (processes := _number(confine, "processes")):
        cap(resource.RLIMIT_NPROC, processes)
    cap(resource.RLIMIT_MEMLOCK, 64 << 10)
    cap(resource.RLIMIT_MSGQUEUE, 0)
    cap(resource.RLIMIT_RTPRIO, 0)
    cap(resource.RLIMIT_NICE, 0)
    cap(resource.RLIMIT_SIGPENDING, 4096)


def close_doors(filter_: bytes) -> None:
    """No capability, no new privileges, and only the system calls that the filter, if any, lets through."""
    kernel.drop_capabilities()
    kernel.no_new_privileges()
    if filter_:
        seccomp.install(filter_)


def cap(what: int, most: int) -> None:
    """Lower a resource limit for good; one that is lower already stays."""
    _, hard = resource.getrlimit(what)
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(what, (most, most))


def _number(confine: Mapping[str, object], name: str) -> int:
    value = confine.get(name)
    return value if isinstance(value, int) else 0

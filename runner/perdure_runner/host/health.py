"""How this machine and a runner on it are: what the kernel says, read when somebody asks."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# Fields of /proc/PID/stat, by their numbers in proc_pid_stat(5); the first after the command's name, which may hold
# anything, is number 3.
_TIMES = (14, 15, 16, 17)  # user and system time, its own and its dead children's
_RESIDENT_PAGES = 24
_FIRST = 3


@dataclass(frozen=True, slots=True)
class MachineHealth:
    load: float  # runnable processes over the last minute, for each processor
    memory_available_bytes: int
    disk_free_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and those below it have of the machine."""

    memory_bytes: int = 0  # resident; pages that several share count for each
    processes: int = 0
    cpu_s: float = 0.0  # since they started, that of their dead children included


def of_machine(folder: Path) -> MachineHealth:
    """Ask the kernel; the disk is the one that `folder` is on."""
    return MachineHealth(os.getloadavg()[0] / (os.cpu_count() or 1), _available(), shutil.disk_usage(folder).free)


def of_process(pid: int) -> Usage:
    """Ask the kernel about a process and all that it started; nothing of those that are gone."""
    memory = processes = ticks = 0
    for each in _family(pid):
        try:
            fields = (_PROC / str(each) / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        processes += 1
        memory += int(fields[_RESIDENT_PAGES - _FIRST]) * _PAGE_BYTES
        ticks += sum(int(fields[number - _FIRST]) for number in _TIMES)
    return Usage(memory, processes, ticks / _TICKS_PER_S)


def _available() -> int:
    for line in (_PROC / "meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return 0


def _family(pid: int) -> Iterator[int]:
    waiting = [pid]
    while waiting:
        yield (each := waiting.pop())
        for task in (_PROC / str(each) / "task").glob("*/children"):
            with contextlib.suppress(OSError):
                waiting += map(int, task.read_text().split())

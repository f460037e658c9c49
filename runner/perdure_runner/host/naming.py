"""Errors of user code that are really a limit of its project: they are given its code and say what it was.

The kernel tells a program only that there is no more: of memory, of room, of processes. Which limit that was, the
exception cannot say, and whoever reads it should not have to guess.
"""

import re
from collections.abc import Callable
from typing import Final

from perdure_proto.v1.journal_pb2 import Error
from perdure_proto.v1.runner_pb2 import Limits

from perdure_runner.host.cgroups import mebibytes

_FORKS: Final = re.compile(r"_execute_child|_fork_exec|_launch|\bforkp?t?y?\b")
_NO_ROOM: Final = ("[Errno 28]", "[Errno 122]")
_ALWAYS_HELD: Final = frozenset({"P0603", "P0612"})
"""Limits that every runner has, whatever holds it."""


def name_limit(error: Error, limits: Limits, *, confined: bool) -> None:
    """Give an exception without a code of ours that of the limit it comes from, if there is one.

    `confined`: what the session writes is kept in a file system of its own, of limited size.
    """
    if error.code:
        return
    for code, limit, applies in _LIMITS:
        if (said := limit(limits)) and applies(error) and (confined or code in _ALWAYS_HELD):
            error.code, error.help = code, f"The project's limit is reached: {said}. `perdure explain {code}`"
            return


def _memory(limits: Limits) -> str:
    return f"memory: limit {mebibytes(limits.memory_bytes)}" if limits.memory_bytes else ""


def _disk(limits: Limits) -> str:
    parts = [f"disk: limit {mebibytes(limits.disk_bytes)}"] if limits.disk_bytes else []
    parts += [f"files: limit {limits.files}"] if limits.files else []
    return f"{' or '.join(parts)}, all of it used, in /tmp and the working directory together" if parts else ""


def _processes(limits: Limits) -> str:
    return f"processes: limit {limits.processes}, all of them used, threads included" if limits.processes else ""


def _open_files(limits: Limits) -> str:
    return f"open_files: limit {limits.open_files}, all of them used, in one process" if limits.open_files else ""


def _is_open_files(error: Error) -> bool:
    return error.type == "OSError" and error.message.startswith("[Errno 24]")


def _is_memory(error: Error) -> bool:
    return error.type == "MemoryError" and not error.message


def _is_disk(error: Error) -> bool:
    return error.type == "OSError" and error.message.startswith(_NO_ROOM)


def _is_processes(error: Error) -> bool:
    if error.type == "RuntimeError":
        return error.message == "can't start new thread"
    last = error.traceback[-1] if error.traceback else None
    forks = last is not None and _FORKS.search(f"{last.name} {last.source}")
    return error.type == "BlockingIOError" and error.message.startswith("[Errno 11]") and bool(forks)


_LIMITS: Final[tuple[tuple[str, Callable[[Limits], str], Callable[[Error], bool]], ...]] = (
    ("P0603", _memory, _is_memory),
    ("P0607", _disk, _is_disk),
    ("P0606", _processes, _is_processes),
    ("P0612", _open_files, _is_open_files),
)

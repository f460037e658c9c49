"""Pages that are again as they were in the zygote, which a session gives back while it is quiet.

A fork has a page of its own from the first time that it writes to it, for good. But most of what an interpreter writes
is counted up and down again. So a zygote that is ready moves its memory into a file without a name, which nobody can
ever write to, and maps it privately where it was: a fork can then compare its own pages with the file's and let go of
those that are the same. `_sharing.c` does that, in a signal handler, as nothing of the interpreter may run meanwhile.

Only where sessions cannot have the kernel write into their memory behind their back (io_uring, AIO): in the sandbox.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import resource
import signal
import socket
from array import array
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

from perdure_runner.child.immortal import Uncounted
from perdure_runner.child.pages import Span, written
from perdure_runner.child.sandbox import syscalls

SIGNAL: Final = signal.SIGURG
"""By which the zygote asks for it. Nothing happens at it by itself, so it may come before and after anything."""
_PAGE: Final = 4096
"""What `_sharing.c` knows."""
_USUAL: Final = frozenset("rd wr mr mw me ac sd nh hg".split())  # noqa: SIM905 (as the kernel has it)
"""Flags of memory that forks have copies of, and nothing else is special about (VmFlags in proc_pid_smaps(5))."""
_AROUND: Final = 2
"""Pages around the thread pointer that stay: the kernel itself writes there (rseq)."""
_WAITING: Final = """
accept accept4 clock_nanosleep epoll_pwait epoll_wait flock futex nanosleep poll ppoll pselect6 read readv recvfrom
recvmsg restart_syscall select wait4 waitid
""".split()  # noqa: SIM905 (a table)
"""Calls that the kernel begins again after a handler, or that return EINTR, which every caller knows of them."""
_FLAGS: Final = {"recvfrom": 3, "recvmsg": 2}
"""Which of their arguments has flags: with MSG_WAITALL, they return what they have, and hardly a caller knows that."""


def _compiled() -> ModuleType | None:
    if os.environ.get("PERDURE_PURE", "0") not in {"", "0"} or resource.getpagesize() != _PAGE:
        return None
    try:
        from perdure_runner.child import _sharing
    except ImportError:
        return None
    return _sharing


_c = _compiled()


def is_possible() -> bool:
    """Whether `share` can do anything, as far as that can be told."""
    return _c is not None and hasattr(ctypes.CDLL(None), "gnu_get_libc_version")


def share(uncounted: Uncounted) -> bool:
    """Move what this process has into the file, if this system lets us, and have forks give it back when asked.

    Says whether they do.

    For a process with one thread, which must be as good as ready: what it changes from now on is not in the file.
    """
    if _c is None:
        return False
    with contextlib.suppress(OSError):
        ctypes.CDLL(None).malloc_trim(0)  # not what is free
        spans = array("Q", [number for span in _own(_c.thread_pointer()) for number in span])
        _c.share(spans, uncounted.counts, uncounted.warmups)
        _c.listen()
        return True
    return False


def listen() -> None:
    """Be asked, even if there is another handler now, which is called when others send the signal."""
    if _c is not None:
        _c.listen()


def keep_listening() -> None:
    """Be asked, whatever handlers are set from now on."""
    real = signal.signal

    @functools.wraps(real)
    def set_handler(signalnum: int, handler: Any) -> Any:
        before = real(signalnum, handler)
        if signalnum == SIGNAL:
            listen()
        return before

    signal.signal = set_handler


def is_waiting(pid: int) -> bool:
    """Whether a process waits in a call of the system that a signal does not spoil. pid: as /proc has it."""
    with contextlib.suppress(OSError, ValueError), open(f"/proc/{pid}/syscall", encoding="ascii") as file:
        number, *arguments = file.read().split()
        flags = int(arguments[_flags[int(number)]], 16) if int(number) in _flags else 0
        return int(number) in _numbers and not flags & socket.MSG_WAITALL
    return False


_numbers: Final = frozenset(syscalls.numbers(os.uname().machine, _WAITING))
_flags: Final = {number: _FLAGS[name] for name in _FLAGS for number in syscalls.numbers(os.uname().machine, [name])}


def _own(thread: int) -> Iterator[Span]:
    """Written pages of ordinary memory, in order."""
    with open("/proc/self/smaps", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            first, *words = line.split()
            if not first.endswith(":"):
                begin, end = (int(number, 16) for number in first.split("-"))
                mode, _, _, _, *name = words
            elif first == "VmFlags:" and mode == "rw-p" and set(words) <= _USUAL and _is_ordinary(name):
                yield from _runs(begin, end, thread)


def _is_ordinary(name: list[str]) -> bool:
    """Of an allocator or a library: not a stack, nor what the kernel has there."""
    return not name or name[0] == "[heap]" or name[0].startswith("/")


def _runs(begin: int, end: int, thread: int) -> Iterator[Span]:
    """Neighbouring pages that were written to, without those around `thread` and what `malloc` has mapped.

    Such a block it enlarges by enlarging its mapping: into what follows in the file, or past its end.
    """
    first = count = mapped = 0
    for number, is_written in enumerate([*written(begin, end), False]):
        address = begin + number * _PAGE
        mapped = max(mapped, address + _mapped_block(address)) if is_written else mapped
        if is_written and address >= mapped and abs(address - thread) > _AROUND * _PAGE:
            first, count = (first, count + 1) if count else (address, 1)
        elif count:
            yield Span(first, count * _PAGE)
            count = 0


def _mapped_block(address: int) -> int:
    """The size of the block of memory that begins there, if glibc's `malloc` has a mapping for it, else 0.

    It has 0 and the size before it, the size with a bit for that: malloc/malloc.c, IS_MMAPPED.
    """
    before, size = (ctypes.c_uint64.from_address(address + offset).value for offset in (0, 8))
    return size & ~7 if before == 0 and size & 7 == 2 and (size & ~7) % _PAGE == 0 else 0

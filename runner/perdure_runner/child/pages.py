"""Pages of memory that a session will write to, copied before there is one.

A fork shares its memory with the zygote until either writes to it; then the kernel copies the page, one at a time, as
they are written to. Most of what a session's start takes is that. Which pages these will be, a fork that rehearses
shows; a runner that is made ahead of its session has them copied while nobody waits.
"""

from __future__ import annotations

import ctypes
import os
import resource
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

_PAGE: Final = resource.getpagesize()
_ENTRY: Final = 8
"""Bytes that /proc/self/pagemap has for a page."""
_PRESENT, _OF_FILE, _ALONE = 1 << 63, 1 << 61, 1 << 56
"""Bits of those: it is there; it is a file's; nobody else has it."""
_POPULATE_WRITE: Final = 23  # linux/mman.h, from 5.14 on

_madvise = ctypes.CDLL(None).madvise
_madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


class Span(NamedTuple):
    """Neighbouring pages."""

    address: int
    size: int
    """Bytes."""


def learn(work: Callable[[Callable[[], object]], object]) -> Sequence[Span]:
    """Which pages of this process, as it is now, `work` writes to until it calls what it is given, which ends it.

    It is done in a fork: nothing of it is left. Empty where it does not come so far, or the system does not say. The
    process must have one thread.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(reader)
            pagemap = os.open("/proc/self/pagemap", os.O_RDONLY | os.O_CLOEXEC)
            places = [(span, span.size // _PAGE * _ENTRY, span.address // _PAGE * _ENTRY) for span in _writable()]
            work(lambda: _tell(writer, [(span, os.pread(pagemap, size, at)) for span, size, at in places]))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        numbers = array("Q", file.read())
    os.waitpid(pid, 0)
    return [Span(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def _tell(writer: int, found: Sequence[tuple[Span, bytes]]) -> None:
    with open(writer, "wb") as file:
        file.writelines(array("Q", span) for within, entries in found for span in _alone(within, entries))
    os._exit(0)


def take(spans: Sequence[Span], wanted: Callable[[], object]) -> None:
    """Have pages of one's own there, as if one had written to them, until `wanted` says that there is more to do.

    What is no memory any more is left out.
    """
    for span in spans:
        if wanted():
            return
        _madvise(span.address, span.size, _POPULATE_WRITE)


def written(begin: int, end: int) -> list[bool]:
    """Of each page from `begin` to `end`, whether it is there and no file's."""
    with open("/proc/self/pagemap", "rb", buffering=0) as file:
        entries = array("Q", os.pread(file.fileno(), (end - begin) // _PAGE * _ENTRY, begin // _PAGE * _ENTRY))
    return [bool(entry & _PRESENT) and not entry & _OF_FILE for entry in entries]


def _writable() -> Iterator[Span]:
    """Memory that forks share until they write to it."""
    with open("/proc/self/maps", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            place, mode, *_ = line.split(maxsplit=2)
            if mode == "rw-p":
                begin, end = (int(number, 16) for number in place.split("-"))
                yield Span(begin, end - begin)


def _alone(within: Span, entries: bytes) -> Iterator[Span]:
    """Pages that only this process has. entries: what /proc/self/pagemap has of `within`."""
    begin = count = 0
    for number, entry in enumerate([*array("Q", entries), 0]):
        if entry & _PRESENT and entry & _ALONE and not entry & _OF_FILE:
            begin, count = (begin, count + 1) if count else (number, 1)
        elif count:
            yield Span(within.address + begin * _PAGE, count * _PAGE)
            count = 0

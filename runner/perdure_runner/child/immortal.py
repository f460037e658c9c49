"""Objects whose references are not counted any more, so that forks share the pages they are in.

Whoever uses an object counts that in the object itself, and so a session that changes nothing of what its zygote made
would still have its own copy of most of it. From 3.12 on CPython has objects that are not counted (PEP 683), and says
which by the count itself. A zygote's objects live as long as its runners anyway: here all of them become such objects.

In 3.11 they are counted on, from a number that no count comes near: what it is does not matter any more. So a page in
which nothing else has changed can be given back (`sharing.py`).
"""

from __future__ import annotations

import ctypes
import gc
import sys
import sysconfig
import types
from array import array
from collections.abc import Iterable
from typing import Any, Final, NamedTuple

_COUNT: Final = ctypes.c_uint32
_FOREVER: Final = 0xFFFFFFFF
"""What the lower half of an immortal object's count is, in 3.12 and 3.13 on 64-bit machines."""
_SIGN: Final = 0x80000000
_VERSIONS: Final = ((3, 12), (3, 13))
_WHOLE_COUNT: Final = ctypes.c_int64
_MANY: Final = 3 << 58
"""What is added to counts in 3.11: below 2 ** 61, as the collector has them in 62 bits. `_sharing.c` knows it too."""
_WARMUP: Final = 48
"""Where a code object of 3.11 has co_flags (32 bits), and then co_warmup (16 bits, with a sign)."""


class Uncounted(NamedTuple):
    """Addresses, in order: of counts that do not matter, and of words with 3.11's `co_warmup` in them."""

    counts: array[int]
    warmups: array[int]


def make_all(*, also_counted: bool = True) -> Uncounted:
    """Make immortal what exists now, as far as the collector and code objects lead to it.

    Nothing where this interpreter has none, or objects of another form. Meant for when the collector is off: much is
    looked at. also_counted: in 3.11, too, where it helps only those who give pages back.
    """
    if _has_immortal():
        return Uncounted(array("Q", sorted(_all_forever(_everything()[0]))), array("Q"))
    if also_counted and _is_counted_as_known():
        known, codes = _everything()
        return Uncounted(array("Q", sorted(_many_more(known))), array("Q", sorted(code + _WARMUP for code in codes)))
    return Uncounted(array("Q"), array("Q"))


def _all_forever(addresses: Iterable[int]) -> Iterable[int]:
    at = _COUNT.from_address
    for address in addresses:
        field = at(address)
        if not field.value & _SIGN:
            field.value = _FOREVER
            yield address


def _many_more(addresses: Iterable[int]) -> Iterable[int]:
    at = _WHOLE_COUNT.from_address
    for address in addresses:
        field = at(address)
        if field.value < _MANY >> 1:
            field.value += _MANY
            yield address


def _is_plain() -> bool:
    known = sys.implementation.name == "cpython" and sys.maxsize > 1 << 32 and sys.byteorder == "little"
    return known and not sysconfig.get_config_var("Py_GIL_DISABLED") and not hasattr(sys, "gettotalrefcount")


def _has_immortal() -> bool:
    """Is this an interpreter whose objects are as we know them? `None` is immortal in it, and an example becomes so."""
    if not _is_plain() or sys.version_info[:2] not in _VERSIONS or _COUNT.from_address(id(None)).value != _FOREVER:
        return False
    example = object()
    before, field = sys.getrefcount(example), _COUNT.from_address(id(example))
    if field.value != before - 1:  # the argument counts
        return False
    field.value = _FOREVER
    return sys.getrefcount(example) == _FOREVER


def _is_counted_as_known() -> bool:
    """Is this 3.11, and are counts and code objects as we know them? A new function becomes warmer by a call."""
    if not _is_plain() or sys.version_info[:2] != (3, 11):
        return False
    namespace: dict[str, Any] = {}
    exec("def example(): pass", namespace)  # noqa: S102 (a code object that nobody has called)
    example = namespace["example"]
    count = _WHOLE_COUNT.from_address(id(example))
    flags, warmup = ctypes.c_int32, ctypes.c_int16
    code = id(example.__code__)
    cold = warmup.from_address(code + _WARMUP + 4).value
    example()
    warmer = warmup.from_address(code + _WARMUP + 4).value == cold + 1 < 0
    is_count = sys.getrefcount(example) - 1 == count.value
    return warmer and is_count and flags.from_address(code + _WARMUP).value == example.__code__.co_flags


def _everything() -> tuple[set[int], set[int]]:
    """The addresses of all objects, and of code objects."""
    fresh: list[Any] = gc.get_objects()
    known = set(map(id, fresh))
    codes = set()
    while fresh:
        named = _named_by(fresh)
        fresh = []
        for thing in named:
            if id(thing) not in known:
                known.add(id(thing))
                fresh.append(thing)
                if type(thing) is types.CodeType:
                    codes.add(id(thing))
    return known, codes


def _named_by(things: list[Any]) -> list[Any]:
    named = gc.get_referents(*things)
    for thing in things:
        if type(thing) is types.CodeType:  # which the collector does not look into
            named += (thing.co_consts, thing.co_names, thing.co_linetable, thing.co_exceptiontable)
            named += (thing.co_name, thing.co_qualname, thing.co_filename)
    return named

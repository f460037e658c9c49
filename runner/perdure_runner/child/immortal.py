"""Objects whose references are not counted any more, so that forks share the pages they are in.

Whoever uses an object counts that in the object itself, and so a session that changes nothing of what its zygote made
would still have its own copy of most of it. From 3.12 on CPython has objects that are not counted (PEP 683), and says
which by the count itself. A zygote's objects live as long as its runners anyway: here all of them become such objects.
"""

from __future__ import annotations

import ctypes
import gc
import sys
import sysconfig
import types
from collections.abc import Iterable
from typing import Any, Final

_COUNT: Final = ctypes.c_uint32
_FOREVER: Final = 0xFFFFFFFF
"""What the lower half of an immortal object's count is, in 3.12 and 3.13 on 64-bit machines."""
_SIGN: Final = 0x80000000
_VERSIONS: Final = ((3, 12), (3, 13))


def make_all() -> int:
    """Make immortal what exists now, as far as the collector and code objects lead to it. Returns how many became so.

    0 where this interpreter has none, or ones of another form. Meant for when the collector is off: much is looked at.
    """
    if not _possible():
        return 0
    count = 0
    at = _COUNT.from_address
    for address in _everything():
        field = at(address)
        if not field.value & _SIGN:
            field.value = _FOREVER
            count += 1
    return count


def _possible() -> bool:
    """Is this an interpreter whose objects are as we know them? `None` is immortal in it, and an example becomes so."""
    known = sys.implementation.name == "cpython" and sys.version_info[:2] in _VERSIONS and sys.maxsize > 1 << 32
    if not known or sys.byteorder != "little" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return False
    if hasattr(sys, "gettotalrefcount") or _COUNT.from_address(id(None)).value != _FOREVER:
        return False
    example = object()
    before, field = sys.getrefcount(example), _COUNT.from_address(id(example))
    if field.value != before - 1:  # the argument counts
        return False
    field.value = _FOREVER
    return sys.getrefcount(example) == _FOREVER


def _everything() -> Iterable[int]:
    """The addresses of all objects."""
    fresh: list[Any] = gc.get_objects()
    known = set(map(id, fresh))
    while fresh:
        named = _named_by(fresh)
        fresh = []
        for thing in named:
            if id(thing) not in known:
                known.add(id(thing))
                fresh.append(thing)
    return known


def _named_by(things: list[Any]) -> list[Any]:
    named = gc.get_referents(*things)
    for thing in things:
        if type(thing) is types.CodeType:  # which the collector does not look into
            named += (thing.co_consts, thing.co_names, thing.co_linetable, thing.co_exceptiontable)
            named += (thing.co_name, thing.co_qualname, thing.co_filename)
    return named

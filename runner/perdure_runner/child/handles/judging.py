"""What is a live object and what is data, by its class."""

from __future__ import annotations

import datetime as dt
import enum
import types
from typing import Final

from perdure import _handle

from perdure_runner.child import inert
from perdure_runner.child.fingerprint_parts import is_user_class
from perdure_runner.child.handles import registry, shape
from perdure_runner.child.preview import declared_state

NEVER: Final = (
    *(type, types.ModuleType, types.CodeType, types.FrameType, types.TracebackType, types.FunctionType),
    *(BaseException, list, tuple, dict, set, frozenset, str, bytes, int, float, complex, types.NoneType),
)
"""What is no live object, whatever it holds."""
_DATA: Final = (*NEVER, enum.Enum, bytearray, memoryview, range, slice, dt.date, dt.timedelta, property)
_DATA_MODULES: Final = frozenset(
    {
        *("collections", "datetime", "decimal", "email", "enum", "fractions", "ipaddress", "pathlib", "re", "time"),
        *("types", "uuid", "zoneinfo"),
    }
)
_MAX_CLASSES: Final = 4096

_live_classes: dict[int, tuple[type, int, bool]] = {}  # by id, and kept alive: no metaclass is asked for a hash


def is_live_class(cls: type) -> bool:
    """Is every object of this class a handle, though it might be picklable?"""
    registrations = len(_handle.registered)
    known = _live_classes.get(id(cls))
    if known is None or known[1] != registrations:
        if len(_live_classes) >= _MAX_CLASSES:
            _live_classes.clear()
        live = inert.module_of(cls) != "builtins" and registry.kind_of(shape.lineage_of(cls), registrations)[1]
        known = _live_classes[id(cls)] = cls, registrations, live
    return known[2]


def is_data(thing: object) -> bool:
    """Is an attribute's value plain data, a copy of which is as good as the thing itself?"""
    cls = type(thing)
    if issubclass(cls, _DATA) or inert.module_of(cls).partition(".")[0] in _DATA_MODULES:
        return True
    return is_user_class(cls) or declared_state(thing) is not None

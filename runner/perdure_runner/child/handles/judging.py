"""What is a live object and what is data, by its class."""

from __future__ import annotations

import datetime as dt
import enum
import sys
import types
from typing import TYPE_CHECKING, Final

from perdure import _handle, _runtime

from perdure_runner.child.handles import registry, shape
from perdure_runner.child.policy.known import Verdict
from perdure_runner.child.values import inert
from perdure_runner.child.values.fingerprint_parts import is_user_class
from perdure_runner.child.values.preview import declared_state

if TYPE_CHECKING:
    from perdure_runner.child.policy.policy import Policy

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
_DATA_LIBRARIES: Final = frozenset(
    {
        *("PIL", "arrow", "astropy", "babel", "bs4", "cftime", "dateutil", "geopandas", "lxml", "networkx", "nltk"),
        *("numpy", "pandas", "pendulum", "polars", "pyarrow", "pytz", "rdflib", "scipy", "shapely", "sklearn", "spacy"),
        *("statsmodels", "sympy", "torch", "tzlocal", "xarray"),
    }
)
"""Libraries whose objects are data: they are recorded as values, where they can be pickled."""
_DECLARED: Final = ("__dataclass_fields__", "__attrs_attrs__", "__pydantic_fields__", "_fields")
_MAX_CLASSES: Final = 4096

_live_classes: dict[int, tuple[type, int, bool]] = {}  # by id, and kept alive: no metaclass is asked for a hash


def is_live_class(cls: type, policy: Policy) -> bool:
    """Is every object of this class a handle, though it might be picklable?"""
    version = len(_handle.registered) + _runtime.no_activity.version
    known = _live_classes.get(id(cls))
    if known is None or known[1] != version:
        if len(_live_classes) >= _MAX_CLASSES:
            _live_classes.clear()
        known = _live_classes[id(cls)] = cls, version, _is_live_class(cls, policy)
    return known[2]


def _is_live_class(cls: type, policy: Policy) -> bool:
    top = inert.module_of(cls).partition(".")[0]
    if top == "builtins" or issubclass(cls, BaseException):
        return False  # an HTTPError of urllib's is a response, too, but it is raised
    kind, always = registry.kind_of(shape.lineage_of(cls), len(_handle.registered))
    if kind is not None or top in sys.stdlib_module_names or top in _DATA_LIBRARIES or issubclass(cls, NEVER):
        return always
    return policy.verdict(cls) is Verdict.ACTIVITY and not policy.is_user_class(cls) and not _is_value_class(cls)


def _is_value_class(cls: type) -> bool:
    """Do its objects equal others, or declare their fields? A copy is as good, unless its end closes something."""
    if inert.lookup(cls, "__del__") is not None:
        return False
    equal = inert.lookup(cls, "__eq__")
    return (equal is not None and equal[0] is not object) or any(inert.lookup(cls, mark) for mark in _DECLARED)


def is_data(thing: object) -> bool:
    """Is an attribute's value plain data, a copy of which is as good as the thing itself?"""
    cls = type(thing)
    if issubclass(cls, _DATA) or inert.module_of(cls).partition(".")[0] in _DATA_MODULES:
        return True
    return is_user_class(cls) or declared_state(thing) is not None

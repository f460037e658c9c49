"""What an object contributes to a fingerprint: a label of atoms, and the objects that it is made of."""

import datetime as dt
import decimal
import enum
import functools
import os
import pathlib
import re
import sys
import types
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from itertools import chain
from typing import Any, NamedTuple

from perdure_runner.child.values import inert
from perdure_runner.child.values.preview import declared_state

# Modules of the standard library whose Python classes are data: their instances count with all their state.
_DATA_MODULES = frozenset({"argparse", "collections", "fractions", "types", "uuid"})
_LIBRARY_FOLDERS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep
_MAX_VERDICTS = 4096
HANDLE = "__perdure_handle__"
"""In the namespace of a class whose instances stand for live objects."""


class Parts(NamedTuple):
    """`label` holds atoms; `ordered` and `unordered` are what to go on with. `opaque`: its state does not count."""

    label: tuple[object, ...]
    ordered: list[Any] = []  # noqa: RUF012 - never changed
    unordered: list[Any] = []  # noqa: RUF012
    opaque: bool = False


def parts_of(item: Any) -> Parts:
    """The parts of anything that is no atom. Runs no user code."""
    kind = type(item)
    if kind is list or kind is tuple:
        return Parts((kind.__name__,), list(item))
    if kind is dict:
        return Parts(("dict",), list(chain.from_iterable(item.items())))
    expand = _EXACT.get(kind)
    if expand is not None:
        return expand(item)
    for base, expand in _BASES:
        if issubclass(kind, base):
            parts = expand(item)
            state = _state(item) if has_state(item) else []
            return Parts((inert.type_name(kind), *parts.label), [*parts.ordered, *state], parts.unordered)
    if inert.type_name(kind) == "array.array":
        return Parts(("array", item.typecode, item.tobytes()))
    if HANDLE in inert.namespace(kind):
        return Parts(("handle", inert.type_name(kind)), [object.__getattribute__(item, "_perdure_token")])
    if has_state(item):
        return Parts((inert.type_name(kind),), _state(item))
    return Parts((inert.type_name(kind),), opaque=True)


def length_of(item: Any) -> int:
    """The length of a builtin container, 0 for anything else. Runs no user code."""
    for base in (list, tuple, dict, set, frozenset, deque, str, bytes, bytearray):
        if issubclass(type(item), base):
            return base.__len__(item)
    return 0


def _state(item: object) -> list[Any]:
    """Attributes and slots as a flat list, by name: the order in which they were set does not count."""
    state = dict(inert.slots(item))
    state.update((name, value) for name, value in (inert.instance_dict(item) or {}).items() if type(name) is str)
    return [part for name in sorted(state) for part in (name, state[name])]


def has_state(item: object) -> bool:
    """Does the object count with its state, or, as a thing of some library's, with the name of its type only?"""
    return is_user_class(type(item)) or declared_state(item) is not None


@functools.lru_cache(_MAX_VERDICTS)
def is_user_module(module: str) -> bool:
    """Is the module of this name neither of the standard library nor in an installed package?"""
    top = module.partition(".")[0]
    if module in _DATA_MODULES or top == "perdure":
        return True
    if top == "perdure_runner":  # as a session's `sys.stdout`, behind which is all that we know of the session
        return False
    if top in sys.stdlib_module_names and module != "__main__":
        return False
    found = sys.modules.get(module)
    file = None if found is None else (inert.instance_dict(found) or {}).get("__file__")
    if type(file) is not str:
        return True  # made by exec, or in the terminal
    return not file.startswith(_STANDARD_LIBRARY) and not any(folder in file for folder in _LIBRARY_FOLDERS)


_verdicts: dict[int, tuple[type, bool]] = {}  # by id, and kept alive: no metaclass is asked for a hash


def is_user_class(cls: type) -> bool:
    """Is the class defined neither in the standard library nor in an installed package?"""
    known = _verdicts.get(id(cls))
    if known is None:
        if len(_verdicts) >= _MAX_VERDICTS:
            _verdicts.clear()
        known = _verdicts[id(cls)] = cls, is_user_module(inert.module_of(cls))
    return known[1]


def _ordered_dict(item: Any) -> Parts:
    return Parts(("ordered",), [*chain.from_iterable(dict.items(item)), *OrderedDict.__iter__(item)])


def _default_dict(item: Any) -> Parts:
    factory = defaultdict.__dict__["default_factory"].__get__(item)
    return Parts(("default",), [factory, *chain.from_iterable(dict.items(item))])


def _deque(item: Any) -> Parts:
    return Parts(("deque", deque.__dict__["maxlen"].__get__(item)), list(deque.__iter__(item)))


def _enum(item: Any) -> Parts:
    fields = inert.instance_dict(item) or {}
    return Parts((), [fields.get("_name_"), fields.get("_value_")])


def _exception(item: BaseException) -> Parts:
    return Parts((), [BaseException.__dict__["args"].__get__(item)])


def _function(item: types.FunctionType) -> Parts:
    return Parts(("function", item.__module__ if type(item.__module__) is str else None, item.__qualname__))


def _builtin(item: types.BuiltinFunctionType) -> Parts:
    owner = item.__self__
    return Parts(("builtin", item.__qualname__), [] if issubclass(type(owner), types.ModuleType) else [owner])


def _method(item: types.MethodType) -> Parts:
    return Parts(("method",), [item.__func__, item.__self__])


def _partial(item: Any) -> Parts:
    return Parts((), [functools.partial.__dict__[name].__get__(item) for name in ("func", "args", "keywords")])


def _class(item: type) -> Parts:
    return Parts(("class", inert.type_name(item)))


def _module(item: types.ModuleType) -> Parts:
    name = (inert.instance_dict(item) or {}).get("__name__")
    return Parts(("module", name if type(name) is str else None))


def _memory(item: memoryview) -> Parts:
    try:
        return Parts(("memoryview", item.tobytes()))
    except ValueError:  # released
        return Parts(("memoryview",))


def _date_time(item: Any) -> Parts:
    base = dt.datetime if issubclass(type(item), dt.datetime) else dt.time
    return Parts((), list(base.__reduce_ex__(item, 4)[1]))


def _timedelta(item: Any) -> Parts:
    return Parts(tuple(dt.timedelta.__dict__[part].__get__(item) for part in ("days", "seconds", "microseconds")))


_Expand = Callable[[Any], Parts]

# Types that cannot be subclassed, or that are looked at more closely than their bases.
_EXACT: dict[type, _Expand] = {
    set: lambda item: Parts(("set",), [], list(item)),
    frozenset: lambda item: Parts(("frozenset",), [], list(item)),
    bytearray: lambda item: Parts(("bytearray", bytes(item))),
    memoryview: _memory,
    range: lambda item: Parts(("range", item.start, item.stop, item.step)),
    slice: lambda item: Parts(("slice",), [item.start, item.stop, item.step]),
    types.FunctionType: _function,
    types.BuiltinFunctionType: _builtin,
    types.MethodType: _method,
    re.Pattern: lambda item: Parts(("pattern", item.flags), [item.pattern]),
    dt.timezone: lambda item: Parts(("timezone", repr(item))),
}

# Reached through the methods of the base, so that those of a subclass never run.
_BASES: tuple[tuple[type, _Expand], ...] = (
    (enum.Enum, _enum),
    (type, _class),
    (types.ModuleType, _module),
    (str, lambda item: Parts((str.__str__(item),))),
    (int, lambda item: Parts((int.__int__(item),))),
    (float, lambda item: Parts((float.__float__(item),))),
    (complex, lambda item: Parts((complex.__complex__(item),))),
    (bytes, lambda item: Parts((bytes.__getitem__(item, slice(None)),))),
    (bytearray, lambda item: Parts((bytes(bytearray.__getitem__(item, slice(None))),))),
    (list, lambda item: Parts(("list",), list(list.__iter__(item)))),
    (tuple, lambda item: Parts(("tuple",), list(tuple.__iter__(item)))),
    (OrderedDict, _ordered_dict),
    (defaultdict, _default_dict),
    (dict, lambda item: Parts(("dict",), list(chain.from_iterable(dict.items(item))))),
    (set, lambda item: Parts(("set",), [], list(set.__iter__(item)))),
    (frozenset, lambda item: Parts(("frozenset",), [], list(frozenset.__iter__(item)))),
    (deque, _deque),
    (BaseException, _exception),
    (functools.partial, _partial),
    (dt.datetime, _date_time),
    (dt.time, _date_time),
    (dt.date, lambda item: Parts((), list(dt.date.__reduce__(item)[1]))),
    (dt.timedelta, _timedelta),
    (decimal.Decimal, lambda item: Parts((decimal.Decimal.__str__(item),))),
    (pathlib.PurePath, lambda item: Parts((pathlib.PurePath.__str__(item),))),
)

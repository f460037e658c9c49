"""A short text of a value for people: bounded in depth, items and characters, and made without running user code."""

import datetime as dt
import decimal
import enum
import fractions
import pathlib
import re
import types
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from perdure_runner.child.values import inert

_MAX_DEPTH = 4
_MAX_ITEMS = 20
_MAX_BITS = 1024  # of an int written in full: the interpreter refuses to write very long ones
_ELLIPSIS = "..."
_SHORT = 100  # characters
_SHORT_INT = 1 << 64
_SHORT_REPR = frozenset({types.NoneType, bool, float})

# Types whose own repr is C or standard-library code over plain parts. Exact types only.
_PLAIN_REPR = frozenset(
    {types.NoneType, bool, float, complex, range, types.EllipsisType, types.NotImplementedType}
    | {dt.date, dt.timedelta, dt.timezone, decimal.Decimal, fractions.Fraction, uuid.UUID}
    | {pathlib.PosixPath, pathlib.PurePosixPath, pathlib.PureWindowsPath}
)


def preview(value: object, limit: int = 200) -> str:
    """`value` in the manner of repr, at most `limit` characters. Never raises for any value."""
    writer = _Writer(limit)
    try:
        writer.write(value, 0)
    except _FullError:
        return "".join(writer.parts)[: max(0, limit - len(_ELLIPSIS))] + _ELLIPSIS[:limit]
    except RuntimeError:  # a container changed by another thread meanwhile, or no stack left
        return _clip(f"<{inert.type_name(type(value))}>", limit)
    return _clip("".join(writer.parts), limit)


def preview_call(args: tuple[object, ...], kwargs: dict[str, object], limit: int = 200) -> str:
    """The arguments of a call as in source: `1, 'a', key=2`."""
    if len(args) <= _MAX_ITEMS and not kwargs and all(map(_is_short, args)):
        text = ", ".join(map(repr, args))
        if len(text) <= limit:
            return text
    writer = _Writer(limit)
    try:
        writer.call(((None, value) for value in args), -1)
        if args and kwargs:
            writer.put(", ")
        writer.call(iter(kwargs.items()), -1)
    except _FullError:
        return "".join(writer.parts)[: max(0, limit - len(_ELLIPSIS))] + _ELLIPSIS[:limit]
    except RuntimeError:
        return _ELLIPSIS
    return "".join(writer.parts)


def _is_short(value: object) -> bool:
    """Is its repr short, and C code alone? So are most arguments, and no `_Writer` is needed for them."""
    kind = type(value)
    if kind is str:
        return len(value) < _SHORT  # type: ignore[arg-type]
    return kind in _SHORT_REPR or (kind is int and -_SHORT_INT < value < _SHORT_INT)  # type: ignore[operator]


def _clip(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(0, limit - len(_ELLIPSIS))] + _ELLIPSIS[:limit]


class _FullError(Exception):
    """The text has reached its limit."""


class _Writer:
    def __init__(self, limit: int) -> None:
        self.parts: list[str] = []
        self._room = limit
        self._limit = limit

    def put(self, text: str) -> None:
        self.parts.append(text)
        self._room -= len(text)
        if self._room < 0:
            raise _FullError

    def write(self, value: Any, depth: int) -> None:
        kind = type(value)
        if kind is str or kind is bytes or kind is bytearray:
            head = value[: self._limit]
            self.put(repr(head))
        elif kind is int:
            self.put(repr(value) if value.bit_length() <= _MAX_BITS else f"<int of {value.bit_length()} bits>")
        elif kind in _PLAIN_REPR:
            self.put(repr(value))
        elif (writer := _WRITERS.get(kind) or _writer_of(kind)) is None:
            self.instance(value, depth)
        elif depth >= _MAX_DEPTH:
            self.put(_ELLIPSIS)
        else:
            writer(self, value, depth)

    def items(self, opening: str, values: Iterable[object], closing: str, count: int, depth: int) -> None:
        self.put(opening)
        for index, value in enumerate(islice(values, _MAX_ITEMS)):
            if index:
                self.put(", ")
            self.write(value, depth + 1)
        if count > _MAX_ITEMS:
            self.put(f", {_ELLIPSIS} {count - _MAX_ITEMS} more")
        self.put(closing)

    def pairs(self, opening: str, pairs: Iterable[tuple[object, object]], closing: str, count: int, depth: int) -> None:
        self.put(opening)
        for index, (key, value) in enumerate(islice(pairs, _MAX_ITEMS)):
            if index:
                self.put(", ")
            self.write(key, depth + 1)
            self.put(": ")
            self.write(value, depth + 1)
        if count > _MAX_ITEMS:
            self.put(f", {_ELLIPSIS} {count - _MAX_ITEMS} more")
        self.put(closing)

    def call(self, arguments: Iterator[tuple[str | None, object]], depth: int) -> None:
        for index, (name, value) in enumerate(islice(arguments, _MAX_ITEMS + 1)):
            if index:
                self.put(", ")
            if index == _MAX_ITEMS:
                self.put(_ELLIPSIS)
                break
            self.put("" if name is None else f"{name}=")
            self.write(value, depth + 1)

    def instance(self, value: Any, depth: int) -> None:
        """Any other object: its type, and its fields where it declares them."""
        kind = type(value)
        state = declared_state(value)
        if state is None or depth >= _MAX_DEPTH:
            self.put(f"<{inert.type_name(kind)}>")
            return
        self.put(f"{inert.qualname_of(kind)}(")
        self.call(iter(state.items()), depth)
        self.put(")")


def declared_state(value: object) -> dict[str, object] | None:
    """The fields of a dataclass, attrs or pydantic instance by name; None for anything else."""
    kind = type(value)
    if not any(inert.lookup(kind, mark) for mark in ("__dataclass_fields__", "__attrs_attrs__", "__pydantic_fields__")):
        return None
    state = dict(inert.slots(value))
    state.update(inert.instance_dict(value) or {})
    return {name: field for name, field in state.items() if type(name) is str and not name.startswith("__")}


def _list(writer: _Writer, value: Any, depth: int) -> None:
    writer.items("[", list.__iter__(value), "]", list.__len__(value), depth)


def _tuple(writer: _Writer, value: Any, depth: int) -> None:
    count = tuple.__len__(value)
    fields = inert.lookup(type(value), "_fields")
    if fields is not None and type(fields[1]) is tuple and len(fields[1]) == count:
        writer.put(f"{inert.qualname_of(type(value))}(")
        writer.call(zip(fields[1], tuple.__iter__(value), strict=True), depth)
        writer.put(")")
    else:
        writer.items("(", tuple.__iter__(value), ",)" if count == 1 else ")", count, depth)


def _dict(writer: _Writer, value: Any, depth: int) -> None:
    writer.pairs("{", dict.items(value), "}", dict.__len__(value), depth)


def _set(writer: _Writer, value: Any, depth: int) -> None:
    base = set if issubclass(type(value), set) else frozenset
    count = base.__len__(value)
    if count:
        writer.items("{", base.__iter__(value), "}", count, depth)
    else:
        writer.put(f"{base.__name__}()")


def _deque(writer: _Writer, value: Any, depth: int) -> None:
    writer.items("deque([", deque.__iter__(value), "])", deque.__len__(value), depth)


def _text(writer: _Writer, value: Any, depth: int) -> None:
    writer.write(str.__str__(value), depth)


def _binary(writer: _Writer, value: Any, depth: int) -> None:
    writer.write(bytes.__getitem__(value, slice(None, 1000)), depth)


def _integer(writer: _Writer, value: Any, depth: int) -> None:
    writer.write(int.__int__(value), depth)


def _float(writer: _Writer, value: Any, depth: int) -> None:
    writer.write(float.__float__(value), depth)


def _enum(writer: _Writer, value: Any, _depth: int) -> None:
    name = (inert.instance_dict(value) or {}).get("_name_")
    writer.put(f"{inert.qualname_of(type(value))}.{name if type(name) is str else '?'}")


def _exception(writer: _Writer, value: Any, depth: int) -> None:
    writer.put(inert.qualname_of(type(value)))
    args: tuple[object, ...] = BaseException.__dict__["args"].__get__(value)
    writer.items("(", args, ")", len(args), depth)


def _class(writer: _Writer, value: Any, _depth: int) -> None:
    writer.put(f"<class '{inert.type_name(value)}'>")


def _function(writer: _Writer, value: types.FunctionType, _depth: int) -> None:
    writer.put(f"<function {value.__module__ if type(value.__module__) is str else '?'}.{value.__qualname__}>")


def _builtin(writer: _Writer, value: types.BuiltinFunctionType, _depth: int) -> None:
    writer.put(f"<function {value.__name__}>")


def _method(writer: _Writer, value: types.MethodType, _depth: int) -> None:
    inner = value.__func__
    name = inner.__qualname__ if type(inner) is types.FunctionType else "?"
    writer.put(f"<method {name}>")


def _module(writer: _Writer, value: types.ModuleType, _depth: int) -> None:
    name = (inert.instance_dict(value) or {}).get("__name__")
    writer.put(f"<module {name if type(name) is str else '?'}>")


def _datetime(writer: _Writer, value: dt.datetime | dt.time, _depth: int) -> None:
    zone = value.tzinfo
    if zone is None or type(zone) is dt.timezone or inert.module_of(type(zone)).startswith("zoneinfo"):
        writer.put(repr(value))
    else:  # a time zone of the user's own would be asked for its offset
        writer.put(f"{value.replace(tzinfo=None)!r} in <{inert.type_name(type(zone))}>")


def _pattern(writer: _Writer, value: re.Pattern[str], depth: int) -> None:
    writer.put("re.compile(")
    writer.write(value.pattern, depth)
    writer.put(")")


_WriteFunction = Callable[[_Writer, Any, int], None]
_WRITERS: dict[type, _WriteFunction] = {
    list: _list,
    tuple: _tuple,
    dict: _dict,
    OrderedDict: _dict,
    defaultdict: _dict,
    set: _set,
    frozenset: _set,
    deque: _deque,
    types.FunctionType: _function,
    types.BuiltinFunctionType: _builtin,
    types.MethodType: _method,
    dt.datetime: _datetime,
    dt.time: _datetime,
    re.Pattern: _pattern,
}
_BASES: tuple[tuple[type, _WriteFunction], ...] = (
    (enum.Enum, _enum),
    (BaseException, _exception),
    (type, _class),
    (types.ModuleType, _module),
    (str, _text),
    (bytes, _binary),
    (int, _integer),
    (float, _float),
    (list, _list),
    (tuple, _tuple),
    (dict, _dict),
    (set, _set),
    (frozenset, _set),
    (deque, _deque),
)


def _writer_of(kind: type) -> _WriteFunction | None:
    for base, writer in _BASES:
        if issubclass(kind, base):
            return writer
    return None

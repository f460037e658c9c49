"""Library objects whose state only their own pickling knows: a buffer, a frame of data, a generator of random numbers.

What `__reduce_ex__` says is compared before and after a call, and its state is put back by `__setstate__`, as
unpickling does. Objects that cannot be pickled are no values: they are handles, or nothing that can be recorded.
"""

from __future__ import annotations

import pickle
import types
from hashlib import blake2b
from typing import Any

from perdure_runner.child.values import inert
from perdure_runner.child.values.fingerprint_parts import HANDLE

MAX_BYTES = 1 << 20
"""Of one object's pickle; the state of a larger one is not compared."""

_MAX_TYPES = 4096
_unpicklable: set[type] = set()
"""Types whose instances turned out to be no values."""
_IMMUTABLE = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.CodeType)


class Opaque:
    """What a library object looked like. `whole` tells its identity, `state` what can be put back."""

    __slots__ = ("state", "whole")

    def __init__(self, whole: bytes, state: bytes) -> None:
        self.whole = whole
        self.state = state

    def __eq__(self, other: object) -> bool:
        return type(other) is Opaque and (self.whole, self.state) == (other.whole, other.state)

    __hash__ = None  # type: ignore[assignment]


def look(thing: Any) -> Opaque | None:
    """What it looks like now; None: nothing that can be compared."""
    kind = type(thing)
    if kind in _unpicklable or issubclass(kind, _IMMUTABLE) or HANDLE in inert.namespace(kind):
        return None
    try:
        reduced = thing.__reduce_ex__(4)
    except Exception:  # noqa: BLE001 - the library's own code, or its refusal
        _leave_out(kind)
        return None
    if type(reduced) is not tuple or not 1 < len(reduced) < 6:  # a global's name, or a reduction with code of its own
        return None
    try:
        return Opaque(_digest(reduced[:2]), _digest(_state(reduced)))
    except Exception:  # noqa: BLE001 - too large, or what it holds cannot be pickled
        return None


def take(thing: Any) -> tuple[Any, ...] | None:
    """What `put` takes: the state, list items and dict items of its reduction. None: there is nothing to put back."""
    state = _state(thing.__reduce_ex__(4))
    return None if state == (None, None, None) else state


def put(thing: Any, state: tuple[Any, ...]) -> None:
    """Make `thing` hold that state, as unpickling would. Runs the library's `__setstate__`."""
    own, items, pairs = state
    if items is not None:
        del thing[:]
        thing.extend(items)
    if pairs is not None:
        thing.clear()
        for key, value in pairs:
            thing[key] = value
    if own is None:
        return
    if inert.type_name(type(thing)) == "numpy.ndarray":
        _put_ndarray(thing, own)
    elif (set_state := getattr(thing, "__setstate__", None)) is not None:
        set_state(own)
    else:
        attributes, slots = own if type(own) is tuple and len(own) == 2 else (own, None)
        if attributes is not None:
            thing.__dict__.clear()
            thing.__dict__.update(attributes)
        for name, value in (slots or {}).items():
            setattr(thing, name, value)


def _put_ndarray(thing: Any, own: tuple[Any, ...]) -> None:
    """Its `__setstate__` would give it memory of its own, apart from the arrays that it shares it with."""
    fresh = type(thing)((0,))
    fresh.__setstate__(own)
    if fresh.shape == thing.shape and fresh.dtype == thing.dtype:
        thing[...] = fresh
    else:
        thing.__setstate__(own)


def _state(reduced: tuple[Any, ...]) -> tuple[Any, ...]:
    state, items, pairs = (*reduced[2:], None, None, None)[:3]
    return state, None if items is None else list(items), None if pairs is None else list(pairs)


def _leave_out(kind: type) -> None:
    if len(_unpicklable) >= _MAX_TYPES:
        _unpicklable.clear()
    _unpicklable.add(kind)


class _TooLarge(Exception):  # noqa: N818 - control flow
    """The pickle has reached its limit."""


class _Hashing:
    """A file that only hashes what is written to it."""

    def __init__(self) -> None:
        self.hasher = blake2b(digest_size=16)
        self._left = MAX_BYTES

    def write(self, data: Any) -> None:
        self._left -= len(data) if type(data) is bytes else memoryview(data).nbytes
        if self._left < 0:
            raise _TooLarge
        self.hasher.update(data)


def _digest(value: object) -> bytes:
    sink = _Hashing()
    pickle.Pickler(sink, 5).dump(value)
    return sink.hasher.digest()

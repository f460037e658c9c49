"""The state of one object, apart from its parts: taken after a call has changed it, and put back in replay.

Only the object's own state: the parts are recorded as themselves, and those that were there before the call stay the
very same objects. No user code runs, but for the hashes of new keys and the `__setstate__` of library objects.
"""

from __future__ import annotations

import array
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from types import MemberDescriptorType
from typing import Any

from perdure_runner.child.effects.bindings import Bindings
from perdure_runner.child.values import inert
from perdure_runner.child.values.fingerprint_parts import has_state

State = dict[str, Any]
"""Recorded in pickles: never rename a key. `content`, `attributes`, `slots` are there where the object has them."""


def take(thing: Any) -> State | None:
    """What `thing` holds now; None: it is of a kind that cannot be changed."""
    kind = type(thing)
    if kind is Bindings:
        return {"content": thing.values()}
    state: State = {}
    for base, get, _ in _CONTAINERS:
        if issubclass(kind, base):
            state["content"] = get(thing)
            break
    if has_state(thing):
        attributes = inert.instance_dict(thing)
        if attributes is not None:
            state["attributes"] = dict(attributes)
        slots = dict(_slots(thing))
        if slots:
            state["slots"] = slots
    return state or None


def put(thing: Any, state: State) -> None:
    """Make `thing` hold what `take` returned of it. Raises what the object's type does when it refuses."""
    kind = type(thing)
    if kind is Bindings:
        thing.bind(state["content"])
        return
    if "content" in state:
        for base, _, set_ in _CONTAINERS:
            if issubclass(kind, base):
                set_(thing, state["content"])
                break
    if "attributes" in state:
        attributes = inert.instance_dict(thing)
        if attributes is not None:
            attributes.clear()
            attributes.update(state["attributes"])
    wanted = state.get("slots")
    if wanted is not None:
        present = dict(_slots(thing))
        for _owner, name, descriptor in _slot_descriptors(kind):
            if name in wanted:
                descriptor.__set__(thing, wanted[name])
            elif name in present:
                descriptor.__delete__(thing)


def hashes(thing: object) -> bool:
    """Does putting its state back ask the parts for their hashes? They must have their own state by then."""
    return issubclass(type(thing), dict | set)


def _slot_descriptors(kind: type) -> list[tuple[type, str, Any]]:
    """As `inert.members`, but with the slots of pydantic, whose names have two underscores at both ends."""
    found: dict[str, tuple[type, str, Any]] = {}
    for owner in inert.mro(kind):
        if inert.module_of(owner) == "builtins":
            continue
        for name, descriptor in inert.namespace(owner).items():
            if type(descriptor) is MemberDescriptorType and name not in found and name != "__weakref__":
                found[name] = owner, name, descriptor
    return list(found.values())


def _slots(thing: object) -> list[tuple[str, object]]:
    values = []
    for _owner, name, descriptor in _slot_descriptors(type(thing)):
        try:
            values.append((name, descriptor.__get__(thing)))
        except AttributeError:  # not set
            continue
    return values


def _ordered(thing: Any) -> dict[Any, Any]:
    return {key: dict.__getitem__(thing, key) for key in OrderedDict.__iter__(thing)}


def _put_ordered(thing: Any, content: dict[Any, Any]) -> None:
    OrderedDict.clear(thing)
    for key, value in content.items():
        OrderedDict.__setitem__(thing, key, value)


def _default(thing: Any) -> tuple[Any, dict[Any, Any]]:
    return defaultdict.__dict__["default_factory"].__get__(thing), dict(dict.items(thing))


def _put_default(thing: Any, content: tuple[Any, dict[Any, Any]]) -> None:
    defaultdict.__dict__["default_factory"].__set__(thing, content[0])
    _put_dict(thing, content[1])


def _put_dict(thing: Any, content: dict[Any, Any]) -> None:
    dict.clear(thing)
    for key, value in content.items():
        dict.__setitem__(thing, key, value)


def _put_set(thing: Any, content: list[Any]) -> None:
    set.clear(thing)
    set.update(thing, content)


def _put_deque(thing: Any, content: list[Any]) -> None:
    deque.clear(thing)
    deque.extend(thing, content)


def _put_bytes(thing: Any, content: bytes) -> None:
    if bytearray.__len__(thing) == len(content):  # in place also where a memoryview looks at it
        memoryview(thing)[:] = content
    else:
        bytearray.__setitem__(thing, slice(None), content)


def _memory(thing: memoryview) -> bytes | None:
    return None if thing.readonly else thing.tobytes()


def _put_memory(thing: memoryview, content: bytes | None) -> None:
    if content is not None and thing.contiguous:
        thing.cast("B")[:] = content


def _put_array(thing: Any, content: bytes) -> None:
    if len(thing) * thing.itemsize == len(content):
        memoryview(thing).cast("B")[:] = content
    else:
        del thing[:]
        thing.frombytes(content)


# Through the methods of the base, so that those of a subclass never run; the more special base comes first.
_CONTAINERS: tuple[tuple[type, Callable[[Any], Any], Callable[[Any, Any], None]], ...] = (
    (list, lambda thing: list(list.__iter__(thing)), lambda thing, new: list.__setitem__(thing, slice(None), new)),
    (OrderedDict, _ordered, _put_ordered),
    (defaultdict, _default, _put_default),
    (dict, lambda thing: dict(dict.items(thing)), _put_dict),
    (set, lambda thing: list(set.__iter__(thing)), _put_set),
    (deque, lambda thing: list(deque.__iter__(thing)), _put_deque),
    (bytearray, lambda thing: bytes(bytearray.__getitem__(thing, slice(None))), _put_bytes),
    (memoryview, _memory, _put_memory),
    (array.array, lambda thing: thing.tobytes(), _put_array),
)

"""The parts of a call's arguments, small enough for the journal: how a divergence names the first one that differs.

The preview of the arguments tells all there is to tell about most calls. Where it does not (long texts, many items, a
user's objects), the first row of the call also has a few bytes for each part: a digest of its path, such as
``args[1]['items'][2]``, and one of its value. Who makes another call in replay has the new arguments at hand, and so
their paths; the server puts both sides together (`perdure_server.core.arguments`). No user code runs.
"""

from __future__ import annotations

import itertools
import marshal
from binascii import crc32
from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import Any, Final, NamedTuple

from perdure_runner.child.values import inert
from perdure_runner.child.values.fingerprint import fingerprint
from perdure_runner.child.values.preview import declared_state, preview

MAX_PARTS: Final = 48
"""Parts of all arguments together; a container that has too many for the rest is divided into ranges."""
MAX_RANGES: Final = 16
PATH_LENGTH: Final = 200  # characters
TEXT_LENGTH: Final = 200  # characters of a value's preview

_ATOMS: Final = frozenset({type(None), bool, int, float, complex, str, bytes})
_KEY_LENGTH: Final = 80  # characters of a key in a path


class Part(NamedTuple):
    """A value among the arguments, or how many values a container has (then `value` is its preview)."""

    path: str
    value: Any
    is_size: bool = False


class _Inner(NamedTuple):
    """The values of a container, and what each adds to the path."""

    length: int
    values: Iterator[Any]
    steps: Iterator[str]


def journaled(shown: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
    """What the journal keeps of the parts, in hexadecimal; nothing where `shown`, the preview, tells all."""
    return tuple(map(_digests, parts(args, kwargs))) if "..." in shown or "<" in shown else ()


def described(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, ...]:
    """The same of every part, and then its path and its preview: what the other side is compared with."""
    return tuple(_digests(part) + _text(part).hex() for part in parts(args, kwargs))


def parts(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Part]:
    """At most `MAX_PARTS` parts, the outer ones first: containers are opened as long as there is room."""
    found: list[Part] = []
    waiting = deque([Part(f"args[{index}]", value) for index, value in enumerate(args[:MAX_PARTS])])
    waiting.extend(Part(f"kwargs[{name!r}]", value) for name, value in islice(kwargs.items(), MAX_PARTS - len(waiting)))
    while waiting:
        part = waiting.popleft()
        inner = None if type(part.value) in _ATOMS else _open(part.value)
        room = MAX_PARTS - len(found) - len(waiting) - 1
        if inner is None or room < 1:
            found.append(part)
            continue
        found.append(Part(part.path, f"{inert.qualname_of(type(part.value))} of {inner.length}", is_size=True))
        alone = inner.length if inner.length <= room else max(0, room - MAX_RANGES)
        waiting.extend([Part(part.path + next(inner.steps), value) for value in islice(inner.values, alone)])
        if alone < inner.length:
            found.extend(_ranges(part.path, inner, alone, min(room - alone, MAX_RANGES)))
    return found


def _open(value: Any) -> _Inner | None:
    """What a container holds; None for what cannot be opened."""
    kind = type(value)
    if issubclass(kind, dict):
        return _Inner(dict.__len__(value), iter(dict.values(value)), map(_key, dict.keys(value)))
    if issubclass(kind, list):
        return _Inner(list.__len__(value), list.__iter__(value), map("[{}]".format, itertools.count()))
    if issubclass(kind, tuple):
        return _Inner(tuple.__len__(value), tuple.__iter__(value), _steps_of_tuple(kind))
    if issubclass(kind, (type, BaseException)) or inert.lookup(kind, "__perdure_handle__"):
        return None
    state = declared_state(value)
    if state is None and (fields := inert.instance_dict(value)) is not None:
        state = {**dict(inert.slots(value)), **fields}
    return _Inner(len(state), iter(state.values()), map(_attribute, state)) if state else None


def _key(key: Any) -> str:
    return f"[{key!r}]" if type(key) is str and len(key) < _KEY_LENGTH else f"[{preview(key, _KEY_LENGTH)}]"


def _attribute(name: Any) -> str:
    return f".{name}" if type(name) is str else f".{preview(name, _KEY_LENGTH)}"


def _steps_of_tuple(kind: type) -> Iterator[str]:
    """Names where it is a named tuple, else numbers."""
    fields = inert.lookup(kind, "_fields")
    if fields is not None and type(fields[1]) is tuple:
        return map(_attribute, fields[1])
    return map("[{}]".format, itertools.count())


def _ranges(path: str, inner: _Inner, start: int, ranges: int) -> Iterator[Part]:
    """The values from `start` on, some at a time."""
    size = -(-(inner.length - start) // ranges)
    for first in range(start, inner.length, size):
        last = min(first + size, inner.length)
        yield Part(f"{path}[{first}:{last}]", tuple(islice(inner.values, size)))


def _digests(part: Part) -> str:
    """Eight bytes in hexadecimal: four of the path, four of the value."""
    value = part.value
    atom = type(value) in _ATOMS
    digest = crc32(marshal.dumps(value, 2)) if atom else int.from_bytes(fingerprint(value)[:4], "big")
    path = f"#{part.path}" if part.is_size else part.path
    return f"{crc32(path.encode('utf-8', 'backslashreplace')):08x}{digest:08x}"


def _text(part: Part) -> bytes:
    text = part.value if part.is_size else preview(part.value, TEXT_LENGTH)
    path = f"#{part.path}" if part.is_size else part.path
    return f"{path[:PATH_LENGTH]}\0{text}".encode("utf-8", "backslashreplace")

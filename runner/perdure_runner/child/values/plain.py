"""Plain data: what JSON carries there and back without a difference."""

import json
from collections.abc import Callable, Sequence
from types import NoneType
from typing import Any

from perdure import UnrecordableValue

from perdure_runner import frames
from perdure_runner.child.values import inert

MAX_DEPTH = 200  # containers in each other; deeper ones could exhaust the C stack of a decoder
MAX_CONTAINERS = 1_000_000  # in a value that crosses sessions; more can only come from containers shared many times

Atom = None | bool | int | float | str
_ATOMS = frozenset({NoneType, bool, int, float, str})
_only_numbers = frozenset({int, float}).issuperset
_SHORT = 48  # characters of text; escapes can make two of one
_SHORT_INT = 1 << 63
_only_atoms = _ATOMS.issuperset
_only_text = frozenset({str}).issuperset
_scan: Callable[[str, int], tuple[object, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def is_plain(value: Any) -> bool:
    """Is `value` a tree of None, bool, int, float, str, list and dict with str keys, of exactly these types?

    A container that appears twice would come back as two: then the value is no tree. Whether numbers are finite and
    texts are valid Unicode is left to the encoder, which looks at them anyway.
    """
    if type(value) in _ATOMS:
        return True
    seen: set[int] = set()
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        below: list[Any] = []
        for item in level:
            if id(item) in seen or not _is_container(item):
                return False
            seen.add(id(item))
            items = item.values() if type(item) is dict else item
            if not _only_atoms(map(type, items)):  # in C: most containers end here
                below.extend(part for part in items if type(part) not in _ATOMS)
        if not below:
            return True
        level = below
    return False


def _is_container(item: Any) -> bool:
    return type(item) is list or (type(item) is dict and _only_text(map(type, item)))


def dumps(value: object) -> bytes | None:
    """`value` as compact UTF-8 JSON if it is plain data, else None."""
    if type(value) is int:
        return b"%d" % value if -(2**63) <= value < 2**63 else _dumps(value)
    return _dumps(value) if type(value) in _ATOMS or is_plain(value) else None


def is_short(value: Any) -> bool:
    """Is it an atom that JSON can carry, in less than 100 bytes?"""
    kind = type(value)
    if kind is float:
        return bool(value - value == 0.0)  # finite
    if kind is str:
        return len(value) <= _SHORT and value.isascii() and value.isprintable()
    return kind is bool or kind is NoneType or (kind is int and -_SHORT_INT <= value < _SHORT_INT)


def dump_short(values: Sequence[Atom]) -> list[bytes]:
    """What `dumps` gives for each of these, of which `is_short` is true."""
    if _only_numbers(map(type, values)):
        return [b"%a" % value for value in values]
    return [frames.dump(value).encode() for value in values]


def _dumps(value: object) -> bytes | None:
    try:
        return frames.dump(value).encode()
    except (ValueError, RecursionError):  # NaN, infinity, lone surrogates, ints beyond the interpreter's digit limit
        return None


def loads(data: bytes) -> object:
    """The inverse of `dumps`. Raises ValueError."""
    text = data.decode()
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no JSON value") from None
    if end != len(text):
        raise ValueError("text after the JSON value")
    return value


def encode_json(value: object) -> bytes:
    """Strict JSON, for what crosses sessions. A container may appear twice in it, but not inside itself.

    Raises UnrecordableValue, which names the place in the value.
    """
    foreign = _find_foreign(value)
    if foreign is None:
        try:
            return frames.dump(value).encode()
        except ValueError as error:
            foreign = "value", f"holds what JSON cannot carry ({error})"
        except RecursionError:
            foreign = "value", "is nested too deeply"
    path, reason = foreign
    raise UnrecordableValue(
        f"{path} {reason}",
        help="What crosses sessions is JSON: None, bool, finite numbers, text, lists, and dicts with text keys.",
    )


def _find_foreign(value: object) -> tuple[str, str] | None:
    """Where `value` holds what JSON cannot carry, and why; None if nowhere."""
    stack: list[tuple[Any, str, tuple[int, ...]]] = [(value, "value", ())]
    count = 0
    while stack:
        item, path, around = stack.pop()
        kind = type(item)
        if kind in _ATOMS:
            continue
        if kind is not list and kind is not dict:
            return path, f"is a {inert.type_name(kind)}, which JSON cannot carry"
        count += 1
        if id(item) in around:
            return path, "contains itself"
        if len(around) >= MAX_DEPTH or count > MAX_CONTAINERS:
            return path, "is nested too deeply" if len(around) >= MAX_DEPTH else "is one of too many containers"
        around = (*around, id(item))
        if type(item) is dict:
            for key, below in item.items():
                if type(key) is not str:
                    return path, f"has a key that is a {inert.type_name(type(key))}; JSON has text keys only"
                if type(below) not in _ATOMS:
                    stack.append((below, f"{path}[{key[:40]!r}]", around))
        elif not _only_atoms(map(type, item)):
            stack.extend((below, f"{path}[{i}]", around) for i, below in enumerate(item) if type(below) not in _ATOMS)
    return None

"""Dataclasses as plain data, and back: what a deployment keeps of its manifest is JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def of_json(kind: type[T], data: Mapping[str, Any]) -> T:
    """From what `dataclasses.asdict` made of a `kind`, maybe by way of JSON.

    A field that is not there has its default, one that `kind` does not have is left out: the row may be of another
    version.
    """
    hints = _hints(kind)  # type: ignore[arg-type]  # every class can be hashed
    return kind(**{name: _value(hint, data[name]) for name, hint in hints.items() if name in data})


@cache
def _hints(kind: type[Any]) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}


def _value(hint: Any, data: Any) -> Any:
    """As the hint says: JSON has neither dataclasses nor tuples."""
    if is_dataclass(hint) and isinstance(hint, type):
        return of_json(hint, data)
    if get_origin(hint) is tuple and data is not None:
        return tuple(_value(get_args(hint)[0], each) for each in data)
    kept = [each for each in get_args(hint) if is_dataclass(each)]
    return data if data is None or not kept else _value(kept[0], data)

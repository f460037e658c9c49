"""cel-go's ext/lists.go. `sortBy` is a macro; `reverse` is of strings, too."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cmp_to_key
from typing import Any, Final

from perdure_server.core.cel.calls import INT, LIST, Function
from perdure_server.core.cel.run import STEP_CHARS, Fault, Run
from perdure_server.core.cel.values import COMPARABLE, contains, kind, ordered, within_64_bits


def _range(run: Run, count: int) -> list[int]:
    run.pay(max(0, count))
    return list(range(count))


def _slice(run: Run, items: list[Any], start: int, end: int) -> list[Any]:
    if start < 0 or end < 0:
        raise Fault(f"cannot slice({start}, {end}), negative indexes not supported")
    if start > end:
        raise Fault(f"cannot slice({start}, {end}), start index must be less than or equal to end index")
    if end > len(items):
        raise Fault(f"cannot slice({start}, {end}), list is length {len(items)}")
    run.pay(end - start)
    return items[start:end]


def _flatten(run: Run, items: list[Any], depth: int = 1) -> list[Any]:
    """Lists in the list become their elements, `depth` levels of them. Not recursive: data may be deep."""
    if depth < 0:
        raise Fault("level must be non-negative")
    flat: list[Any] = []
    inside = [iter(items)]
    while inside:
        for item in inside[-1]:
            run.pay(1)
            if isinstance(item, list) and len(inside) <= depth:
                inside.append(iter(item))
                break
            flat.append(item)
        else:
            inside.pop()
    return flat


def _distinct(run: Run, items: list[Any]) -> list[Any]:
    found: list[Any] = []
    for item in items:
        run.pay(1)
        if not contains(run, item, found):
            found.append(item)
    return found


def _reverse(run: Run, value: list[Any] | str) -> list[Any] | str:
    run.pay(len(value) // STEP_CHARS if isinstance(value, str) else len(value))
    return value[::-1]


def sorted_by(run: Run, items: Iterable[Any], keys: list[Any]) -> list[Any]:
    """The items in the order of their keys, which must be of one type that has an order."""
    run.pay(len(keys))
    kinds = {kind(key) for key in keys}
    if not kinds <= COMPARABLE:
        raise Fault("list elements must be comparable")
    if len(kinds) > 1:
        raise Fault("list elements must have the same type")

    def compare(left: tuple[Any, Any], right: tuple[Any, Any]) -> int:
        run.pay(1)
        ordered(run, left[0], right[0])
        return int(left[0] > right[0]) - int(left[0] < right[0])

    pairs = sorted(zip(keys, items, strict=True), key=cmp_to_key(compare))
    return [item for _, item in pairs]


def _sort(run: Run, items: list[Any]) -> list[Any]:
    return sorted_by(run, items, items)


FUNCTIONS: Final[dict[str, Function]] = {
    "lists.range": Function(lambda run, count: _range(run, within_64_bits(count)), (INT,)),
}
METHODS: Final[dict[str, Function]] = {
    "slice": Function(_slice, (LIST, INT, INT), method=True),
    "flatten": Function(_flatten, (LIST, INT), method=True, least=1),
    "distinct": Function(_distinct, (LIST,), method=True),
    "sort": Function(_sort, (LIST,), method=True),
    "reverse": Function(_reverse, (("string", "list"),), method=True),
}

"""cel-go's ext/sets.go: lists as sets, by CEL's equality."""

from __future__ import annotations

from typing import Any, Final

from perdure_server.core.cel.calls import LIST, Function
from perdure_server.core.cel.run import Run
from perdure_server.core.cel.values import contains


def _contains(run: Run, items: list[Any], wanted: list[Any]) -> bool:
    run.pay(len(wanted))
    return all(contains(run, item, items) for item in wanted)


def _intersects(run: Run, left: list[Any], right: list[Any]) -> bool:
    run.pay(len(left))
    return any(contains(run, item, right) for item in left)


def _equivalent(run: Run, left: list[Any], right: list[Any]) -> bool:
    return _contains(run, left, right) and _contains(run, right, left)


FUNCTIONS: Final[dict[str, Function]] = {
    "sets.contains": Function(_contains, (LIST, LIST)),
    "sets.equivalent": Function(_equivalent, (LIST, LIST)),
    "sets.intersects": Function(_intersects, (LIST, LIST)),
}

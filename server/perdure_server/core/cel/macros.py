"""The macros: how they go over the elements of a list, or the keys of a map, as far as they must.

`sortBy` is of cel-go's ext/lists.go, and takes lists only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from perdure_server.core.cel.closures import decide
from perdure_server.core.cel.extensions.lists import sorted_by
from perdure_server.core.cel.run import Evaluate, Run
from perdure_server.core.cel.values import truth

Fold = Callable[[Run, str, Iterable[Any]], Any]


def _quantifier(bodies: list[Evaluate], *, decided: bool) -> Fold:
    (body,) = bodies

    def of_each(run: Run, variable: str, items: Iterable[Any]) -> Iterator[Evaluate]:
        for item in items:
            run.variables[variable] = item
            yield body

    return lambda run, variable, items: decide(run, of_each(run, variable, items), decided=decided)


def _chosen(condition: Evaluate, run: Run, variable: str, items: Iterable[Any]) -> list[Any]:
    found = []
    for item in items:
        run.pay(1)
        run.variables[variable] = item
        if truth(condition(run)):
            found.append(item)
    return found


def _mapped(bodies: list[Evaluate]) -> Fold:
    *conditions, body = bodies

    def fold(run: Run, variable: str, items: Iterable[Any]) -> list[Any]:
        for condition in conditions:
            items = _chosen(condition, run, variable, items)
        made = []
        for item in items:
            run.pay(1)
            run.variables[variable] = item
            made.append(body(run))
        return made

    return fold


def _sorted(bodies: list[Evaluate]) -> Fold:
    (key,) = bodies

    def fold(run: Run, variable: str, items: Iterable[Any]) -> list[Any]:
        keys = []
        for item in items:
            run.pay(1)
            run.variables[variable] = item
            keys.append(key(run))
        return sorted_by(run, items, keys)

    return fold


def _only(bodies: list[Evaluate]) -> Fold:
    return lambda run, name, items: len(_chosen(bodies[0], run, name, items)) == 1


FOLDS: Final[dict[str, Callable[[list[Evaluate]], Fold]]] = {
    "all": lambda bodies: _quantifier(bodies, decided=False),
    "exists": lambda bodies: _quantifier(bodies, decided=True),
    "exists_one": _only,
    "existsOne": _only,
    "filter": lambda bodies: lambda run, name, items: _chosen(bodies[0], run, name, items),
    "map": _mapped,
    "sortBy": _sorted,
}

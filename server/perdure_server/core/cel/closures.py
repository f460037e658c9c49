"""What nodes of the tree become: functions of a run."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Any, Final

from perdure_server.core.cel.calls import Function
from perdure_server.core.cel.run import STEP_CHARS, Evaluate, Fault, Run, Spent
from perdure_server.core.cel.values import arithmetic, contains, equal, is_number, kind, ordered, shown, truth

ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def select(of: Evaluate, name: str) -> Evaluate:
    def read(run: Run) -> Any:
        run.pay(1)
        value = of(run)
        if not isinstance(value, dict):
            raise Fault(f"{kind(value)} has no field {name!r}")
        try:
            return value[name]
        except KeyError:
            raise Fault(f"there is no {name!r}") from None

    return read


def has(of: Evaluate, name: str) -> Evaluate:
    def look(run: Run) -> bool:
        run.pay(1)
        value = of(run)
        if not isinstance(value, dict):
            raise Fault(f"{kind(value)} has no fields")
        return name in value

    return look


def index(of: Evaluate, by: Evaluate) -> Evaluate:
    def read(run: Run) -> Any:
        run.pay(1)
        value, at = of(run), by(run)
        if isinstance(value, dict) and isinstance(at, (str, int)):
            if isinstance(at, str):
                run.pay(len(at) // STEP_CHARS)
            try:
                return value[at]
            except KeyError:
                raise Fault(f"there is no {shown(at)}") from None
        if isinstance(value, list) and is_number(at) and (isinstance(at, int) or at.is_integer()):
            if 0 <= at < len(value):
                return value[int(at)]
            raise Fault(f"there is no element {shown(at)}")
        raise Fault(f"{kind(value)}[{kind(at)}] has no meaning")

    return read


def call(name: str, function: Function, parts: list[Evaluate]) -> Evaluate:
    types = function.types

    def call(run: Run) -> Any:
        run.pay(1)
        values = [part(run) for part in parts]
        for value, allowed in zip(values, types, strict=False):
            if allowed[0] and kind(value) not in allowed:
                raise Fault(f"{name}() takes {' or '.join(allowed)}, not {kind(value)}")
        return function.run(run, *values)

    return call


def not_of(of: Evaluate) -> Evaluate:
    return lambda run: not truth(of(run))


def minus(of: Evaluate) -> Evaluate:
    def negate(run: Run) -> Any:
        value = of(run)
        if not is_number(value):
            raise Fault(f"- {kind(value)} has no meaning")
        return -value if isinstance(value, float) else arithmetic(run, "-", 0, value)

    return negate


def binary(name: str, left: Evaluate, right: Evaluate) -> Evaluate:
    if name == "==":
        return lambda run: equal(run, left(run), right(run))
    if name == "!=":
        return lambda run: not equal(run, left(run), right(run))
    if name == "in":
        return lambda run: contains(run, left(run), right(run))
    if (compare := ORDER.get(name)) is not None:
        return _comparison(compare, left, right)

    def calculate(run: Run) -> Any:
        run.pay(1)
        return arithmetic(run, name, left(run), right(run))

    return calculate


def _comparison(compare: Callable[[Any, Any], bool], left: Evaluate, right: Evaluate) -> Evaluate:
    def run_it(run: Run) -> bool:
        run.pay(1)
        first, second = left(run), right(run)
        ordered(run, first, second)
        return compare(first, second)

    return run_it


def logic(terms: list[Evaluate], *, decided: bool) -> Evaluate:
    """&& and ||."""
    return lambda run: decide(run, terms, decided=decided)


def decide(run: Run, terms: Iterable[Evaluate], *, decided: bool) -> bool:
    """The first term that decides, also after one that has no value; as CEL has it."""
    fault: Fault | None = None
    for term in terms:
        run.pay(1)
        try:
            if truth(term(run)) is decided:
                return decided
        except Spent:
            raise
        except Fault as found:
            fault = fault or found
    if fault is not None:
        raise fault
    return not decided


def choice(condition: Evaluate, yes: Evaluate, no: Evaluate) -> Evaluate:
    return lambda run: yes(run) if truth(condition(run)) else no(run)


def list_of(items: list[Evaluate]) -> Evaluate:
    def make(run: Run) -> list[Any]:
        run.pay(1 + len(items))
        return [item(run) for item in items]

    return make


def map_of(pairs: list[tuple[Evaluate, Evaluate]]) -> Evaluate:
    def make(run: Run) -> dict[Any, Any]:
        run.pay(1 + len(pairs))
        made: dict[Any, Any] = {}
        for name_of, value_of in pairs:
            name = name_of(run)
            if not isinstance(name, str):
                raise Fault(f"{kind(name)} is no key")
            made[name] = value_of(run)
        return made

    return make

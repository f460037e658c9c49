"""Expressions as functions: each node of the tree becomes one, made once, so that an evaluation looks nothing up."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from perdure_server.core.cel import syntax as ast
from perdure_server.core.cel.functions import FUNCTIONS, METHODS, Function, pattern, search
from perdure_server.core.cel.syntax import CelError
from perdure_server.core.cel.values import Fault, Run, Spent, arithmetic, contains, equal, is_number, kind, ordered
from perdure_server.core.errors import did_you_mean

MAX_STEPS: Final = 50_000  # about 10 ms
Evaluate = Callable[[Run], Any]

_ORDER: Final[dict[str, Callable[[Any, Any], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_YES_OR_NO: Final = frozenset({"==", "!=", "in", *_ORDER})


class Expression:
    """A compiled expression. It keeps nothing between evaluations."""

    def __init__(self, evaluate: Evaluate, node: ast.Node) -> None:
        self._evaluate = evaluate
        self._node = node

    def value(self, variables: Mapping[str, Any]) -> Any:
        """What it says of these variables: JSON values. Raises `Fault` when it has no value, or costs too much."""
        return self._evaluate(Run(dict(variables), MAX_STEPS))

    @property
    def never_bool(self) -> bool:
        """Is it clear from the text alone that its value is neither true nor false?"""
        match self._node:
            case ast.Literal(value=value):
                return not isinstance(value, bool)
            case ast.Binary(operator=name):
                return name not in _YES_OR_NO
            case ast.Unary(operator="-") | ast.ListOf() | ast.MapOf() | ast.Macro(name="map" | "filter"):
                return True
            case _:
                return False


def compile_expression(text: str, variables: Collection[str]) -> Expression:
    """Raises `CelError` where it is no expression, names another variable, or calls what does not exist."""
    node = ast.parse(text)
    return Expression(_Compiler(frozenset(variables)).compile(node), node)


class _Compiler:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def compile(self, node: ast.Node) -> Evaluate:
        match node:
            case ast.Literal(value=value):
                return lambda _run: value
            case ast.Name(name=name):
                return self._name(node.offset, name)
            case ast.Select(of=of, name=name):
                return _select(self.compile(of), name)
            case ast.Has(select=select):
                return _has(self.compile(select.of), select.name)
            case ast.Index(of=of, by=by):
                return _index(self.compile(of), self.compile(by))
            case ast.Call():
                return self._call(node)
            case ast.Macro():
                return self._macro(node)
            case ast.ListOf(items=items):
                return _list([self.compile(item) for item in items])
            case ast.MapOf(items=pairs):
                return _map([(self.compile(name), self.compile(value)) for name, value in pairs])
            case _:
                return self._operator(node)

    def _operator(self, node: ast.Node) -> Evaluate:
        match node:
            case ast.Unary(operator=name, of=of):
                return _not(self.compile(of)) if name == "!" else _minus(self.compile(of))
            case ast.Binary(operator=name, left=left, right=right):
                return _binary(name, self.compile(left), self.compile(right))
            case ast.Logic(operator=name, terms=terms):
                return _logic([self.compile(term) for term in terms], decided=name == "||")
            case ast.Choice(condition=condition, yes=yes, no=no):
                return _choice(self.compile(condition), self.compile(yes), self.compile(no))
            case _:
                raise AssertionError(node)

    def _name(self, offset: int, name: str) -> Evaluate:
        if name not in self._names:
            known = ", ".join(sorted(self._names))
            raise CelError(f"unknown variable {name!r}", offset, did_you_mean(name, self._names) or f"known: {known}")

        def read(run: Run) -> Any:
            run.pay(1)
            return run.variables[name]

        return read

    def _call(self, node: ast.Call) -> Evaluate:
        table, parts = (FUNCTIONS, node.arguments) if node.of is None else (METHODS, (node.of, *node.arguments))
        function = table.get(node.name)
        if function is None:
            what = "function" if node.of is None else "method"
            known = ", ".join(sorted(table))
            raise CelError(
                f"unknown {what} {node.name}()", node.offset, did_you_mean(node.name, table) or f"known: {known}"
            )
        if not (function.least or len(function.types)) <= len(parts) <= len(function.types):
            raise CelError(f"{node.name}() takes {len(function.types) - function.method} arguments", node.offset)
        if node.name == "matches" and isinstance(parts[1], ast.Literal) and isinstance(parts[1].value, str):
            return self._search(self.compile(parts[0]), parts[1])
        return _called(node.name, function, [self.compile(part) for part in parts])

    def _search(self, text: Evaluate, expression: ast.Node) -> Evaluate:
        assert isinstance(expression, ast.Literal)
        try:
            compiled = pattern(expression.value)
        except Fault as fault:
            raise CelError(str(fault), expression.offset) from None

        def run_it(run: Run) -> bool:
            value = text(run)
            if not isinstance(value, str):
                raise Fault(f"matches() takes string, not {kind(value)}")
            return search(run, value, compiled)

        return run_it

    def _macro(self, node: ast.Macro) -> Evaluate:
        outer = self.compile(node.of)
        inside = _Compiler(self._names | {node.variable})
        bodies = [inside.compile(argument) for argument in node.arguments]
        body = _FOLDS[node.name](bodies)
        variable = node.variable

        def run_it(run: Run) -> Any:
            items = outer(run)
            if not isinstance(items, (list, dict)):
                raise Fault(f"{kind(items)} has no elements")
            hidden = run.variables.get(variable)
            try:
                return body(run, variable, list(items))
            finally:
                run.variables[variable] = hidden

        return run_it


def _select(of: Evaluate, name: str) -> Evaluate:
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


def _has(of: Evaluate, name: str) -> Evaluate:
    def look(run: Run) -> bool:
        run.pay(1)
        value = of(run)
        if not isinstance(value, dict):
            raise Fault(f"{kind(value)} has no fields")
        return name in value

    return look


def _index(of: Evaluate, by: Evaluate) -> Evaluate:
    def read(run: Run) -> Any:
        run.pay(1)
        value, at = of(run), by(run)
        if isinstance(value, dict) and isinstance(at, (str, int)):
            try:
                return value[at]
            except KeyError:
                raise Fault(f"there is no {at!r:.40}") from None
        if isinstance(value, list) and is_number(at) and at == int(at):
            if 0 <= at < len(value):
                return value[int(at)]
            raise Fault(f"there is no element {at}")
        raise Fault(f"{kind(value)}[{kind(at)}] has no meaning")

    return read


def _called(name: str, function: Function, parts: list[Evaluate]) -> Evaluate:
    types = function.types

    def call(run: Run) -> Any:
        run.pay(1)
        values = [part(run) for part in parts]
        for value, allowed in zip(values, types, strict=False):
            if allowed[0] and kind(value) not in allowed:
                raise Fault(f"{name}() takes {' or '.join(allowed)}, not {kind(value)}")
        return function.run(run, *values)

    return call


def _not(of: Evaluate) -> Evaluate:
    return lambda run: not _truth(of(run))


def _minus(of: Evaluate) -> Evaluate:
    def negate(run: Run) -> Any:
        value = of(run)
        if not is_number(value):
            raise Fault(f"- {kind(value)} has no meaning")
        return -value if isinstance(value, float) else arithmetic(run, "-", 0, value)

    return negate


def _binary(name: str, left: Evaluate, right: Evaluate) -> Evaluate:
    if name == "==":
        return lambda run: equal(run, left(run), right(run))
    if name == "!=":
        return lambda run: not equal(run, left(run), right(run))
    if name == "in":
        return lambda run: contains(run, left(run), right(run))
    if (compare := _ORDER.get(name)) is not None:
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


def _logic(terms: list[Evaluate], *, decided: bool) -> Evaluate:
    """&& and ||: the first term that decides, also after one that has no value; as CEL has it."""

    def run_it(run: Run) -> bool:
        fault: Fault | None = None
        for term in terms:
            run.pay(1)
            try:
                if _truth(term(run)) is decided:
                    return decided
            except Spent:
                raise
            except Fault as found:
                fault = fault or found
        if fault is not None:
            raise fault
        return not decided

    return run_it


def _choice(condition: Evaluate, yes: Evaluate, no: Evaluate) -> Evaluate:
    return lambda run: yes(run) if _truth(condition(run)) else no(run)


def _list(items: list[Evaluate]) -> Evaluate:
    def make(run: Run) -> list[Any]:
        run.pay(1 + len(items))
        return [item(run) for item in items]

    return make


def _map(pairs: list[tuple[Evaluate, Evaluate]]) -> Evaluate:
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


def _truth(value: Any) -> bool:
    if value is True or value is False:
        return value
    raise Fault(f"{kind(value)} is neither true nor false")


# The macros: how they go over elements.

Fold = Callable[[Run, str, list[Any]], Any]


def _quantifier(bodies: list[Evaluate], *, decided: bool) -> Fold:
    (body,) = bodies

    def fold(run: Run, variable: str, items: list[Any]) -> bool:
        fault: Fault | None = None
        for item in items:
            run.pay(1)
            run.variables[variable] = item
            try:
                if _truth(body(run)) is decided:
                    return decided
            except Spent:
                raise
            except Fault as found:
                fault = fault or found
        if fault is not None:
            raise fault
        return not decided

    return fold


def _chosen(condition: Evaluate, run: Run, variable: str, items: list[Any]) -> list[Any]:
    found = []
    for item in items:
        run.pay(1)
        run.variables[variable] = item
        if _truth(condition(run)):
            found.append(item)
    return found


def _mapped(bodies: list[Evaluate]) -> Fold:
    *conditions, body = bodies

    def fold(run: Run, variable: str, items: list[Any]) -> list[Any]:
        for condition in conditions:
            items = _chosen(condition, run, variable, items)
        made = []
        for item in items:
            run.pay(1)
            run.variables[variable] = item
            made.append(body(run))
        return made

    return fold


_FOLDS: Final[dict[str, Callable[[list[Evaluate]], Fold]]] = {
    "all": lambda bodies: _quantifier(bodies, decided=False),
    "exists": lambda bodies: _quantifier(bodies, decided=True),
    "exists_one": lambda bodies: lambda run, name, items: len(_chosen(bodies[0], run, name, items)) == 1,
    "filter": lambda bodies: lambda run, name, items: _chosen(bodies[0], run, name, items),
    "map": _mapped,
}

"""Expressions as functions: each node of the tree becomes one, made once, so that an evaluation looks nothing up."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from perdure_server.core.cel import closures
from perdure_server.core.cel import tree as ast
from perdure_server.core.cel.calls import Function
from perdure_server.core.cel.extensions import EXTENSION_FUNCTIONS, EXTENSION_METHODS
from perdure_server.core.cel.functions import STANDARD_FUNCTIONS, STANDARD_METHODS, TYPES, pattern, search
from perdure_server.core.cel.macros import FOLDS
from perdure_server.core.cel.run import Evaluate, Fault, Run, Spent
from perdure_server.core.cel.syntax import parse
from perdure_server.core.cel.tree import CelError
from perdure_server.core.cel.values import kind
from perdure_server.core.errors import did_you_mean

MAX_STEPS: Final = 50_000  # about 10 ms
FUNCTIONS: Final = STANDARD_FUNCTIONS | EXTENSION_FUNCTIONS
METHODS: Final = STANDARD_METHODS | EXTENSION_METHODS
_NAMESPACES: Final = frozenset({"cel", *(name.partition(".")[0] for name in FUNCTIONS if "." in name)})

_YES_OR_NO: Final = frozenset({"==", "!=", "in", *closures.ORDER})


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
    node = parse(text)
    return Expression(_Compiler(frozenset(variables), frozenset()).compile(node), node)


class _Compiler:
    """`bound`: those of the names that `cel.bind` made: the value may be a fault."""

    def __init__(self, names: frozenset[str], bound: frozenset[str]) -> None:
        self._names = names
        self._bound = bound

    def compile(self, node: ast.Node) -> Evaluate:
        match node:
            case ast.Literal(value=value):
                return lambda _run: value
            case ast.Name(name=name):
                return self._name(node.offset, name)
            case ast.Select(of=of, name=name):
                return closures.select(self.compile(of), name)
            case ast.Has(select=select):
                return closures.has(self.compile(select.of), select.name)
            case ast.Index(of=of, by=by):
                return closures.index(self.compile(of), self.compile(by))
            case ast.Call():
                return self._call(node)
            case ast.Macro():
                return self._macro(node)
            case ast.Bind():
                return self._bind(node)
            case ast.ListOf(items=items):
                return closures.list_of([self.compile(item) for item in items])
            case ast.MapOf(items=pairs):
                return closures.map_of([(self.compile(name), self.compile(value)) for name, value in pairs])
            case _:
                return self._operator(node)

    def _operator(self, node: ast.Node) -> Evaluate:
        match node:
            case ast.Unary(operator=name, of=of):
                return closures.not_of(self.compile(of)) if name == "!" else closures.minus(self.compile(of))
            case ast.Binary(operator=name, left=left, right=right):
                return closures.binary(name, self.compile(left), self.compile(right))
            case ast.Logic(operator=name, terms=terms):
                return closures.logic([self.compile(term) for term in terms], decided=name == "||")
            case ast.Choice(condition=condition, yes=yes, no=no):
                return closures.choice(self.compile(condition), self.compile(yes), self.compile(no))
            case _:
                raise AssertionError(node)

    def _name(self, offset: int, name: str) -> Evaluate:
        if name not in self._names and name in TYPES:
            return lambda _run: TYPES[name]
        if name not in self._names:
            known = ", ".join(sorted(self._names))
            raise CelError(f"unknown variable {name!r}", offset, did_you_mean(name, self._names) or f"known: {known}")

        def read(run: Run) -> Any:
            run.pay(1)
            return run.variables[name]

        def read_bound(run: Run) -> Any:
            value = read(run)
            if isinstance(value, Fault):
                raise Fault(str(value))
            return value

        return read_bound if name in self._bound else read

    def _call(self, node: ast.Call) -> Evaluate:
        name, function, parts = self._called(node)
        if not function.takes(len(parts)):
            raise CelError(f"{name}() takes {_count(function)} arguments", node.offset)
        if function.check is not None:
            function.check(parts)
        if node.name == "matches" and isinstance(parts[1], ast.Literal) and isinstance(parts[1].value, str):
            return self._search(self.compile(parts[0]), parts[1])
        return closures.call(name, function, [self.compile(part) for part in parts])

    def _called(self, node: ast.Call) -> tuple[str, Function, tuple[ast.Node, ...]]:
        """What is called, and with what. Functions of a namespace go before methods of a variable of that name."""
        name, of = node.name, node.of
        if isinstance(of, ast.Name) and of.name in _NAMESPACES and (found := FUNCTIONS.get(f"{of.name}.{name}")):
            return f"{of.name}.{name}", found, node.arguments
        table, parts = (FUNCTIONS, node.arguments) if of is None else (METHODS, (of, *node.arguments))
        if isinstance(of, ast.Name) and of.name in _NAMESPACES - self._names:
            table, name = FUNCTIONS, f"{of.name}.{name}"
        function = table.get(name)
        if function is None:
            what = "function" if table is FUNCTIONS else "method"
            known = ", ".join(sorted(table))
            raise CelError(f"unknown {what} {name}()", node.offset, did_you_mean(name, table) or f"known: {known}")
        return name, function, parts

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
        variable = node.variable
        inside = _Compiler(self._names | {variable}, self._bound - {variable})
        body = FOLDS[node.name]([inside.compile(argument) for argument in node.arguments])
        takes = list if node.name == "sortBy" else (list, dict)

        def run_it(run: Run) -> Any:
            items = outer(run)
            if not isinstance(items, takes):
                raise Fault(f"{kind(items)} has no elements")
            hidden = run.variables.get(variable)
            try:
                return body(run, variable, items)
            finally:
                run.variables[variable] = hidden

        return run_it

    def _bind(self, node: ast.Bind) -> Evaluate:
        """A value that is named. It may be a fault, which counts where it is looked at."""
        value = self.compile(node.value)
        variable = node.variable
        body = _Compiler(self._names | {variable}, self._bound | {variable}).compile(node.body)

        def run_it(run: Run) -> Any:
            run.pay(1)
            try:
                found = value(run)
            except Spent:
                raise
            except Fault as fault:
                found = fault
            hidden = run.variables.get(variable)
            run.variables[variable] = found
            try:
                return body(run)
            finally:
                run.variables[variable] = hidden

        return run_it


def _count(function: Function) -> str:
    """Of arguments, for people: without what a method is called on."""
    least, most = function.least or len(function.types), len(function.types)
    counts = [least - function.method] if least == most else [least - function.method, most - function.method]
    return f"{counts[0]} or more" if function.many else " or ".join(map(str, counts))

"""What a function of the user's works on besides its arguments: globals of the user's modules, attributes of the user's
classes, and variables of the functions around it.

A function is taken at its code: the names that it loads and stores there, and those of the user's functions that it
mentions. Nothing is run, and nothing is looked at that no code names.
"""

from __future__ import annotations

import opcode
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from perdure_runner.child.values import inert
from perdure_runner.child.values.fingerprint_parts import is_user_class, is_user_module

_MAX_FUNCTIONS = 200  # that one activity mentions, and those that they do
_ABSENT = object()


class Names(NamedTuple):
    """What a code object and those inside it name."""

    globals: frozenset[str]
    attributes: frozenset[str]
    stored: frozenset[str]
    """Globals that it binds, which need not exist before."""


class Bindings:
    """Some variables of one scope: a node like any other object, changed when one of them is rebound.

    scope: the globals of a module, a class of the user's, or the cells of a function by name.
    """

    __slots__ = ("names", "scope")

    def __init__(self, scope: Any, names: tuple[str, ...]) -> None:
        self.scope = scope
        self.names = names

    def values(self) -> dict[str, Any]:
        """The variables that are bound, by name."""
        found = ((name, self._get(name)) for name in self.names)
        return {name: value for name, value in found if value is not _ABSENT}

    def bind(self, values: dict[str, Any]) -> None:
        """Bind these, and unbind the others."""
        for name in self.names:
            old, new = self._get(name), values.get(name, _ABSENT)
            if old is not new:
                self._set(name, new)

    def _get(self, name: str) -> Any:
        scope = self.scope
        if type(scope) is types.CellType:
            try:
                return scope.cell_contents
            except ValueError:  # empty
                return _ABSENT
        space = scope if type(scope) is dict else inert.namespace(scope)
        return space.get(name, _ABSENT)

    def _set(self, name: str, value: Any) -> None:
        scope = self.scope
        if type(scope) is types.CellType:
            if value is _ABSENT:
                del scope.cell_contents
            else:
                scope.cell_contents = value
        elif type(scope) is dict:
            if value is _ABSENT:
                del scope[name]
            else:
                scope[name] = value
        elif value is _ABSENT:
            type.__delattr__(scope, name)
        else:
            type.__setattr__(scope, name, value)


def surroundings(f: Callable[..., Any]) -> list[Bindings]:
    """The variables that `f` names, if it is a function of the user's; in an order that is the same in every run."""
    found: list[Bindings] = []
    seen: set[int] = set()
    pending: list[Any] = [f]
    while pending and len(seen) < _MAX_FUNCTIONS:
        thing = pending.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        function = function_of(thing)
        if function is not None:
            if type(thing) is types.MethodType:
                found.extend(_of_value(thing.__self__, _names(function.__code__).attributes))
            for bindings in _named_by(function):
                found.append(bindings)
                pending.extend(bindings.values().values())
    return found


def function_of(thing: Any) -> types.FunctionType | None:
    """The user's function behind a function, a bound method, or a static or class method; None if there is none."""
    kind = type(thing)
    if kind in (types.MethodType, staticmethod, classmethod):
        thing = thing.__func__
    return thing if type(thing) is types.FunctionType and _is_users(thing.__globals__) else None


def _is_users(namespace: dict[str, Any]) -> bool:
    name = namespace.get("__name__")
    return type(name) is str and name.partition(".")[0] not in _NEVER and is_user_module(name)


_NEVER = sys.stdlib_module_names - {"__main__"} | {"perdure", "perdure_runner"}


def _named_by(function: types.FunctionType) -> Iterator[Bindings]:
    names = _names(function.__code__)
    namespace = function.__globals__
    present = tuple(sorted(name for name in names.globals if name in namespace or name in names.stored))
    if present:
        yield Bindings(namespace, present)
    for name in present:
        yield from _of_value(namespace.get(name), names.attributes)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield Bindings(cell, (name,))


def _of_value(value: Any, attributes: frozenset[str]) -> Iterator[Bindings]:
    """What a function can reach of a global's value by the attributes that it names."""
    kind = type(value)
    if kind is types.ModuleType:
        if _is_users(vars(value)) and (mentioned := tuple(sorted(attributes & vars(value).keys()))):
            yield Bindings(vars(value), mentioned)
        return
    cls = value if issubclass(kind, type) else kind
    if cls.__flags__ & _HEAP_TYPE and is_user_class(cls):
        yield from _of_class(cls, attributes)


_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE: made by a class statement; static types are no user's


def _of_class(cls: type, attributes: frozenset[str]) -> Iterator[Bindings]:
    mentioned = tuple(sorted(name for name in attributes & inert.namespace(cls).keys() if not name.startswith("__")))
    if mentioned:
        yield Bindings(cls, mentioned)


@lru_cache(4096)
def _names(code: types.CodeType) -> Names:
    """Globals and attributes that the code names, with the code inside it."""
    named = [each for part in _codes(code) for each in _instructions(part)]

    def named_by(operations: Mapping[int, int]) -> frozenset[str]:
        return frozenset(names[number >> operations[op]] for op, number, names in named if op in operations)

    return Names(named_by(_GLOBAL), named_by(_ATTRIBUTE), named_by(_STORES_GLOBAL))


def _instructions(code: types.CodeType) -> Iterator[tuple[int, int, tuple[str, ...]]]:
    """Operation, argument, and the names that the argument may be a number of.

    `dis` says the same, and makes an object with texts for each: too much for what each session does.
    """
    names, units, number = code.co_names, code.co_code, 0
    for op, low in zip(units[::2], units[1::2], strict=True):
        number = number << 8 | low
        if op != opcode.EXTENDED_ARG:
            yield op, number, names
            number = 0


def _operations(**shifts: int) -> dict[int, int]:
    """Operations whose argument is the number of a name, and by how many bits it is shifted for flags below it."""
    return {opcode.opmap[name]: shift for name, shift in shifts.items() if name in opcode.opmap}


_STORES_GLOBAL = _operations(STORE_GLOBAL=0, DELETE_GLOBAL=0)
_GLOBAL = _STORES_GLOBAL | _operations(LOAD_GLOBAL=1, LOAD_NAME=0)
_ATTRIBUTE = _operations(LOAD_ATTR=int(sys.version_info >= (3, 12)), STORE_ATTR=0, DELETE_ATTR=0, LOAD_METHOD=0)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if type(constant) is types.CodeType:
            yield from _codes(constant)

"""What a proxy must know of the real class: its methods, which of them are coroutines, its operators.

Of a class that can be imported the token holds the name only; of any other one (made at run time, as boto3's clients
are) it holds the shape, so that replay needs no live object to build the proxy.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
import types
from dataclasses import dataclass
from typing import Any, Final

from perdure_runner.child import inert
from perdure_runner.child.known import canonical

_NOT_PROXIED: Final = frozenset(
    [
        "__new__",
        "__init__",
        "__del__",
        "__class__",
        "__getattribute__",
        "__getattr__",
        "__setattr__",
        "__delattr__",
        "__dict__",
        "__weakref__",
        "__slots__",
        "__doc__",
        "__module__",
        "__init_subclass__",
        "__subclasshook__",
        "__reduce__",
        "__reduce_ex__",
        "__getstate__",
        "__setstate__",
        "__getnewargs__",
        "__getnewargs_ex__",
        "__sizeof__",
        "__dir__",
        "__hash__",
        "__class_getitem__",
        "__set_name__",
        "__get__",
        "__set__",
        "__delete__",
        "__buffer__",
        "__release_buffer__",
        "__post_init__",
        "__annotations__",
        "__firstlineno__",
        "__static_attributes__",
        "__orig_bases__",
        "__parameters__",
        "__abstractmethods__",
        "__match_args__",
        "__qualname__",
        "__name__",
        "__text_signature__",
    ]
)
_ROUTINES: Final = (classmethod, functools.partialmethod, staticmethod)
Told = tuple[Any, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The real class, or what stands for one that cannot be imported, and the names of what it has."""

    cls: type
    methods: frozenset[str]
    coroutines: frozenset[str]
    operators: frozenset[str]
    told: Told
    """As the token says it: module and qualified name; also names and lineage, if the class cannot be imported."""
    lineage: tuple[str, ...]
    """Dotted names of the classes it derives from, itself first."""

    @property
    def name(self) -> str:
        """The class's dotted name, as journals have it."""
        return canonical(f"{self.told[0]}.{self.told[1]}")


_shapes: dict[int, Shape] = {}  # by id of the class, which the shape keeps alive: no metaclass is asked for a hash
_generic: dict[Told, Shape] = {}


def of_class(cls: type) -> Shape:
    """The shape of a real class."""
    known = _shapes.get(id(cls))
    if known is None:
        known = _shapes[id(cls)] = _look_at(cls)
    return known


def of_told(told: Told) -> Shape:
    """The shape that a token tells of; a class that is gone by now has no methods."""
    module, qualname, *names = told
    if not names and (cls := _find(module, qualname)) is not None:
        return of_class(cls)
    known = _generic.get(told)
    if known is None:
        stand_in: type = type(qualname.rpartition(".")[2], (), {"__module__": module, "__qualname__": qualname})
        methods, coroutines, operators, lineage = names or ((), (), (), (f"{module}.{qualname}",))
        known = Shape(stand_in, frozenset(methods), frozenset(coroutines), frozenset(operators), told, lineage)
        _generic[told] = known
    return known


def _find(module: str, qualname: str) -> type | None:
    try:
        found: Any = sys.modules.get(module) or importlib.import_module(module)
        for part in qualname.split("."):
            found = getattr(found, part)
    except (ImportError, AttributeError):
        found = _BUILT_IN.get(qualname) if module == "builtins" else None
    return found if isinstance(found, type) else None


_BUILT_IN: Final = {
    cls.__qualname__: cls for cls in (types.GeneratorType, types.AsyncGeneratorType, types.CoroutineType)
}
"""Classes that say they are builtins and are not there."""


def _look_at(cls: type) -> Shape:
    methods, coroutines, operators, seen = set(), set(), set(), set()
    for owner in inert.mro(cls):
        if owner is object:
            continue
        for name, thing in inert.namespace(owner).items():
            if name in seen or type(name) is not str:
                continue
            seen.add(name)
            if name.startswith("__") and name.endswith("__"):
                if name not in _NOT_PROXIED and thing is not None and callable(thing):
                    operators.add(name)
            elif _is_method(thing):
                methods.add(name)
                if inspect.iscoroutinefunction(getattr(thing, "__func__", thing)):
                    coroutines.add(name)
    module, qualname = inert.module_of(cls), inert.qualname_of(cls)
    told: Told = (module, qualname)
    lineage = lineage_of(cls)
    if not (inert.resolves(cls, module, qualname) or (module == "builtins" and _BUILT_IN.get(qualname) is cls)):
        told = (module, qualname, tuple(sorted(methods)), tuple(sorted(coroutines)), tuple(sorted(operators)), lineage)
    return Shape(cls, frozenset(methods), frozenset(coroutines), frozenset(operators), told, lineage)


def lineage_of(cls: type) -> tuple[str, ...]:
    """Dotted names of the classes that `cls` derives from, itself first."""
    return tuple(f"{inert.module_of(c)}.{inert.qualname_of(c)}" for c in inert.mro(cls) if c is not object)


def _is_method(thing: object) -> bool:
    if type(thing) in _ROUTINES:
        return True
    return callable(thing) and not isinstance(thing, type) and hasattr(type(thing), "__get__")

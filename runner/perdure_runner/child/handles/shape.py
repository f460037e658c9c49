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
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from perdure_runner.child.policy.known import canonical
from perdure_runner.child.values import inert

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
_FIELDS: Final = (types.MemberDescriptorType, types.GetSetDescriptorType)
_ROUTINES: Final = (classmethod, functools.partialmethod, staticmethod)
Told = tuple[Any, ...]


class Names(NamedTuple):
    """What a class has. `properties`: attributes that run code of the class; "__getattr__" among them: any may."""

    methods: frozenset[str] = frozenset()
    coroutines: frozenset[str] = frozenset()
    operators: frozenset[str] = frozenset()
    properties: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class Shape:
    """The real class, or what stands for one that cannot be imported, and the names of what it has."""

    cls: type
    names: Names
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
        *sets, lineage = names or ((f"{module}.{qualname}",),)
        stand_in = _stand_in(module, qualname, lineage)
        known = _generic[told] = Shape(stand_in, Names(*map(frozenset, sets)), told, lineage)
    return known


def _stand_in(module: str, qualname: str, lineage: tuple[str, ...]) -> type:
    """A class that `isinstance` finds to derive from the nearest class that can be imported."""
    name, namespace = qualname.rpartition(".")[2], {"__module__": module, "__qualname__": qualname}
    for base in lineage[1:]:
        found = _find(*base.rpartition(".")[::2])
        if found is not None:
            try:
                return type(name, (found,), namespace)
            except TypeError:  # final, or its metaclass wants more
                break
    return type(name, (), namespace)


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
    methods, coroutines, operators, properties = set(), set(), set(), set()
    for name, thing in _attributes(cls):
        if name.startswith("__") and name.endswith("__"):
            if name == "__getattr__":
                properties.add(name)
            elif name not in _NOT_PROXIED and thing is not None and callable(thing):
                operators.add(name)
        elif _is_method(thing):
            methods.add(name)
            if inspect.iscoroutinefunction(getattr(thing, "__func__", thing)):
                coroutines.add(name)
        elif hasattr(type(thing), "__get__") and type(thing) not in _FIELDS:
            properties.add(name)
    names = Names(*map(frozenset, (methods, coroutines, operators, properties)))
    module, qualname = inert.module_of(cls), inert.qualname_of(cls)
    told: Told = (module, qualname)
    lineage = lineage_of(cls)
    if not (inert.resolves(cls, module, qualname) or (module == "builtins" and _BUILT_IN.get(qualname) is cls)):
        told = (module, qualname, *(tuple(sorted(found)) for found in names), lineage)
    return Shape(cls, names, told, lineage)


def _attributes(cls: type) -> Iterator[tuple[str, object]]:
    """The attributes of a class as its instances see them, without those that every object has."""
    seen: set[str] = set()
    for owner in inert.mro(cls):
        if owner is not object:
            yield from ((name, thing) for name, thing in inert.namespace(owner).items() if name not in seen)
            seen.update(inert.namespace(owner))


def lineage_of(cls: type) -> tuple[str, ...]:
    """Dotted names of the classes that `cls` derives from, itself first."""
    return tuple(f"{inert.module_of(c)}.{inert.qualname_of(c)}" for c in inert.mro(cls) if c is not object)


def _is_method(thing: object) -> bool:
    if type(thing) in _ROUTINES:
        return True
    return callable(thing) and not isinstance(thing, type) and hasattr(type(thing), "__get__")

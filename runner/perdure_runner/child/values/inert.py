"""Looking at objects without running their code.

Nothing here calls a method, property, `__getattr__` or `__class__` that a user could have defined: only `type(x)` and
the descriptors that CPython itself made. (Finding a class in a set or dict does ask its metaclass for a hash.)
Use `issubclass(type(x), T)`; `isinstance(x, T)` would ask `__class__`.
"""

import sys
from collections.abc import Iterator
from types import GetSetDescriptorType, MappingProxyType, MemberDescriptorType, ModuleType
from typing import Any

STANDS_FOR = "__perdure_stands_for__"
"""In a class of proxies: the dotted name of the real class."""
_qualname = type.__dict__["__qualname__"].__get__
_module = type.__dict__["__module__"].__get__
_mro = type.__dict__["__mro__"].__get__
_namespace = type.__dict__["__dict__"].__get__
_MISSING = object()


def mro(cls: type) -> tuple[type, ...]:
    """The classes that `cls` is made of, itself first."""
    result: tuple[type, ...] = _mro(cls)
    return result


def namespace(cls: type) -> MappingProxyType[str, Any]:
    """What the class itself defines."""
    result: MappingProxyType[str, Any] = _namespace(cls)
    return result


def module_of(cls: type) -> str:
    """The name of the module that defines `cls`."""
    name = _module(cls)
    return name if type(name) is str else "?"


def qualname_of(cls: type) -> str:
    """ "Outer.Inner"."""
    name: str = _qualname(cls)
    return name


def type_name(cls: type) -> str:
    """ "module.Outer.Inner", without the module for builtins. A class of proxies is called what it stands for."""
    if type(name := namespace(cls).get(STANDS_FOR)) is str:
        return name
    module = module_of(cls)
    return qualname_of(cls) if module == "builtins" else f"{module}.{qualname_of(cls)}"


def lookup(cls: type, name: str) -> tuple[type, object] | None:
    """The class in the MRO that defines `name`, and what it is there (no descriptor is bound)."""
    for owner in mro(cls):
        found = namespace(owner).get(name, _MISSING)
        if found is not _MISSING:
            return owner, found
    return None


def instance_dict(obj: object) -> dict[str, Any] | None:
    """The `__dict__` of an instance, or None if it has none."""
    found = lookup(type(obj), "__dict__")
    if found is None or type(found[1]) not in (GetSetDescriptorType, MemberDescriptorType):
        return None
    result = found[1].__get__(obj)  # type: ignore[attr-defined]
    return result if issubclass(type(result), dict) else None


def members(cls: type) -> Iterator[tuple[type, str, Any]]:
    """Slots and C fields of `cls` as (owner, name, descriptor); a name that appears twice is the most derived one."""
    seen: set[str] = set()
    for owner in mro(cls):
        for name, descriptor in namespace(owner).items():
            if type(descriptor) not in (MemberDescriptorType, GetSetDescriptorType) or name in seen:
                continue
            if not (name.startswith("__") and name.endswith("__")):
                seen.add(name)
                yield owner, name, descriptor


def slots(obj: object) -> Iterator[tuple[str, object]]:
    """The `__slots__` of an instance that hold something. Leaves C fields out."""
    for _owner, name, descriptor in members(type(obj)):
        if type(descriptor) is MemberDescriptorType:
            try:
                yield name, descriptor.__get__(obj)
            except AttributeError:
                continue


def resolves(thing: Any, module: object, qualname: object) -> bool:
    """Does looking up `module` and `qualname`, as a pickle does when it is loaded, lead to `thing` itself?"""
    if type(module) is not str or type(qualname) is not str:
        return False
    found: Any = sys.modules.get(module)
    for name in qualname.split("."):
        if type(found) is type or issubclass(type(found), type):
            step = lookup(found, name)
            found = None if step is None else step[1]
        elif issubclass(type(found), ModuleType):
            found = getattr(found, name, None)
        else:
            return False
        if type(found) in (staticmethod, classmethod):
            found = found.__func__
    return found is thing

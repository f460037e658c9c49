"""Looking at objects without running anything of the user's: marks, owners, names.

``type(x)``, look-ups in ``__dict__``s and the C getters of built-in types only; no ``isinstance`` and no ``getattr``.
"""

import functools
import random
import sys
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Final, cast

MARK: Final = "__perdure_activity__"
"""What the SDK sets: its options for @activity, None for @no_activity."""

ABSENT: Final = object()

# Through these no metaclass, property or __getattr__ of the user's is ever asked.
dict_of_class: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__
_get_mro: Callable[[type], tuple[type, ...] | None] = type.__dict__["__mro__"].__get__
_module_of: Callable[[type], Any] = type.__dict__["__module__"].__get__
_qualname_of: Callable[[type], str] = type.__dict__["__qualname__"].__get__
flags_of: Callable[[type], int] = type.__dict__["__flags__"].__get__
IMMUTABLE_TYPE: Final = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE
dict_of_function: Callable[[types.FunctionType], dict[str, Any]] = types.FunctionType.__dict__["__dict__"].__get__
_module_dict: Callable[[types.ModuleType], dict[str, Any]] = cast("Any", types.ModuleType).__dict__["__dict__"].__get__
CACHED_FUNCTION: Final = type(functools.lru_cache(lambda: None))
_SPECIAL_ALIAS: Final = typing._SpecialGenericAlias  # type: ignore[attr-defined] # noqa: SLF001
_TYPING_ALIAS: Final = typing._GenericAlias  # type: ignore[attr-defined] # noqa: SLF001


def inner_callable(f: Any, t: type) -> Any:
    """What a partial, a generic alias or a cached function stands for; ABSENT if `f` is none of these."""
    if t is functools.partial:
        return f.func
    if t is CACHED_FUNCTION:
        return f.__dict__.get("__wrapped__", ABSENT)
    if t is types.GenericAlias or t is _TYPING_ALIAS or t is _SPECIAL_ALIAS:
        return object.__getattribute__(f, "__origin__")
    return ABSENT


def mark_of(f: Any, t: type) -> Any:
    """The SDK's mark on `f`: on the function, on the class; @no_activity on a class covers its instances' methods."""
    function = f.__func__ if t is types.MethodType else f
    if type(function) is types.FunctionType:
        mark = dict_of_function(function).get(MARK, ABSENT)
        if mark is not ABSENT or t is types.FunctionType:
            return mark
    if issubclass(t, type):
        return class_mark(f)
    owner = owner_of(f, t)
    if owner is not None and class_mark(owner) is None:
        return None
    return ABSENT


def mro_of(cls: type) -> tuple[type, ...]:
    # none yet: its metaclass is at work on it, or it is one of C's that never was made ready, without a namespace
    return _get_mro(cls) or ((cls,) if dict_of_class(cls) is not None else ())


def is_marked(cls: type) -> bool:
    """Has this class, or one that it derives from, a mark of the SDK's?"""
    return class_mark(cls) is not ABSENT


def class_mark(cls: type) -> Any:
    for c in mro_of(cls):
        mark = dict_of_class(c).get(MARK, ABSENT)
        if mark is not ABSENT:
            return mark
    return ABSENT


def owner_of(f: Any, t: type) -> type | None:
    """The class whose (class or instance) method `f` is; the class of a callable object; None for functions."""
    if t is types.MethodType or is_bound_builtin(t):
        receiver = f.__self__
        cls = type(receiver)
        if receiver is None or issubclass(cls, types.ModuleType):
            return None
        return receiver if issubclass(cls, type) else cls
    if t is types.FunctionType or is_descriptor(t) or issubclass(t, type):
        return None
    return t


def module_name(cls: type) -> str | None:
    try:
        module = _module_of(cls)
    except AttributeError:  # a class whose namespace lost its __module__
        return None
    return module if type(module) is str else None


def call_of(t: type) -> Any:
    for c in mro_of(t):
        if (call := dict_of_class(c).get("__call__", ABSENT)) is not ABSENT:
            return call
    return None


def class_name(cls: type) -> str:
    return f"{module_name(cls) or '?'}.{_qualname_of(cls)}"


def module_of_function(f: types.FunctionType) -> str | None:
    """The module whose globals the function has: ``__module__`` may be copied from what it wraps."""
    name = dict.get(f.__globals__, "__name__")
    return name if type(name) is str else None


def builtin_name(f: Any) -> str:
    """``module.function`` or ``module.Class.method`` of a bound C function, by the class that defines the method."""
    receiver, name = f.__self__, f.__name__
    cls = type(receiver)
    module = None if type(f) is types.MethodWrapperType else f.__module__
    if receiver is None or (issubclass(cls, types.ModuleType) and module is not None):  # else the type's: __dir__
        return f"{module if type(module) is str else '?'}.{name}"
    classes = mro_of(receiver if issubclass(cls, type) else cls)
    if issubclass(cls, type):
        classes = (*classes, *mro_of(cls))
    return f"{class_name(next((c for c in classes if _defines_in_c(c, name)), cls))}.{name}"


def _defines_in_c(cls: type, name: str) -> bool:
    """Has the class a method of this name that is no Python function? `super()` reaches past those that are."""
    method = dict_of_class(cls).get(name, ABSENT)
    if type(method) is staticmethod or type(method) is classmethod:
        method = method.__func__
    return method is not ABSENT and type(method) is not types.FunctionType


def hidden_instance_module(f: Any, owner: type, name: str) -> str | None:
    """The module that offers this bound method as a function of its own, as `random` does; None if none does."""
    name_of_module = module_name(owner)
    module = sys.modules.get(name_of_module) if name_of_module else None
    found: Any = _module_dict(module).get(name) if issubclass(type(module), types.ModuleType) else None  # type: ignore[arg-type]
    if type(found) is types.MethodType or is_bound_builtin(type(found)):
        return name_of_module if found.__self__ is f.__self__ else None
    return None


def is_random_instance(f: Any, t: type) -> bool:
    """A method of a `random.Random` that the program made: deterministic, since its construction was a marker."""
    owner = owner_of(f, t)
    if owner is not random.Random or owner is f.__self__:
        return False
    return hidden_instance_module(f, owner, f.__name__) is None


# `t in (A, B)` would ask the == of a metaclass.
def is_bound_builtin(t: type) -> bool:
    return (
        t is types.BuiltinFunctionType or issubclass(t, types.BuiltinFunctionType) or t is types.MethodWrapperType
    )  # its subclass: METH_METHOD


def is_descriptor(t: type) -> bool:
    return t is types.MethodDescriptorType or t is types.WrapperDescriptorType or t is types.ClassMethodDescriptorType

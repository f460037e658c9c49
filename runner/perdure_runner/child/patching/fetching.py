"""Fetching attributes: can it run user code, how long does what it finds last, and what stands in for its result.

Like the policy it never runs user code itself: ``type(x)``, ``__dict__``s and the C getters of built-in types only.
"""

import functools
import sys
import types
import weakref
from codecs import strict_errors
from collections.abc import Callable
from typing import Any, Final, cast

ABSENT: Final = object()
_len: Final = len  # programs (and tests) put others into `builtins` for a while

_dict_of_class = type.__dict__["__dict__"].__get__
_get_mro = type.__dict__["__mro__"].__get__
_flags_of = type.__dict__["__flags__"].__get__
_dictoffset_of = type.__dict__["__dictoffset__"].__get__
_module_of = type.__dict__["__module__"].__get__
_name_of = type.__dict__["__qualname__"].__get__
_module_dict: Callable[[object], dict[str, Any]] = cast("Any", types.ModuleType).__dict__["__dict__"].__get__
_start_of_super = super.__dict__["__thisclass__"].__get__
_class_of_super = super.__dict__["__self_class__"].__get__
_IMMUTABLE_TYPE: Final = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE
_DELEGATING: Final = (types.GenericAlias, types.MethodType, weakref.CallableProxyType, weakref.ProxyType)
"""Types of C's that look attributes up in another object."""
_PASSIVE: Final = frozenset(
    {
        types.BuiltinFunctionType,
        types.ClassMethodDescriptorType,
        types.FunctionType,
        types.MethodDescriptorType,
        types.WrapperDescriptorType,
        classmethod,
        staticmethod,
        type(functools.lru_cache(len)),
        type,
    }
)
"""Types of class attributes that bind, or are what is fetched, without running anything of the user's."""


# ---------------------------------------------------------------- where an attribute comes from


def find(o: Any, t: type, name: str) -> tuple[type | None, Any]:
    """The class in which `name` of `o`, an instance of `t`, is found, and what is found; (None, ABSENT) if nowhere."""
    if t is super:
        cls = _class_of_super(o)
        mro = _mro_of(cls) if cls is not None else ()
        start = _start_of_super(o)
        after = next((i + 1 for i, c in enumerate(mro) if c is start), _len(mro))
        classes = mro[after:]
    else:
        classes = _mro_of(o if issubclass(t, type) else t)
    for c in classes:
        namespace = _dict_of_class(c)
        if name in namespace:
            return c, namespace[name]
    return None, ABSENT


def _mro_of(cls: type) -> tuple[type, ...]:
    # none yet: its metaclass is at work on it, or it is one of C's that never was made ready, without a namespace
    return _get_mro(cls) or ((cls,) if _dict_of_class(cls) is not None else ())


def _has(t: type, name: str) -> bool:
    return any(name in _dict_of_class(c) for c in _mro_of(t))


def _has_attributes(t: type) -> bool:
    return bool(_dictoffset_of(t) != 0)


def is_immutable(cls: type) -> bool:
    """A type of C's whose attributes nobody can change."""
    return bool(_flags_of(cls) & _IMMUTABLE_TYPE)


def is_plain(t: type) -> bool:
    """A type of C's that cannot change and whose instances have no attributes of their own."""
    return is_immutable(t) and not _has_attributes(t) and t is not super


def is_static(o: Any, t: type, name: str, found: Any) -> bool:
    """Fetching `name` from `o` a second time gives the same and runs no user code. `found`: as `find` has it."""
    if t is types.ModuleType:
        return name in o.__dict__
    if t is not super:
        getters = (_dict_of_class(c).get("__getattribute__") for c in _mro_of(t))
        if type(next(filter(None, getters), None)) is not types.WrapperDescriptorType or any(
            t is d for d in _DELEGATING
        ):
            return False
        if found is ABSENT:
            return _has_attributes(t) and not _has(t, "__getattr__")
    kind = type(found)
    return any(kind is passive for passive in _PASSIVE)


def is_c_method(o: Any, m: Any, name: str) -> bool:
    """Is `m` the C method `name`, bound to `o`?"""
    return type(m) is types.BuiltinFunctionType and m.__self__ is o and m.__name__ == name


# ---------------------------------------------------------------- what lasts


def class_lasts(cls: type) -> bool:
    """A class that cannot go, or that its module has under its name: to keep it alive changes nothing."""
    if is_immutable(cls):
        return True
    try:
        module, name = _module_of(cls), _name_of(cls)
    except AttributeError:  # its namespace lost its __module__
        return False
    return _is_bound(module, name, cls)


def function_lasts(f: types.FunctionType, wrapper: object = None) -> bool:
    """A function (or the `wrapper` around it) that its module has under its name."""
    return _is_bound(dict.get(f.__globals__, "__name__"), f.__qualname__, wrapper or f)


def method_lasts(f: types.FunctionType, owner: type | None) -> bool:
    """A function of the body of a lasting class."""
    return owner is not None and "<" not in f.__qualname__ and class_lasts(owner)


def module_lasts(module: types.ModuleType) -> bool:
    """A module that can be imported."""
    name = _module_dict(module).get("__name__")
    return type(name) is str and sys.modules.get(name) is module


def _is_bound(module: object, name: str, thing: object) -> bool:
    found = sys.modules.get(module) if type(module) is str else None
    return issubclass(type(found), types.ModuleType) and _module_dict(found).get(name) is thing


# ---------------------------------------------------------------- shims


@functools.cache
def _shim_class(name: str) -> tuple[type, Callable[[object, object], None]]:
    """A class whose instances have one attribute, `name`. A class called "_" mangles no private names."""
    cls = type("_", (), {"__slots__": (name,)})
    return cls, cls.__dict__[name].__set__


_new = object.__new__


def shim(name: str, value: object) -> object:
    """An object whose attribute `name` is `value`."""
    cls, set_value = _shim_class(name)
    made: object = _new(cls)
    set_value(made, value)
    return made


_raise: Callable[[BaseException], Any] = cast("Any", strict_errors)


def raising(name: str, error: BaseException) -> object:
    """An object whose attribute `name` raises `error` as if it had been raised right there.

    The getter is C all the way down (`codecs.strict_errors` raises the exception that it is handed), so the traceback
    shows the user's frames only, and what fetching the attribute did is done once.
    """
    getter = functools.partial(next, map(_raise, (error,)))
    made: object = object.__new__(type("_", (), {name: property(getter)}))
    return made

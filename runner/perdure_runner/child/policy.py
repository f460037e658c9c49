"""Which calls are external: the decision of design.md, section 4, for one callable.

It never runs user code: ``type(x)``, look-ups in ``__dict__``s and the C getters of built-in types only, no
``isinstance`` and no ``getattr`` on objects that may be the user's. It keeps no user function or instance alive:
verdicts are cached by code object and, weakly, by class.
"""

import functools
import random
import re
import sys
import types
import typing
import weakref
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final, cast

from perdure import _runtime

from perdure_runner.child import known
from perdure_runner.child.known import Takes, Verdict

__all__ = ["MARK", "Decision", "Policy", "Takes", "Verdict"]

MARK: Final = "__perdure_activity__"
"""What the SDK sets: its options for @activity, None for @no_activity."""

_OURS: Final = ("perdure", "perdure_runner")
_CONSTRUCTION: Final = frozenset({"__class_getitem__", "__init__", "__init_subclass__", "__new__", "__set_name__"})
_CACHE_LIMIT: Final = 65536
_len: Final = len  # programs (and tests) put others into `builtins` for a while
_MAX_DEPTH: Final = 50
_ABSENT: Final = object()

# Through these no metaclass, property or __getattr__ of the user's is ever asked.
_dict_of_class: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__
_get_mro: Callable[[type], tuple[type, ...] | None] = type.__dict__["__mro__"].__get__
_module_of: Callable[[type], Any] = type.__dict__["__module__"].__get__
_qualname_of: Callable[[type], str] = type.__dict__["__qualname__"].__get__
_flags_of: Callable[[type], int] = type.__dict__["__flags__"].__get__
_IMMUTABLE_TYPE: Final = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE
_dict_of_function: Callable[[types.FunctionType], dict[str, Any]] = types.FunctionType.__dict__["__dict__"].__get__
_module_dict: Callable[[types.ModuleType], dict[str, Any]] = cast("Any", types.ModuleType).__dict__["__dict__"].__get__
_CACHED_FUNCTION: Final = type(functools.lru_cache(lambda: None))
_SPECIAL_ALIAS: Final = typing._SpecialGenericAlias  # type: ignore[attr-defined] # noqa: SLF001
_TYPING_ALIAS: Final = typing._GenericAlias  # type: ignore[attr-defined] # noqa: SLF001


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict and why, as the end of the sentence "It runs ... because it ..."."""

    verdict: Verdict
    reason: str
    takes: Takes | None = None
    """With CALLBACKS: where it takes callables."""


_TAKES_NOTHING: Final = Takes()
_DEEP: Final = Decision(Verdict.ACTIVITY, "wraps other callables too deeply to be looked through")


class Policy:
    """Decides about callables.

    Args:
        is_user_file: does a code object's file name belong to the build?
        no_activity: patterns over qualified names (fnmatch) that run directly; `register_no_activity` adds more.
        force: patterns over qualified names that are activities, user code included.
    """

    def __init__(
        self, is_user_file: Callable[[str], bool], *, no_activity: Iterable[str] = (), force: Iterable[str] = ()
    ) -> None:
        self._is_user_file = is_user_file
        self._no_activity = tuple(no_activity)
        self._force = tuple(force)
        self._user_modules: set[str] = set()
        self._registered_version = _runtime.no_activity.version
        self._user_files: dict[str, bool] = {}
        self._codes: dict[int, tuple[types.CodeType, Verdict]] = {}
        self._classes: dict[int, tuple[weakref.ref[type], Verdict]] = {}
        named = self._force or self._no_activity or self._registered_version
        self._c_methods = {} if named else _C_METHODS

    # ---- what is user code

    def adopt(self, module: str) -> None:
        """Say that the module of this name is user code. The import hook does."""
        self._user_modules.add(module)

    def is_user_module(self, name: object) -> bool:
        """Is `name` the name of a module of the build?"""
        return type(name) is str and name in self._user_modules

    def is_user_class(self, cls: type) -> bool:
        """Was this class made by user code?"""
        return self.is_user_module(_module_name(cls))

    def is_user_code(self, code: types.CodeType) -> bool:
        """Does this code object come from a file of the build?"""
        known_file = self._user_files.get(code.co_filename)
        if known_file is None:
            if _len(self._user_files) >= _CACHE_LIMIT:
                self._user_files.clear()
            known_file = self._user_files[code.co_filename] = self._is_user_file(code.co_filename)
        return known_file

    # ---- the answers

    def verdict(self, f: Any) -> Verdict:
        """What to do with a call of `f`. Functions without attributes and classes are answered from a cache."""
        if self._registered_version != _runtime.no_activity.version:
            self._forget()
        t = type(f)
        for _ in range(_MAX_DEPTH):
            if t is types.FunctionType:
                return self._verdict_on_function(f)
            if _is_bound_builtin(t):
                return self._decide_on_builtin(f).verdict
            if issubclass(t, type):
                return self._verdict_on_class(f)
            if t is types.MethodType and self.goes_by_marks(f.__func__):
                return self._verdict_on_function(f.__func__)  # what else was said of its class can only be the same
            inner = _inner_callable(f, t)
            if inner is _ABSENT:
                return Verdict.DIRECT if self._is_own_object(t) else self._decide(f).verdict
            f, t = inner, type(inner)
        return _DEEP.verdict

    def name(self, f: Any) -> str:
        """The qualified name of a callable, as journals and patterns have it: ``requests.api.get``.

        A method of an instance has its class's name, ``requests.sessions.Session.get``; a function of a module that
        is really a method of the module's hidden instance has the module's, ``random.randrange``.
        """
        name = self._name(f, 0)
        return name if name.rpartition(".")[0] in self._user_modules else known.canonical(name)

    def explain(self, f: Any) -> str:
        """One sentence: what happens with a call of `f`, and why."""
        decision = self._decide(f)
        does = {
            Verdict.DIRECT: "runs directly",
            Verdict.ACTIVITY: "is an activity",
            Verdict.MARKER: "is a marker",
            Verdict.CALLBACKS: "runs directly, with the external callables among its arguments recorded,",
        }[decision.verdict]
        return f"{self.name(f)} {does} because it {decision.reason}."

    def insists(self, f: Any) -> bool:
        """Did the user say of `f` itself what it is, by a mark, a registration or a pattern?"""
        return self._explicit(f, type(f)) is not None

    def takes(self, f: Any) -> Takes:
        """Where a callable of verdict CALLBACKS takes callables; nowhere, for any other callable."""
        decision = self._decide_on_builtin(f) if _is_bound_builtin(type(f)) else self._decide(f)
        return decision.takes or _TAKES_NOTHING

    # ---- caches

    def _forget(self) -> None:
        self._registered_version = _runtime.no_activity.version
        self._codes.clear()
        self._classes.clear()
        self._c_methods = {}

    def is_direct_code(self, code: types.CodeType) -> bool:
        """Does every unmarked function of this code run directly, as far as has been seen?"""
        entry = self._codes.get(id(code))
        return entry is not None and entry[1] is Verdict.DIRECT

    def cached(self, f: Any) -> types.FunctionType | None:
        """The project's own function that `f` caches, where only a mark can make its calls external."""
        inner = _inner_callable(f, _CACHED_FUNCTION) if type(f) is _CACHED_FUNCTION else None
        return inner if self.goes_by_marks(inner) else None

    def goes_by_marks(self, f: Any) -> bool:
        """Is it nothing but a mark on the function `f` that can make its calls external?"""
        return type(f) is types.FunctionType and not self._force and self.is_user_code(f.__code__)

    def _is_own_object(self, t: type) -> bool:
        """Do the project's own functions take the calls of `t`'s instances, so that no mark is asked for?"""
        return not _is_descriptor(t) and t is not types.MethodType and self.goes_by_marks(_call_of(t))

    def _decide_on_builtin(self, f: Any) -> Decision:
        """C functions of modules, and methods of C's types that cannot change, are decided about once."""
        receiver = f.__self__
        t = type(receiver)
        key: object
        if t is types.ModuleType and type(f) is types.BuiltinFunctionType:
            key = f
        elif _flags_of(t) & _IMMUTABLE_TYPE and not issubclass(t, (type, types.ModuleType)):
            key = t, f.__name__
        else:
            return self._decide(f)
        if _runtime.no_activity.has(f):
            return self._decide(f)
        decision = self._c_methods.get(key)
        if decision is None:
            if _len(self._c_methods) >= _CACHE_LIMIT:
                self._c_methods = {}
            decision = self._c_methods[key] = self._decide(f)
        return decision

    def _verdict_on_function(self, f: types.FunctionType) -> Verdict:
        code, attributes = f.__code__, _dict_of_function(f)
        if attributes and (mark := attributes.get(MARK, _ABSENT)) is not _ABSENT:
            return _marked(mark).verdict
        if self._is_special(f, attributes):
            return self._decide(f).verdict
        entry = self._codes.get(id(code))
        if entry is not None:
            return entry[1]
        verdict = self._decide(f).verdict
        if not code.co_filename.startswith("<"):
            if _len(self._codes) >= _CACHE_LIMIT:
                self._codes.clear()
            self._codes[id(code)] = code, verdict
        return verdict

    def _is_special(self, f: types.FunctionType, attributes: dict[str, Any]) -> bool:
        """May the verdict on `f` differ from that on other functions of its code?"""
        registered = _runtime.no_activity
        if registered.has(f):
            return True
        if not attributes:
            return False
        named = self._force or self._no_activity or registered.patterns  # functools.wraps gives another name
        return bool(named) or ("__wrapped__" in attributes and not self.is_user_code(f.__code__))

    def _verdict_on_class(self, cls: type) -> Verdict:
        if (mark := _class_mark(cls)) is not _ABSENT:
            return _marked(mark).verdict
        entry = self._classes.get(id(cls))
        if entry is not None and entry[0]() is cls:
            return entry[1]
        verdict = self._decide(cls).verdict
        if _len(self._classes) >= _CACHE_LIMIT:
            self._classes.clear()
        self._classes[id(cls)] = weakref.ref(cls), verdict
        return verdict

    # ---- the decision

    def _decide(self, f: Any, depth: int = 0) -> Decision:
        if depth > _MAX_DEPTH:
            return _DEEP
        t = type(f)
        inner = _inner_callable(f, t)
        if inner is not _ABSENT:
            return self._decide(inner, depth + 1)
        return self._explicit(f, t) or self._implicit(f, t, depth)

    def _explicit(self, f: Any, t: type) -> Decision | None:
        """What the user said about this very callable: a mark, a registration, a pattern of the manifest."""
        mark = _mark_of(f, t)
        if mark is not _ABSENT:
            return _marked(mark)
        registered = _runtime.no_activity
        thing = f.__func__ if t is types.MethodType else f
        owner = _owner_of(f, t)
        if registered.has(thing) or (owner is not None and registered.has(owner)):
            return Decision(Verdict.DIRECT, "was named in register_no_activity")
        if not (self._force or self._no_activity or registered.patterns):
            return None
        name = self.name(f)
        if _matches(name, self._force):
            return Decision(Verdict.ACTIVITY, "matches a pattern that makes it an activity")
        if _matches(name, self._no_activity) or registered.matches(name):
            return Decision(Verdict.DIRECT, "matches a no_activity pattern")
        return None

    def _implicit(self, f: Any, t: type, depth: int) -> Decision:
        if t is types.FunctionType:
            return self._function(f, depth)
        if t is types.MethodType:
            return self._method(f, depth)
        if _is_bound_builtin(t):
            return _SEEDED if _is_random_instance(f, t) else _known(_builtin_name(f))
        if _is_descriptor(t):
            return _known(f"{_class_name(f.__objclass__)}.{f.__name__}")
        if issubclass(t, type):
            return self._class(f)
        return self._object(f, t, depth)

    def _function(self, f: types.FunctionType, depth: int) -> Decision:
        if self.is_user_code(f.__code__):
            return Decision(Verdict.DIRECT, "is the project's own code, in which every call is looked at")
        module = _module_of_function(f)
        if module is None or module.startswith("namedtuple_"):
            return Decision(Verdict.DIRECT, "was generated in memory")
        if self.is_user_module(module):
            return Decision(Verdict.DIRECT, "was generated for a module of the project")
        if f.__name__ in _CONSTRUCTION:
            return Decision(Verdict.DIRECT, "takes part in the construction of an object of the project")
        decision = _known(f"{module}.{f.__qualname__}")
        wrapped = _dict_of_function(f).get("__wrapped__", _ABSENT)
        if wrapped is not _ABSENT:
            inner = self._decide(wrapped, depth + 1)
            if inner.verdict is Verdict.DIRECT or decision.verdict is Verdict.DIRECT:
                return Decision(inner.verdict, f"wraps a function that {inner.reason}")
        return decision

    def _method(self, f: types.MethodType, depth: int) -> Decision:
        function = f.__func__
        if type(function) is not types.FunctionType:
            return self._decide(function, depth + 1)
        decision = self._function(function, depth)
        if self.is_user_code(function.__code__) or self.is_user_module(_module_of_function(function)):
            return decision
        if _is_random_instance(f, types.MethodType):
            return _SEEDED
        owner = _owner_of(f, types.MethodType)
        if owner is None or self.is_user_class(owner) or decision.verdict is Verdict.CALLBACKS:
            return decision
        if function.__name__ in _CONSTRUCTION or (_module_of_function(function) or "").startswith("namedtuple_"):
            return decision
        return _known(f"{_class_name(owner)}.{function.__name__}")

    def _class(self, cls: type) -> Decision:
        if self.is_user_class(cls):
            return Decision(Verdict.DIRECT, "is a class of the project")
        if issubclass(cls, BaseException):
            return Decision(Verdict.DIRECT, "is a class of exceptions")
        return _known(_class_name(cls))

    def _object(self, f: Any, t: type, depth: int) -> Decision:
        """An instance of a class with ``__call__``."""
        call = _call_of(t)
        if type(call) is types.FunctionType:
            return self._method(types.MethodType(call, f), depth)
        if self.is_user_class(t):
            return Decision(Verdict.DIRECT, "is an object of the project")
        return _known(_class_name(t))

    # ---- names

    def _name(self, f: Any, depth: int) -> str:
        t = type(f)
        inner = _inner_callable(f, t)
        if inner is not _ABSENT and depth < _MAX_DEPTH:
            return self._name(inner, depth + 1)
        if t is types.FunctionType:
            module = f.__module__
            return f"{module if type(module) is str else '?'}.{f.__qualname__}"
        if t is types.MethodType or _is_bound_builtin(t):
            return self._bound_name(f, t, depth)
        if _is_descriptor(t):
            return f"{_class_name(f.__objclass__)}.{f.__name__}"
        return _class_name(f if issubclass(t, type) else t)

    def _bound_name(self, f: Any, t: type, depth: int) -> str:
        if t is types.MethodType and type(f.__func__) is not types.FunctionType:
            return self._name(f.__func__, depth + 1) if depth < _MAX_DEPTH else "?"
        owner = _owner_of(f, t)
        if owner is None:
            return _builtin_name(f)
        name = f.__func__.__name__ if t is types.MethodType else f.__name__
        if (module := _hidden_instance_module(f, owner, name)) is not None:
            return f"{module}.{name}"
        if _is_bound_builtin(t):
            return _builtin_name(f)
        if self.is_user_class(owner):
            return self._name(f.__func__, depth + 1)
        return f"{_class_name(owner)}.{name}"


_SEEDED: Final = Decision(Verdict.DIRECT, "works on a random generator whose beginning is recorded")


@functools.lru_cache(maxsize=8192)
def _known(name: str) -> Decision:
    verdict, entry = known.look_up(name)
    if not entry:
        return Decision(verdict, "comes from outside of the project, and is not known to be deterministic")
    if entry.partition(".")[0] in _OURS:
        return Decision(verdict, "is perdure's own")
    says = {
        Verdict.DIRECT: "is known to be deterministic",
        Verdict.ACTIVITY: "is known to touch the world outside",
        Verdict.MARKER: "is a local source of nondeterminism",
        Verdict.CALLBACKS: "is deterministic, but calls functions handed to it",
    }[verdict]
    return Decision(verdict, f"{says} (table entry {entry!r})", known.CALLBACKS.get(entry))


def _marked(mark: object) -> Decision:
    if mark is None:
        return Decision(Verdict.DIRECT, "is marked with @no_activity")
    return Decision(Verdict.ACTIVITY, "is marked with @activity")


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


# ---------------------------------------------------------------- looking at objects without running them


def _inner_callable(f: Any, t: type) -> Any:
    """What a partial, a generic alias or a cached function stands for; _ABSENT if `f` is none of these."""
    if t is functools.partial:
        return f.func
    if t is _CACHED_FUNCTION:
        return f.__dict__.get("__wrapped__", _ABSENT)
    if t is types.GenericAlias or t is _TYPING_ALIAS or t is _SPECIAL_ALIAS:
        return object.__getattribute__(f, "__origin__")
    return _ABSENT


def _mark_of(f: Any, t: type) -> Any:
    """The SDK's mark on `f`: on the function, on the class; @no_activity on a class covers its instances' methods."""
    function = f.__func__ if t is types.MethodType else f
    if type(function) is types.FunctionType:
        mark = _dict_of_function(function).get(MARK, _ABSENT)
        if mark is not _ABSENT or t is types.FunctionType:
            return mark
    if issubclass(t, type):
        return _class_mark(f)
    owner = _owner_of(f, t)
    if owner is not None and _class_mark(owner) is None:
        return None
    return _ABSENT


def _mro_of(cls: type) -> tuple[type, ...]:
    # none yet: its metaclass is at work on it, or it is one of C's that never was made ready, without a namespace
    return _get_mro(cls) or ((cls,) if _dict_of_class(cls) is not None else ())


def is_marked(cls: type) -> bool:
    """Has this class, or one that it derives from, a mark of the SDK's?"""
    return _class_mark(cls) is not _ABSENT


def _class_mark(cls: type) -> Any:
    for c in _mro_of(cls):
        mark = _dict_of_class(c).get(MARK, _ABSENT)
        if mark is not _ABSENT:
            return mark
    return _ABSENT


def _owner_of(f: Any, t: type) -> type | None:
    """The class whose (class or instance) method `f` is; the class of a callable object; None for functions."""
    if t is types.MethodType or _is_bound_builtin(t):
        receiver = f.__self__
        cls = type(receiver)
        if receiver is None or issubclass(cls, types.ModuleType):
            return None
        return receiver if issubclass(cls, type) else cls
    if t is types.FunctionType or _is_descriptor(t) or issubclass(t, type):
        return None
    return t


def _module_name(cls: type) -> str | None:
    try:
        module = _module_of(cls)
    except AttributeError:  # a class whose namespace lost its __module__
        return None
    return module if type(module) is str else None


def _call_of(t: type) -> Any:
    for c in _mro_of(t):
        if (call := _dict_of_class(c).get("__call__", _ABSENT)) is not _ABSENT:
            return call
    return None


def _class_name(cls: type) -> str:
    return f"{_module_name(cls) or '?'}.{_qualname_of(cls)}"


def _module_of_function(f: types.FunctionType) -> str | None:
    """The module whose globals the function has: ``__module__`` may be copied from what it wraps."""
    name = dict.get(f.__globals__, "__name__")
    return name if type(name) is str else None


def _builtin_name(f: Any) -> str:
    """``module.function`` or ``module.Class.method`` of a bound C function, by the class that defines the method."""
    receiver, name = f.__self__, f.__name__
    cls = type(receiver)
    module = None if type(f) is types.MethodWrapperType else f.__module__
    if receiver is None or (issubclass(cls, types.ModuleType) and module is not None):  # else the type's: __dir__
        return f"{module if type(module) is str else '?'}.{name}"
    classes = _mro_of(receiver if issubclass(cls, type) else cls)
    if issubclass(cls, type):
        classes = (*classes, *_mro_of(cls))
    return f"{_class_name(next((c for c in classes if _defines_in_c(c, name)), cls))}.{name}"


def _defines_in_c(cls: type, name: str) -> bool:
    """Has the class a method of this name that is no Python function? `super()` reaches past those that are."""
    method = _dict_of_class(cls).get(name, _ABSENT)
    if type(method) is staticmethod or type(method) is classmethod:
        method = method.__func__
    return method is not _ABSENT and type(method) is not types.FunctionType


def _hidden_instance_module(f: Any, owner: type, name: str) -> str | None:
    """The module that offers this bound method as a function of its own, as `random` does; None if none does."""
    name_of_module = _module_name(owner)
    module = sys.modules.get(name_of_module) if name_of_module else None
    found: Any = _module_dict(module).get(name) if issubclass(type(module), types.ModuleType) else None  # type: ignore[arg-type]
    if type(found) is types.MethodType or _is_bound_builtin(type(found)):
        return name_of_module if found.__self__ is f.__self__ else None
    return None


def _is_random_instance(f: Any, t: type) -> bool:
    """A method of a `random.Random` that the program made: deterministic, since its construction was a marker."""
    owner = _owner_of(f, t)
    if owner is not random.Random or owner is f.__self__:
        return False
    return _hidden_instance_module(f, owner, f.__name__) is None


# `t in (A, B)` would ask the == of a metaclass.
def _is_bound_builtin(t: type) -> bool:
    return (
        t is types.BuiltinFunctionType or issubclass(t, types.BuiltinFunctionType) or t is types.MethodWrapperType
    )  # its subclass: METH_METHOD


def _is_descriptor(t: type) -> bool:
    return t is types.MethodDescriptorType or t is types.WrapperDescriptorType or t is types.ClassMethodDescriptorType


# ---------------------------------------------------------------- methods of C's types

_C_METHODS: Final[dict[object, Decision]] = {}
"""Decisions, by type and name (and on C functions of modules): for all policies to which nobody has named a thing."""
_COMMON: Final = (str, bytes, int, float, list, tuple, dict, set, frozenset, re.Pattern, re.Match)


def _decide_beforehand() -> None:
    """Know the common ones by the time that a zygote forks."""
    for t in _COMMON:
        for name, method in _dict_of_class(t).items():
            if type(method) is types.MethodDescriptorType:
                _C_METHODS[t, name] = _known(f"{_class_name(t)}.{name}")


_decide_beforehand()

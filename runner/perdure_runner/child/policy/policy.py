"""Which calls are external: the decision of design.md, section 4, for one callable.

It never runs user code: ``type(x)``, look-ups in ``__dict__``s and the C getters of built-in types only, no
``isinstance`` and no ``getattr`` on objects that may be the user's. It keeps no user function or instance alive:
verdicts are cached by code object and, weakly, by class.
"""

import functools
import io
import re
import types
import weakref
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Final

from perdure import _runtime

from perdure_runner.child.policy import known, names
from perdure_runner.child.policy.known import Takes, Verdict
from perdure_runner.child.policy.looking import (
    ABSENT,
    CACHED_FUNCTION,
    IMMUTABLE_TYPE,
    MARK,
    builtin_name,
    call_of,
    class_mark,
    class_name,
    dict_of_class,
    dict_of_function,
    flags_of,
    inner_callable,
    is_bound_builtin,
    is_descriptor,
    is_marked,
    is_random_instance,
    mark_of,
    module_name,
    module_of_function,
    owner_of,
)
from perdure_runner.child.policy.names import MAX_DEPTH

__all__ = ["MARK", "Decision", "Policy", "Takes", "Verdict", "is_marked"]

_OURS: Final = ("autokitteh", "perdure", "perdure_runner")
_CONSTRUCTION: Final = frozenset({"__class_getitem__", "__init__", "__init_subclass__", "__new__", "__set_name__"})
_CACHE_LIMIT: Final = 65536
_FROZEN: Final = "<frozen "  # the interpreter's own: os, posixpath, _collections_abc, ...
_len: Final = len  # programs (and tests) put others into `builtins` for a while


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
        return self.is_user_module(module_name(cls))

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
        for _ in range(MAX_DEPTH):
            if t is types.FunctionType:
                return self._verdict_on_function(f)
            if is_bound_builtin(t):
                return self._decide_on_builtin(f).verdict
            if issubclass(t, type):
                return self._verdict_on_class(f)
            if t is types.MethodType and self.goes_by_marks(f.__func__):
                return self._verdict_on_function(f.__func__)  # what else was said of its class can only be the same
            inner = inner_callable(f, t)
            if inner is ABSENT:
                return Verdict.DIRECT if self._is_own_object(t) else self._decide(f).verdict
            f, t = inner, type(inner)
        return _DEEP.verdict

    def name(self, f: Any) -> str:
        """The qualified name of a callable, as journals and patterns have it: ``requests.api.get``.

        A method of an instance has its class's name, ``requests.sessions.Session.get``; a function of a module that
        is really a method of the module's hidden instance has the module's, ``random.randrange``.
        """
        name = names.qualified(f, self.is_user_class)
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
        decision = self._decide_on_builtin(f) if is_bound_builtin(type(f)) else self._decide(f)
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
        inner = inner_callable(f, CACHED_FUNCTION) if type(f) is CACHED_FUNCTION else None
        return inner if self.goes_by_marks(inner) else None

    def goes_by_marks(self, f: Any) -> bool:
        """Is it nothing but a mark on the function `f` that can make its calls external?"""
        return type(f) is types.FunctionType and not self._force and self.is_user_code(f.__code__)

    def _is_own_object(self, t: type) -> bool:
        """Do the project's own functions take the calls of `t`'s instances, so that no mark is asked for?"""
        return not is_descriptor(t) and t is not types.MethodType and self.goes_by_marks(call_of(t))

    def _decide_on_builtin(self, f: Any) -> Decision:
        """C functions of modules, and methods of C's types that cannot change, are decided about once."""
        receiver = f.__self__
        t = type(receiver)
        key: object
        if t is types.ModuleType and type(f) is types.BuiltinFunctionType:
            key = f
        elif flags_of(t) & IMMUTABLE_TYPE and not issubclass(t, (type, types.ModuleType)):
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
        code, attributes = f.__code__, dict_of_function(f)
        if attributes and (mark := attributes.get(MARK, ABSENT)) is not ABSENT:
            return _marked(mark).verdict
        if self._is_special(f, attributes):
            return self._decide(f).verdict
        entry = self._codes.get(id(code))
        if entry is not None:
            return entry[1]
        verdict = self._decide(f).verdict
        if not code.co_filename.startswith("<") or code.co_filename.startswith(_FROZEN):  # others were made in memory
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
        if (mark := class_mark(cls)) is not ABSENT:
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
        if depth > MAX_DEPTH:
            return _DEEP
        t = type(f)
        inner = inner_callable(f, t)
        if inner is not ABSENT:
            return self._decide(inner, depth + 1)
        return self._explicit(f, t) or self._implicit(f, t, depth)

    def _explicit(self, f: Any, t: type) -> Decision | None:
        """What the user said about this very callable: a mark, a registration, a pattern of the manifest."""
        mark = mark_of(f, t)
        if mark is not ABSENT:
            return _marked(mark)
        registered = _runtime.no_activity
        thing = f.__func__ if t is types.MethodType else f
        owner = owner_of(f, t)
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
        if is_bound_builtin(t):
            if is_random_instance(f, t):
                return _SEEDED
            receiver = type(f.__self__)
            return _STREAMS if _is_ours(receiver) or receiver in _IN_MEMORY else _known(builtin_name(f))
        if is_descriptor(t):
            return _known(f"{class_name(f.__objclass__)}.{f.__name__}")
        if issubclass(t, type):
            return self._class(f)
        return self._object(f, t, depth)

    def _function(self, f: types.FunctionType, depth: int) -> Decision:
        if self.is_user_code(f.__code__):
            return Decision(Verdict.DIRECT, "is the project's own code, in which every call is looked at")
        module = module_of_function(f)
        if module is None or module.startswith("namedtuple_"):
            return Decision(Verdict.DIRECT, "was generated in memory")
        if self.is_user_module(module):
            return Decision(Verdict.DIRECT, "was generated for a module of the project")
        if f.__name__ in _CONSTRUCTION:
            return Decision(Verdict.DIRECT, "takes part in the construction of an object of the project")
        decision = _known(f"{module}.{f.__qualname__}")
        wrapped = dict_of_function(f).get("__wrapped__", ABSENT)
        if wrapped is not ABSENT:
            inner = self._decide(wrapped, depth + 1)
            if inner.verdict is Verdict.DIRECT or decision.verdict is Verdict.DIRECT:
                return Decision(inner.verdict, f"wraps a function that {inner.reason}")
        return decision

    def _method(self, f: types.MethodType, depth: int) -> Decision:
        function = f.__func__
        if type(function) is not types.FunctionType:
            return self._decide(function, depth + 1)
        decision = self._function(function, depth)
        if self.is_user_code(function.__code__) or self.is_user_module(module_of_function(function)):
            return decision
        if is_random_instance(f, types.MethodType):
            return _SEEDED
        owner = owner_of(f, types.MethodType)
        if owner is None or self.is_user_class(owner) or decision.verdict is Verdict.CALLBACKS:
            return decision
        if function.__name__ in _CONSTRUCTION or (module_of_function(function) or "").startswith("namedtuple_"):
            return decision
        return _known(f"{class_name(owner)}.{function.__name__}")

    def _class(self, cls: type) -> Decision:
        if self.is_user_class(cls):
            return Decision(Verdict.DIRECT, "is a class of the project")
        if issubclass(cls, BaseException):
            return Decision(Verdict.DIRECT, "is a class of exceptions")
        return _known(class_name(cls))

    def _object(self, f: Any, t: type, depth: int) -> Decision:
        """An instance of a class with ``__call__``."""
        call = call_of(t)
        if type(call) is types.FunctionType:
            return self._method(types.MethodType(call, f), depth)
        if self.is_user_class(t):
            return Decision(Verdict.DIRECT, "is an object of the project")
        return _known(class_name(t))


def _is_ours(cls: type) -> bool:
    """Is it a class of perdure's, whose instances have methods of C's types, too, as `sys.stdout` of a session?"""
    module = module_name(cls)
    return type(module) is str and module.partition(".")[0] in _OURS


_IN_MEMORY: Final = frozenset({io.StringIO, io.BytesIO})
_STREAMS: Final = Decision(Verdict.DIRECT, "is a method of a stream that ends in the session: its output, or memory")
_SEEDED: Final = Decision(Verdict.DIRECT, "works on a random generator whose beginning is recorded")


@functools.lru_cache(maxsize=8192)
def _known(name: str) -> Decision:
    verdict, entry = known.look_up(name)
    if not entry:
        return Decision(verdict, "comes from outside of the project, and is not known to be deterministic")
    if entry.partition(".")[0] in _OURS:
        return Decision(verdict, "is perdure's own", known.CALLBACKS.get(entry))
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


# ---------------------------------------------------------------- methods of C's types

_C_METHODS: Final[dict[object, Decision]] = {}
"""Decisions, by type and name (and on C functions of modules): for all policies to which nobody has named a thing."""
_COMMON: Final = (str, bytes, int, float, list, tuple, dict, set, frozenset, re.Pattern, re.Match)


def _decide_beforehand() -> None:
    """Know the common ones by the time that a zygote forks."""
    for t in _COMMON:
        for name, method in dict_of_class(t).items():
            if type(method) is types.MethodDescriptorType:
                _C_METHODS[t, name] = _known(f"{class_name(t)}.{name}")


_decide_beforehand()

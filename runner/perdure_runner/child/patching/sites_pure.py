"""Call sites in pure Python: for interpreters without the compiled twin, and under PERDURE_PURE=1.

A site believes nothing that a program can change: it fetches the attribute each time and compares what it got, by
identity, with what it has judged before; only judgements are remembered.

What is remembered keeps no instance, no closure and no class or function alive but those that their module names
(`fetching.class_lasts`): local ones are known by code object or weakly, and their entries go when they do.
"""

import functools
import types
import weakref
from collections.abc import Callable
from typing import Any, Final

from perdure_runner.child.patching import deciding, fetching
from perdure_runner.child.patching.deciding import SLOTS, Build, SiteInfo
from perdure_runner.child.patching.rewrite import Mark
from perdure_runner.child.policy.known import Verdict
from perdure_runner.child.policy.policy import MARK, is_marked

_Function = types.FunctionType
_Method = types.MethodType
_len: Final = len  # programs (and tests) put others into `builtins` for a while
_TABLE_LIMIT: Final = 8
"""What a site remembers beside the first of its callees; more than that, and it begins anew."""


class _Marks:
    """True once a function has a mark beside the attributes that it has already."""

    __slots__ = ("_attributes",)

    def __init__(self, attributes: dict[str, Any]) -> None:
        self._attributes = attributes

    def __bool__(self) -> bool:
        return MARK in self._attributes


class _ClassMarks:
    """True once a class has a mark: what a function's ``__dict__`` is to a function that has no attributes."""

    __slots__ = ("_class",)

    def __init__(self, cls: type) -> None:
        self._class = weakref.ref(cls)

    def __bool__(self) -> bool:
        cls = self._class()
        return cls is None or (hasattr(cls, MARK) if type(cls) is type else is_marked(cls))


class _Entry:
    """A judgement: calls of this function, or of unmarked functions of this code, are internal."""

    __slots__ = ("attributes", "code", "function", "keeper", "of_c")

    def __init__(self, function: object, attributes: object, code: types.CodeType | None) -> None:
        self.function = function
        self.attributes = attributes
        self.code = code
        self.of_c = False
        """The owner's instances have the method from a type of C's."""
        self.keeper: object = None
        """What makes sure that the id under which it is found is still that of the same object."""

    def covers(self, f: Any) -> bool:
        """Is `f` what was judged, and unmarked?"""
        if f is self.function:
            return not self.attributes
        return type(f) is _Function and f.__code__ is self.code and not f.__dict__


_NOTHING: Final = object()
_PLAIN: Final = _Entry(_NOTHING, (), None)
"""The entry of a type of C's whose method, or whose instances' method, is internal."""
_EMPTY: Final[dict[int, _Entry]] = {}


class _Table(deciding.Site):
    """What a site remembers beside its first callee."""

    __slots__ = (*SLOTS, "_attributes", "_function", "_table")

    def __init__(self, mark: Mark, place: str | SiteInfo, sites: Build) -> None:
        self._begin(mark, place, sites)
        self._function: object = _NOTHING
        """The first callee: one that lasts."""
        self._attributes: object = ()
        """Its ``__dict__``, in which a mark would be."""
        self._table = _EMPTY

    def _judged(self, f: Any, *, lasts: Callable[[types.FunctionType], bool]) -> _Entry | None:
        """What may be remembered about `f`, whose verdict is DIRECT; None: nothing."""
        t = type(f)
        if t is _Method:
            return None
        if t is _Function:
            return self._judged_function(f, lasts=lasts(f))
        if issubclass(t, type):
            marks = () if fetching.is_immutable(f) else _ClassMarks(f)
            return _Entry(f if fetching.class_lasts(f) else _NOTHING, marks, None)
        if t is types.BuiltinFunctionType:  # a module's is neither a closure nor an instance
            return _Entry(f, (), None) if type(f.__self__) is types.ModuleType else None
        inner = self.policy.cached(f)
        if inner is not None and fetching.function_lasts(inner, f):
            return _Entry(f, _Marks(inner.__dict__), None)
        return None

    def _judged_function(self, f: types.FunctionType, *, lasts: bool) -> _Entry | None:
        attributes = f.__dict__
        if attributes:
            only_marks_count = lasts and self.policy.goes_by_marks(f) and MARK not in attributes
            return _Entry(f, _Marks(attributes), None) if only_marks_count else None
        if self.policy.verdict(f) is not Verdict.DIRECT or not self.policy.is_direct_code(f.__code__):
            return None
        return _Entry(f, attributes, f.__code__) if lasts else _Entry(_NOTHING, (), f.__code__)

    def _note(self, key: int, thing: Any, entry: _Entry, *, lasts: bool) -> None:
        """Remember `entry` under `key`, which is made of the id of `thing`, for as long as that lives."""
        if _len(self._table) >= _TABLE_LIMIT or self._table is _EMPTY:
            self._table = {}
        if entry is not _PLAIN:  # what is plain does not go
            entry.keeper = thing if lasts else weakref.ref(thing, functools.partial(self._table.pop, key))
        self._table[key] = entry


class CallSite(deciding.CallSite, _Table):
    """The site of ``f(a)`` and of a decorator."""

    __slots__ = ("_class", "_code")

    def __init__(self, mark: Mark, place: str | SiteInfo, sites: Build) -> None:
        super().__init__(mark, place, sites)
        self._code: types.CodeType | None = None
        """Of functions that do not last."""
        self._class: object = _NOTHING
        """The first class: one that lasts, and whose metaclass is `type`."""

    def call(self, f: Any) -> Any:
        """What to call for `f`."""
        if f is self._function:
            if not self._attributes:
                return f
        elif type(f) is _Function:
            if f.__code__ is self._code and not f.__dict__:
                return f
        elif f is self._class and not hasattr(f, MARK):
            return f
        return self._recall(f)

    def _recall(self, f: Any) -> Any:
        of_function = type(f) is _Function
        entry = self._table.get(id(f.__code__ if of_function else f))
        if entry is not None and not entry.attributes and not (of_function and f.__dict__):
            return f
        return self._decide(f)

    def _learn(self, f: Any) -> None:
        entry = self._judged(f, lasts=fetching.function_lasts)
        if entry is None:
            return
        of_function = type(f) is _Function
        if type(f) is type and self._class is _NOTHING and entry.function is not _NOTHING:
            self._class = f
        elif self._function is _NOTHING and entry.function is not _NOTHING:
            self._attributes = entry.attributes
            self._function = f
        elif self._code is None and of_function:
            self._code = entry.code
        elif not of_function:
            self._note(id(f), f, entry, lasts=entry.function is not _NOTHING)
        elif entry.code is not None:
            self._note(id(entry.code), entry.code, _Entry(_NOTHING, (), entry.code), lasts=True)


class MethodSite(deciding.MethodSite, _Table):
    """The site of ``o.m(a)``."""

    __slots__ = ("_calling", "_name", "_owner", "_plain", "_receiver", "_second")

    def __init__(self, mark: Mark, place: str | SiteInfo, sites: Build) -> None:
        super().__init__(mark, place, sites)
        self._plain: object = _NOTHING
        """A type of C's whose method of this name is internal."""
        self._owner: object = _NOTHING
        """The class of the instances for which `_function` was judged."""
        self._second: object = _NOTHING
        """Another class that has the same one: mostly a sister."""
        self._receiver: object = _NOTHING
        """Or the module or class itself."""

    def method(self, o: Any) -> Any:
        """An object whose attribute of this site's name is what to call."""
        t = type(o)
        if t is self._plain:
            return o
        try:
            m = getattr(o, self._name)
        except BaseException as error:  # noqa: BLE001 - raised again, natively, where the interpreter fetches it
            traceback = error.__traceback__
            error.__traceback__ = traceback.tb_next if traceback is not None else None  # without this frame
            return self._raising(error)
        f = m.__func__ if type(m) is _Method else m
        if (
            f is self._function
            and (t is self._owner or t is self._second or o is self._receiver)
            and not self._attributes
        ):
            return o
        if (entry := self._table.get(id(t))) is not None:
            if f is entry.function:
                if not entry.attributes:
                    return o
            elif type(f) is _Function and f.__code__ is entry.code and not f.__dict__:
                return o
        return self._recall(o, t, m)

    def _recall(self, o: Any, t: type, m: Any) -> Any:
        of_instance = not (t is types.ModuleType or issubclass(t, type))
        entry = self._table.get(id(t) if of_instance else -id(o))
        if entry is not None and (
            entry is _PLAIN
            or entry.covers(deciding.function_of(m))
            or (entry.of_c and fetching.is_c_method(o, m, self._name))
        ):
            return o
        return self._decide(o, t, m)

    def _learn(self, o: Any, t: type, m: Any, where: type | None, found: Any) -> None:
        of_instance = not (t is types.ModuleType or issubclass(t, type))
        key = id(t) if of_instance else -id(o)
        f = deciding.function_of(m)
        if fetching.is_plain(t):
            self._learn_plain(t)
        elif t is type and fetching.is_immutable(o):
            self._note(key, o, _PLAIN, lasts=True)
        elif of_instance and type(found) is types.MethodDescriptorType and fetching.is_c_method(o, m, self._name):
            entry = _Entry(_NOTHING, (), None)
            entry.of_c = True
            self._note(key, t, entry, lasts=fetching.class_lasts(t))
        elif judged := self._judged(f, lasts=lambda f: fetching.method_lasts(f, where) or fetching.function_lasts(f)):
            self._learn_function(key, t if of_instance else o, judged, of_instance=of_instance)

    def _learn_plain(self, t: type) -> None:
        if self._plain is _NOTHING:
            self._plain = t
        else:
            self._note(id(t), t, _PLAIN, lasts=True)

    def _learn_function(self, key: int, owner: Any, entry: _Entry, *, of_instance: bool) -> None:
        lasts = fetching.module_lasts(owner) if type(owner) is types.ModuleType else fetching.class_lasts(owner)
        if lasts and of_instance and entry.function is self._function and self._second is _NOTHING:
            self._second = owner
            return
        if not lasts or entry.function is _NOTHING or self._function is not _NOTHING:
            self._note(key, owner, entry, lasts=lasts)
            return
        self._attributes = entry.attributes
        if of_instance:
            self._owner = owner
        else:
            self._receiver = owner
        self._function = entry.function


def call_site(mark: Mark, place: str | SiteInfo, sites: Build) -> object:
    """The constant for ``f(a)``."""
    return CallSite(mark, place, sites).call


def method_site(mark: Mark, place: str | SiteInfo, sites: Build) -> object:
    """The constant for ``o.m(a)``."""
    return MethodSite(mark, place, sites).method

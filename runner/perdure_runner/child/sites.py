"""Call sites: what stands between a call in user code and its callee.

A site is called with the callee (``f(a)``) or with the object whose method is called (``o.m(a)``) and returns what the
interpreter then calls natively. For an internal call that is the argument itself, so the fast paths below are most of
what a session pays for being durable. A site believes nothing that a program can change: it fetches the attribute each
time and compares what it got, by identity, with what it has judged before; only judgements are remembered.

What is remembered keeps no instance, no closure and no class or function alive but those that their module names
(`fetching.class_lasts`): local ones are known by code object or weakly, and their entries go when they do.
"""

import functools
import linecache
import types
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from perdure import _runtime

from perdure_runner.child import callbacks, fetching
from perdure_runner.child.known import Takes, Verdict
from perdure_runner.child.policy import MARK, Policy, is_marked
from perdure_runner.child.rewrite import Mark

Callee = Callable[..., Any]
_Function = types.FunctionType
_Method = types.MethodType
_len: Final = len  # programs (and tests) put others into `builtins` for a while
_TABLE_LIMIT: Final = 8
"""What a site remembers beside the first of its callees; more than that, and it begins anew."""


@dataclass(frozen=True, slots=True)
class SiteInfo:
    """Where a call stands in the source: what the journal says of it."""

    file: str
    """Relative to the build's root, with forward slashes."""
    line: int
    """From 1: the line of the function's or method's name."""
    column: int
    """From 1, in characters."""
    name: str | None
    """The method's name; None where a plain name or expression is called."""
    path: str = field(repr=False, compare=False, default="")
    """The file's absolute path."""

    def source(self) -> str:
        """The line of source, stripped; empty if the file cannot be read."""
        return linecache.getline(self.path, self.line).strip()


class Router(Protocol):
    """What the recorder does for sites."""

    def direct(self) -> bool:
        """True inside an activity or under `inhibit_activities`: every site returns the callee itself."""

    def route(self, f: Callee, verdict: Verdict, site: SiteInfo, /) -> Callee:
        """What to call instead of `f`, an activity or a marker."""


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

    __slots__ = ("attributes", "code", "function", "keeper", "of_c", "registrations", "takes")

    def __init__(self, function: object, attributes: object, code: types.CodeType | None) -> None:
        self.function = function
        self.attributes = attributes
        self.code = code
        self.of_c = False
        """The owner's instances have the method from a type of C's."""
        self.takes: Takes | None = None
        """Of a type of C's whose method takes callables: where."""
        self.registrations = 0
        """With `takes`: the version of `register_no_activity` for which it holds. Nothing else can be undone by one."""
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


class Site:
    """One place in user code: its position, what it has learnt, and who decides."""

    __slots__ = ("_attributes", "_function", "_place", "_table", "mark", "sites")

    def __init__(self, mark: Mark, place: str | SiteInfo, sites: "Sites") -> None:
        """`place` is the path of the file; `info` is made when it is asked for."""
        self.mark = mark
        self.sites = sites
        self._place = place
        self._function: object = _NOTHING
        """The first callee: one that lasts."""
        self._attributes: object = ()
        """Its ``__dict__``, in which a mark would be."""
        self._table = _EMPTY

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.mark, self.info)  # code by value (cloudpickle) carries its sites

    @property
    def info(self) -> SiteInfo:
        """Where the site is."""
        if type(place := self._place) is str:
            mark = self.mark
            self._place = SiteInfo(self.sites.relative(place), mark.line, mark.column, mark.name, place)
        return cast("SiteInfo", self._place)

    @property
    def policy(self) -> Policy:
        """Who decides."""
        return self.sites.policy

    def pick(self, f: Callee, verdict: Verdict) -> Callee:
        """What to call for `f`, which is external, now."""
        router = self.sites.router
        return f if router.direct() else router.route(f, verdict, self.info)

    def _choose(self, f: Callee, verdict: Verdict) -> Callee:
        if verdict is Verdict.CALLBACKS:
            return callbacks.wrap(f, self)
        if verdict is Verdict.DIRECT or (self.mark.kind == "decorator" and not self.policy.insists(f)):
            return f  # what a library's decorator makes is no value; the code that it wraps is looked at itself
        return self.pick(f, verdict)

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


class CallSite(Site):
    """The site of ``f(a)`` and of a decorator."""

    __slots__ = ("_class", "_code")

    def __init__(self, mark: Mark, place: str | SiteInfo, sites: "Sites") -> None:
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
        return self._decide(f)

    def _decide(self, f: Any) -> Any:
        of_function = type(f) is _Function
        known = f.__code__ if of_function else f
        entry = self._table.get(id(known))
        if entry is not None and not entry.attributes and not (of_function and f.__dict__):
            return f
        verdict = self.policy.verdict(f)
        if verdict is not Verdict.DIRECT:
            return self._choose(f, verdict)
        entry = self._judged(f, lasts=fetching.function_lasts)
        if entry is None:
            return f
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
            self._note(id(known), known, _Entry(_NOTHING, (), entry.code), lasts=True)
        return f


class MethodSite(Site):
    """The site of ``o.m(a)``: it fetches the method once and returns an object that has it.

    That is `o` itself if the call is internal and to fetch the method again can run no user code.
    """

    __slots__ = ("_name", "_owner", "_plain", "_receiver", "_second")

    def __init__(self, mark: Mark, place: str | SiteInfo, sites: "Sites") -> None:
        super().__init__(mark, place, sites)
        assert mark.name is not None
        self._name = mark.name
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
            return fetching.raising(self._name, error)
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
        return self._decide(o, t, m)

    def _decide(self, o: Any, t: type, m: Any) -> Any:
        of_instance = not (t is types.ModuleType or issubclass(t, type))
        key = id(t) if of_instance else -id(o)
        f = m.__func__ if type(m) is _Method else m
        entry = self._table.get(key)
        if entry is not None:
            if entry.takes is not None and entry.registrations == _runtime.no_activity.version:
                return fetching.shim(self._name, functools.partial(callbacks.call, m, entry.takes, self))
            if entry is _PLAIN or entry.covers(f) or (entry.of_c and fetching.is_c_method(o, m, self._name)):
                return o
        verdict = self.policy.verdict(m)
        if verdict is not Verdict.DIRECT:
            if verdict is Verdict.CALLBACKS and fetching.is_plain(t):
                self._learn_calling(t, self.policy.takes(m))
            return fetching.shim(self._name, self._choose(m, verdict))
        where, found = fetching.find(o, t, self._name)
        if not fetching.is_static(o, t, self._name, found):
            return fetching.shim(self._name, m)
        if fetching.is_plain(t):
            self._learn_plain(t)
        elif t is type and fetching.is_immutable(o):
            self._note(key, o, _PLAIN, lasts=True)
        elif of_instance and type(found) is types.MethodDescriptorType and fetching.is_c_method(o, m, self._name):
            entry = _Entry(_NOTHING, (), None)
            entry.of_c = True
            self._note(key, t, entry, lasts=fetching.class_lasts(t))
        elif entry := self._judged(f, lasts=lambda f: fetching.method_lasts(f, where) or fetching.function_lasts(f)):
            self._learn(key, t if of_instance else o, entry, of_instance=of_instance)
        return o

    def _learn_plain(self, t: type) -> None:
        if self._plain is _NOTHING:
            self._plain = t
        else:
            self._note(id(t), t, _PLAIN, lasts=True)

    def _learn_calling(self, t: type, takes: Takes) -> None:
        entry = _Entry(_NOTHING, (), None)
        entry.takes = takes
        entry.registrations = _runtime.no_activity.version
        self._note(id(t), t, entry, lasts=True)

    def _learn(self, key: int, owner: Any, entry: _Entry, *, of_instance: bool) -> None:
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


# ---------------------------------------------------------------- making sites

_NEVER_ROUTED: Final = frozenset({"__del__", "__getattr__", "__getattribute__"}) | {
    "__dict__",
    "__doc__",
    "__module__",
    "__qualname__",
    "__slots__",
    "__weakref__",
}
"""Attributes that a shim cannot have: the interpreter would use them on the shim itself."""

Maker = Callable[[Mark, str], object]
"""From a mark and the absolute path of its file to the object that becomes a constant of the code."""


def pass_through(_mark: Mark, _path: str, /) -> object:
    """Sites that return their argument: C functions, which no tracer sees."""
    return _identity


_identity: Final = functools.partial({}.get, None)


class Sites:
    """Makes the sites of one build."""

    def __init__(self, relative: Callable[[str], str], policy: Policy, router: Router) -> None:
        self.relative = functools.lru_cache(maxsize=None)(relative)
        """From the path of a file to what `SiteInfo.file` is."""
        self.policy = policy
        self.router = router

    def __call__(self, mark: Mark, place: str | SiteInfo) -> object:
        """The site of a call in the file of this path, or at a place that is known already."""
        if mark.name is None:
            return CallSite(mark, place, self).call
        return _identity if mark.name in _NEVER_ROUTED else MethodSite(mark, place, self).method


_installed: list[Sites] = []


def announce(sites: Sites) -> None:
    """Say which sites pickled code is to get. The hook does, once per session."""
    _installed[:] = [sites]


def _rebuild(mark: Mark, info: SiteInfo) -> Site:
    if not _installed:
        raise LookupError("code with call sites can be unpickled in a session only")
    site = _installed[0](mark, info)
    return site.__self__  # type: ignore[attr-defined,no-any-return] # what is pickled is a bound method of the site

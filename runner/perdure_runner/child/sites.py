"""Call sites: what stands between a call in user code and its callee.

A site is called with the callee (``f(a)``) or with the object whose method is called (``o.m(a)``) and returns what the
interpreter then calls natively. For an internal call that is the argument itself, so the fast paths below are most of
what a session pays for being durable: no allocation, and verdicts remembered by code object and by class.

What a site remembers holds no user function, closure or instance alive.
"""

import functools
import linecache
import types
import weakref
from codecs import strict_errors
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from perdure_runner.child import callbacks
from perdure_runner.child.known import Verdict
from perdure_runner.child.policy import Policy
from perdure_runner.child.rewrite import Mark

Callee = Callable[..., Any]
_Function = types.FunctionType
_Method = types.MethodType


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


class Site:
    """One place in user code: its position, and who decides."""

    __slots__ = ("_class", "_code", "_known", "info", "mark", "policy", "router")

    def __init__(self, mark: Mark, info: SiteInfo, policy: Policy, router: Router) -> None:
        self.mark = mark
        self.info = info
        self.policy = policy
        self.router = router
        self._code: types.CodeType | None = None
        self._known: object = _NOTHING
        self._class: Callable[[], type | None] = _no_class

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (self.mark, self.info)  # code by value (cloudpickle) carries its sites

    def pick(self, f: Callee, verdict: Verdict) -> Callee:
        """What to call for `f`, which is external, now."""
        return f if self.router.direct() else self.router.route(f, verdict, self.info)

    def _choose(self, f: Callee, verdict: Verdict) -> Callee:
        if verdict is Verdict.CALLBACKS:
            return callbacks.wrap(f, self)
        if verdict is Verdict.DIRECT or (self.mark.kind == "decorator" and not self.policy.insists(f)):
            return f  # what a library's decorator makes is no value; the code that it wraps is looked at itself
        return self.pick(f, verdict)

    def _remember(self, f: Any) -> bool:
        """Make the fast paths take `f`, whose verdict is DIRECT. False: nothing about it can be remembered."""
        t = type(f)
        if t is _Function:
            if self.policy.verdict(f) is not Verdict.DIRECT or not self.policy.is_direct_code(f.__code__):
                return False
            self._code = f.__code__
        elif issubclass(t, type):
            self._class = weakref.ref(f)
        elif t is types.BuiltinFunctionType and issubclass(type(f.__self__), types.ModuleType):
            self._known = f  # a module's C function: neither a closure nor an instance
        else:
            return False
        return True


class CallSite(Site):
    """The site of ``f(a)`` and of a decorator."""

    __slots__ = ()

    def call(self, f: Any) -> Any:
        """What to call for `f`."""
        if type(f) is _Function:
            if f.__code__ is self._code and not f.__dict__:
                return f
        elif f is self._known or f is self._class():
            return f
        verdict = self.policy.verdict(f)
        if verdict is Verdict.DIRECT:
            self._remember(f)
            return f
        return self._choose(f, verdict)


class MethodSite(Site):
    """The site of ``o.m(a)``: it fetches the method once and returns an object that has it.

    That is `o` itself if the call is internal and to fetch the method again can run no user code.
    """

    __slots__ = ("_name", "_owner", "_plain")

    def __init__(self, mark: Mark, info: SiteInfo, policy: Policy, router: Router) -> None:
        super().__init__(mark, info, policy, router)
        assert mark.name is not None
        self._name = mark.name
        self._plain: object = _NOTHING
        """A type of C's whose method of this name is internal."""
        self._owner = 0
        """Id of the module or class, or of the instances' class, for which `_code`, `_known` or `_class` was learnt."""

    def method(self, o: Any) -> Any:
        """An object whose attribute of this site's name is what to call."""
        t = type(o)
        if t is self._plain:
            return o
        try:
            m = getattr(o, self._name)
        except BaseException as error:  # noqa: BLE001 - raised again, natively, where the interpreter fetches it
            return _raising(self._name, error)
        if type(m) is _Method:
            f = m.__func__
            owner = id(t)
            if (
                type(f) is _Function
                and f.__code__ is self._code
                and not f.__dict__
                and (owner == self._owner or id(o) == self._owner)
                and m.__self__ is o
            ):
                return o
        elif id(o) == self._owner and (
            m is self._known
            or m is self._class()
            or (type(m) is _Function and m.__code__ is self._code and not m.__dict__)
        ):
            return o
        return self._decide(o, t, m)

    def _decide(self, o: Any, t: type, m: Any) -> Any:
        verdict = self.policy.verdict(m)
        if verdict is not Verdict.DIRECT:
            return _shim(self._name, self._choose(m, verdict))
        if not _is_static(o, t, self._name):
            return _shim(self._name, m)
        if _is_plain(t):
            self._plain = t
            return o
        self._owner = 0
        of_instance = type(m) is _Method and m.__self__ is o and not issubclass(t, type)
        if self._remember(m.__func__ if type(m) is _Method else m):
            self._owner = id(t) if of_instance else id(o)
        return o


_NOTHING: Final = object()
_NEVER_ROUTED: Final = frozenset({"__del__", "__getattr__", "__getattribute__"}) | {
    "__dict__",
    "__doc__",
    "__module__",
    "__qualname__",
    "__slots__",
    "__weakref__",
}
"""Attributes that a shim cannot have: the interpreter would use them on the shim itself."""


def _no_class() -> type | None:
    return None


# ---------------------------------------------------------------- shims


@functools.cache
def _shim_class(name: str) -> type:
    """A class whose instances have one attribute, `name`. A class called "_" mangles no private names."""
    return type("_", (), {"__slots__": (name,)})


def _shim(name: str, value: object) -> object:
    cls = _shim_class(name)
    shim: object = object.__new__(cls)
    cls.__dict__[name].__set__(shim, value)
    return shim


_raise: Callable[[BaseException], Any] = cast("Any", strict_errors)


def _raising(name: str, error: BaseException) -> object:
    """An object whose attribute `name` raises `error` as if it had been raised right there.

    The getter is C all the way down (`codecs.strict_errors` raises the exception that it is handed), so the traceback
    shows the user's frames only, and what fetching the attribute did is done once.
    """
    traceback = error.__traceback__
    error.__traceback__ = traceback.tb_next if traceback is not None else None
    getter = functools.partial(next, map(_raise, (error,)))
    shim: object = object.__new__(type("_", (), {name: property(getter)}))
    return shim


# ---------------------------------------------------------------- can fetching an attribute run user code?

_dict_of_class = type.__dict__["__dict__"].__get__
_get_mro = type.__dict__["__mro__"].__get__
_flags_of = type.__dict__["__flags__"].__get__
_dictoffset_of = type.__dict__["__dictoffset__"].__get__
_IMMUTABLE_TYPE: Final = 1 << 8  # Py_TPFLAGS_IMMUTABLETYPE
_DELEGATING: Final = (
    super,
    types.GenericAlias,
    types.MethodType,
    weakref.CallableProxyType,
    weakref.ProxyType,
)
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
    }
)
"""Types of class attributes that bind without running anything of the user's."""


def _found(cls: type, name: str) -> Any:
    for c in _get_mro(cls) or (cls,):
        namespace = _dict_of_class(c)
        if name in namespace:
            return namespace[name]
    return _NOTHING


def _has_attributes(t: type) -> bool:
    return bool(_dictoffset_of(t) != 0)


def _is_plain(t: type) -> bool:
    """A type of C's that cannot change and whose instances have no attributes of their own."""
    return bool(_flags_of(t) & _IMMUTABLE_TYPE) and not _has_attributes(t)


def _is_static(o: Any, t: type, name: str) -> bool:
    """Fetching `name` from `o` a second time gives the same and runs no user code."""
    if t is types.ModuleType:
        return name in o.__dict__
    if type(_found(t, "__getattribute__")) is not types.WrapperDescriptorType or any(t is d for d in _DELEGATING):
        return False
    found = _found(o if issubclass(t, type) else t, name)
    if found is _NOTHING:
        return _has_attributes(t) and _found(t, "__getattr__") is _NOTHING
    kind = type(found)
    return any(kind is passive for passive in _PASSIVE)


# ---------------------------------------------------------------- making sites

Maker = Callable[[Mark, str], object]
"""From a mark and the absolute path of its file to the object that becomes a constant of the code."""


def pass_through(_mark: Mark, _path: str, /) -> object:
    """Sites that return their argument: C functions, which no tracer sees."""
    return _identity


_identity: Final = functools.partial({}.get, None)


class Sites:
    """Makes the sites of one build."""

    def __init__(self, relative: Callable[[str], str], policy: Policy, router: Router) -> None:
        self._relative = relative
        self._policy = policy
        self._router = router

    def __call__(self, mark: Mark, path: str) -> object:
        info = SiteInfo(self._relative(path), mark.line, mark.column, mark.name, path)
        return self.rebuild(mark, info)

    def rebuild(self, mark: Mark, info: SiteInfo) -> object:
        """The site of `info`."""
        if mark.name in _NEVER_ROUTED:
            return _identity
        if mark.name is not None:
            return MethodSite(mark, info, self._policy, self._router).method
        return CallSite(mark, info, self._policy, self._router).call


_installed: list[Sites] = []


def announce(sites: Sites) -> None:
    """Say which sites pickled code is to get. The hook does, once per session."""
    _installed[:] = [sites]


def _rebuild(mark: Mark, info: SiteInfo) -> Site:
    if not _installed:
        raise LookupError("code with call sites can be unpickled in a session only")
    site = _installed[0].rebuild(mark, info)
    return site.__self__  # type: ignore[attr-defined,no-any-return] # what is pickled is a bound method of the site

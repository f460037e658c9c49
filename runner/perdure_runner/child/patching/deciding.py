"""What a call site decides, in whichever of its twins: where it is, what is to be called, what may be remembered.

The twins (`sites_pure`, `sites_compiled`) remember; this is what they ask about a call that they do not know.
"""

import linecache
import types
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, cast

from perdure import _runtime

from perdure_runner.child.patching import callbacks, fetching
from perdure_runner.child.patching.rewrite import Mark
from perdure_runner.child.policy.known import Takes, Verdict
from perdure_runner.child.policy.policy import Policy

Callee = Callable[..., Any]


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


class Build(Protocol):
    """What the sites of one build share."""

    policy: Policy
    router: Router

    def relative(self, path: str, /) -> str:
        """From the path of a file to what `SiteInfo.file` is."""

    def __call__(self, mark: Mark, place: str | SiteInfo, /) -> object:
        """Another site, as a constant of code."""


_announced: list[Build] = []


def announce(build: Build) -> None:
    """Say which sites pickled code is to get. The hook does, once per session."""
    _announced[:] = [build]


def _rebuild(mark: Mark, info: SiteInfo) -> "Site":
    if not _announced:
        raise LookupError("code with call sites can be unpickled in a session only")
    site = _announced[0](mark, info)
    return site.__self__  # type: ignore[attr-defined,no-any-return] # what is pickled is a bound method of the site


_OF_TWINS: Final[tuple[str, ...]] = ()
"""The twins have the slots: one of them inherits a layout from C."""
SLOTS: Final = ("_place", "mark", "sites")


class Site:
    """One place in user code: its position, and who decides."""

    __slots__ = _OF_TWINS

    mark: Mark
    sites: Build
    _place: str | SiteInfo

    def _begin(self, mark: Mark, place: str | SiteInfo, sites: Build) -> None:
        """`place` is the path of the file; `info` is made when it is asked for."""
        self.mark = mark
        self.sites = sites
        self._place = place

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


class CallSite(Site):
    """The site of ``f(a)`` and of a decorator."""

    __slots__ = _OF_TWINS

    def _decide(self, f: Any) -> Any:
        verdict = self.policy.verdict(f)
        if verdict is not Verdict.DIRECT:
            return self._choose(f, verdict)
        self._learn(f)
        return f

    def _learn(self, f: Any) -> None:
        """Remember, if it can be told later, that calls of `f` are internal."""
        raise NotImplementedError


class MethodSite(Site):
    """The site of ``o.m(a)``: it fetches the method once and returns an object that has it.

    That is `o` itself if the call is internal and to fetch the method again can run no user code.
    """

    __slots__ = _OF_TWINS

    _name: str
    _calling: tuple[type, Takes, int] | None
    """A type of C's whose method takes callables, where, and for which version of `register_no_activity`."""

    def _begin(self, mark: Mark, place: str | SiteInfo, sites: Build) -> None:
        super()._begin(mark, place, sites)
        assert mark.name is not None
        self._name = mark.name
        self._calling = None

    def _decide(self, o: Any, t: type, m: Any) -> Any:
        calling = self._calling
        if calling is not None and calling[0] is t and calling[2] == _runtime.no_activity.version:
            return fetching.shim(self._name, callbacks.calling(m, calling[1], self))
        verdict = self.policy.verdict(m)
        if verdict is not Verdict.DIRECT:
            if verdict is Verdict.CALLBACKS and fetching.is_plain(t):
                self._calling = t, self.policy.takes(m), _runtime.no_activity.version
            return fetching.shim(self._name, self._choose(m, verdict))
        where, found = fetching.find(o, t, self._name)
        if not fetching.is_static(o, t, self._name, found):
            return fetching.shim(self._name, m)
        self._learn(o, t, m, where, found)
        return o

    def _raising(self, error: BaseException) -> object:
        return fetching.raising(self._name, error)

    def _learn(self, o: Any, t: type, m: Any, where: type | None, found: Any) -> None:
        """Remember, if it can be told later, that calls of `m`, the method of `o`, are internal.

        `where` and `found` are as `fetching.find` has them.
        """
        raise NotImplementedError


def function_of(m: Any) -> Any:
    """The function of a bound method; any other callable itself."""
    return m.__func__ if type(m) is types.MethodType else m

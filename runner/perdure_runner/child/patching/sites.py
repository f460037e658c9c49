"""Call sites: what stands between a call in user code and its callee.

A site is called with the callee (``f(a)``) or with the object whose method is called (``o.m(a)``) and returns what the
interpreter then calls natively. For an internal call that is the argument itself, so the fast paths are most of what a
session pays for being durable. There are two of them, with the same decisions (`deciding`): `sites_compiled`, in C, and
`sites_pure`, for interpreters without it and under ``PERDURE_PURE=1``.
"""

import functools
import os
from collections.abc import Callable
from typing import Final, Protocol

from perdure_runner.child.patching import sites_pure
from perdure_runner.child.patching.deciding import Build, Router, Site, SiteInfo, announce
from perdure_runner.child.patching.inherited import ClassSite
from perdure_runner.child.patching.rewrite import Mark
from perdure_runner.child.policy.policy import Policy

__all__ = ["Maker", "Router", "Site", "SiteInfo", "Sites", "announce", "pass_through", "twin"]


class Twin(Protocol):
    """A module that makes sites: what becomes a constant of the code."""

    def call_site(self, mark: Mark, place: str | SiteInfo, sites: Build) -> object:
        """For ``f(a)`` and decorators."""

    def method_site(self, mark: Mark, place: str | SiteInfo, sites: Build) -> object:
        """For ``o.m(a)``."""


def _chosen() -> Twin:
    if os.environ.get("PERDURE_PURE", "0") not in {"", "0"}:
        return sites_pure
    try:
        from perdure_runner.child.patching import sites_compiled
    except ImportError:
        return sites_pure
    return sites_compiled


twin: Twin = _chosen()
"""What sites of this process are made by."""

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
        if mark.kind == "class":
            return ClassSite(mark, place, self).look
        if mark.name in _NEVER_ROUTED:
            return _identity
        if mark.name is None or mark.kind == "super":
            return twin.call_site(mark, place, self)
        return twin.method_site(mark, place, self)

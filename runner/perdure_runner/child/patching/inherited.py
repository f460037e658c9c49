"""User classes that inherit from others: what ``with``, ``for`` and ``[]`` do with their instances.

No call expression shows it, and an instance of the user's own class is no handle. So a class that inherits such a
method from a class that is not known to be deterministic is given one of its own, which asks the class's site; methods
that are called by name are seen where they are called, and what the class itself defines is the user's code.
"""

from __future__ import annotations

import functools
import types
from typing import Any, Final

from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.patching.deciding import SLOTS, Build, Site, SiteInfo
from perdure_runner.child.patching.rewrite import Mark
from perdure_runner.child.policy.known import Verdict
from perdure_runner.child.policy.looking import ABSENT, dict_of_class, is_descriptor, mro_of

_IMPLICIT: Final = (
    *("__enter__", "__exit__", "__aenter__", "__aexit__", "__iter__", "__next__", "__aiter__", "__anext__"),
    *("__await__", "__len__", "__getitem__", "__setitem__", "__delitem__", "__contains__"),
)
"""Methods that statements and operators call, and that may well act on the world."""
_EXTERNAL: Final = (Verdict.ACTIVITY, Verdict.MARKER)


class ClassSite(Site):
    """The site of a ``class`` statement with bases."""

    __slots__ = SLOTS

    def __init__(self, mark: Mark, place: str | SiteInfo, sites: Build) -> None:
        self._begin(mark, place, sites)

    def look(self, cls: Any) -> Any:
        """The class, as a decorator gives it back."""
        if issubclass(type(cls), type) and self.policy.is_user_class(cls):
            for name in _IMPLICIT:
                method = _inherited(cls, name, self)
                if method is not ABSENT:
                    type.__setattr__(cls, name, _asking(method, self))
        return cls


def _inherited(cls: type, name: str, site: Site) -> Any:
    """The method of this name, if another's class defines it and its calls are external; else ABSENT."""
    for c in mro_of(cls):
        method = dict_of_class(c).get(name, ABSENT)
        if method is ABSENT:
            continue
        is_method = type(method) is types.FunctionType or is_descriptor(type(method))
        if not is_method or site.policy.is_user_class(c) or site.policy.verdict(method) not in _EXTERNAL:
            return ABSENT
        return method
    return ABSENT


def _asking(method: Any, site: Site) -> Any:
    @speaks_for_others
    def inherited(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        bound = method.__get__(self, type(self))
        verdict = site.policy.verdict(bound)
        return (site.pick(bound, verdict) if verdict in _EXTERNAL else bound)(*args, **kwargs)

    return functools.wraps(method)(inherited)

"""Call sites whose fast paths are C (`_sites`). Importing it raises ImportError where that was not built.

A guard of C's remembers under which conditions a call is internal and checks them each time: versions of classes, code
objects, marks. What those conditions may be for a given callee is said here.
"""

import enum
import types
from collections.abc import Callable
from typing import Any, Final

from perdure_runner.child.patching import deciding, fetching
from perdure_runner.child.patching._sites import CallGuard, MethodGuard
from perdure_runner.child.patching.deciding import SLOTS, Build, SiteInfo
from perdure_runner.child.patching.rewrite import Mark
from perdure_runner.child.policy.known import Verdict
from perdure_runner.child.policy.policy import MARK, Policy

_Lasts = Callable[[types.FunctionType, object], bool]
"""Does this function, or what has been wrapped around it, last?"""


class _Each(enum.Enum):
    CALL = 0
    """A callable that must be asked about at each call."""


_EACH_CALL: Final = _Each.CALL


class CallSite(deciding.CallSite, CallGuard):
    """The site of ``f(a)`` and of a decorator."""

    __slots__ = SLOTS

    def __init__(self, mark: Mark, place: str | SiteInfo, sites: Build) -> None:
        self._begin(mark, place, sites)

    def _learn(self, f: Any) -> None:
        marked = _mark_that_counts(f, self.policy, fetching.function_lasts)
        if marked is not _EACH_CALL:
            self.remember(f, marked)


class MethodSite(deciding.MethodSite, MethodGuard):
    """The site of ``o.m(a)``."""

    __slots__ = (*SLOTS, "_calling", "_name")

    def __init__(self, mark: Mark, place: str | SiteInfo, sites: Build) -> None:
        self._begin(mark, place, sites)
        MethodGuard.__init__(self, self._name)

    def _learn(self, o: Any, t: type, m: Any, where: type | None, found: Any) -> None:
        if self._is_of_c(o, t, m, found):
            self.remember(o, found, None, None)
            return
        f = deciding.function_of(m)
        marked = _mark_that_counts(
            f, self.policy, lambda f, around: fetching.method_lasts(f, where) or fetching.function_lasts(f, around)
        )
        if marked is not _EACH_CALL:
            self.remember(o, None if found is fetching.ABSENT else found, f, marked)

    def _is_of_c(self, o: Any, t: type, m: Any, found: Any) -> bool:
        """Does what is called come from a type of C's, so that nothing but a change of the class can end it?"""
        if fetching.is_plain(t) or (t is type and fetching.is_immutable(o)):
            return True
        return type(found) is types.MethodDescriptorType and t is not super and fetching.is_c_method(o, m, self._name)


def call_site(mark: Mark, place: str | SiteInfo, sites: Build) -> object:
    """The constant for ``f(a)``."""
    return CallSite(mark, place, sites).call


def method_site(mark: Mark, place: str | SiteInfo, sites: Build) -> object:
    """The constant for ``o.m(a)``."""
    return MethodSite(mark, place, sites).method


def _mark_that_counts(f: Any, policy: Policy, lasts: _Lasts) -> types.FunctionType | _Each | None:
    """The function on which a mark ends what is known of `f`, whose verdict is DIRECT.

    None: what can end it a guard sees by itself (attributes of a function that has none, other code, a changed class).
    """
    t = type(f)
    if t is types.FunctionType:
        return _of_function(f, policy, lasts)
    if t is types.MethodType:
        inner = f.__func__
        by_function = policy.goes_by_marks(inner) and not inner.__dict__ and policy.is_direct_code(inner.__code__)
        return None if by_function else _EACH_CALL
    if issubclass(t, type):
        return None
    if t is types.BuiltinFunctionType or t is types.MethodWrapperType:
        return None if _is_settled(f, policy) else _EACH_CALL
    wrapped = policy.cached(f)
    if wrapped is not None:
        return wrapped if lasts(wrapped, f) else _EACH_CALL
    if fetching.is_immutable(t):
        return _EACH_CALL
    return None if policy.goes_by_marks(fetching.find(f, t, "__call__")[1]) else _EACH_CALL


def _of_function(f: types.FunctionType, policy: Policy, lasts: _Lasts) -> types.FunctionType | _Each | None:
    attributes = f.__dict__
    if attributes:
        return f if lasts(f, f) and policy.goes_by_marks(f) and MARK not in attributes else _EACH_CALL
    direct = policy.verdict(f) is Verdict.DIRECT and policy.is_direct_code(f.__code__)
    return None if direct else _EACH_CALL


def _is_settled(f: Any, policy: Policy) -> bool:
    """Is the verdict on this bound C function that on all of its name and its receiver's class?"""
    t = type(f.__self__)
    if t is types.ModuleType:
        return True
    return policy.is_user_class(t) or (fetching.is_immutable(t) and not issubclass(t, (type, types.ModuleType)))

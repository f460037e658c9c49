"""Pure functions that call their arguments: `map`, `sorted`, `Thread`, ...

An external callable among the arguments is replaced by one that asks its site anew at each call, so that
``map(requests.get, urls)`` records as many activities as it makes calls. User functions stay as they are.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.patching import strings
from perdure_runner.child.patching.prepared import Instead, Prepared
from perdure_runner.child.policy.known import EVERY, Takes, Verdict

if TYPE_CHECKING:
    from perdure_runner.child.patching.sites import Site

_EXTERNAL: Final = (Verdict.ACTIVITY, Verdict.MARKER)


class Routed:
    # An external callable in the hands of a pure function: every call of it goes through the site it came from.
    __doc__ = property(operator.attrgetter("__wrapped__.__doc__"))  # `property` asks for it

    __slots__ = ("__weakref__", "__wrapped__", "_site", "_verdict")

    def __init__(self, f: Callable[..., Any], verdict: Verdict, site: Site) -> None:
        self.__wrapped__ = f
        self._verdict = verdict
        self._site = site

    @speaks_for_others
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._site.pick(self.__wrapped__, self._verdict)(*args, **kwargs)

    @speaks_for_others
    def __getattr__(self, name: str) -> Any:
        return getattr(self.__wrapped__, name)

    def __repr__(self) -> str:
        return repr(self.__wrapped__)

    def __reduce__(self) -> tuple[Any, ...]:
        return Routed, (self.__wrapped__, self._verdict, self._site)


def wrap(f: Callable[..., Any], site: Site) -> Callable[..., Any]:
    """What to call instead of `f`, whose verdict is CALLBACKS."""
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    while type(f) is functools.partial:
        args, kwargs = f.args + args, f.keywords | kwargs
        f = f.func
    if type(f) is operator.methodcaller:
        new: Callable[..., Any] = functools.partial(_call_method, f, site)
    else:
        new = strings.wrap(f, site) or calling(f, site.policy.takes(f), site)
    return functools.partial(new, *args, **kwargs) if args or kwargs else new


def calling(f: Callable[..., Any], takes: Takes, site: Site) -> Callable[..., Any]:
    """``f``, with the external callables among the arguments that it `takes` routed."""
    return Prepared(functools.partial(_prepare, f, takes, site))


def _prepare(f: Callable[..., Any], takes: Takes, site: Site, /, *args: Any, **kwargs: Any) -> Instead:
    return f, *_route_all(takes, site, args, kwargs)


def _route_all(
    takes: Takes, site: Site, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    for position in takes.positions:
        if position < len(args) and (new := _routed(args[position], site)) is not args[position]:
            args = (*args[:position], new, *args[position + 1 :])
    if kwargs:
        for name in kwargs if takes.keywords == EVERY else takes.keywords:
            if name in kwargs:
                kwargs[name] = _routed(kwargs[name], site)
    return args, kwargs


def _routed(value: Any, site: Site) -> Any:
    if value is None or not callable(value):
        return value
    verdict = site.policy.verdict(value)
    if verdict in _EXTERNAL:
        return Routed(value, verdict, site)
    if verdict is Verdict.CALLBACKS and type(value) is functools.partial and type(value.func) is not functools.partial:
        args, kwargs = _route_all(site.policy.takes(value.func), site, value.args, dict(value.keywords))
        if args is not value.args or kwargs != value.keywords:
            return functools.partial(value.func, *args, **kwargs)
    if type(value) is operator.methodcaller:
        return functools.partial(_call_method, value, site)
    return value


@speaks_for_others
def _call_method(caller: operator.methodcaller, site: Site, o: Any, /) -> Any:
    """``caller(o)``, with the method looked at as if user code had called it."""
    made: Any = caller.__reduce__()  # (class, (name, *args)), or with keywords (partial of class and name, args)
    make, args = made
    if type(make) is functools.partial:
        name, kwargs = make.args[0], make.keywords
    else:
        (name, *args), kwargs = args, {}
    method = getattr(o, name)
    verdict = site.policy.verdict(method)
    return (site.pick(method, verdict) if verdict in _EXTERNAL else method)(*args, **kwargs)

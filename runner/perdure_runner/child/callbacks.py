"""Pure functions that call their arguments (`map`, `sorted`, `Thread`, ...), and `exec` and `eval` of strings.

An external callable among the arguments is replaced by one that asks its site anew at each call, so that
``map(requests.get, urls)`` records as many activities as it makes calls. User functions stay as they are.
"""

from __future__ import annotations

import dataclasses
import functools
import sys
import types
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.known import Takes, Verdict
from perdure_runner.child.rewrite import bind, compile_string

if TYPE_CHECKING:
    from perdure_runner.child.sites import Site

_EXTERNAL: Final = (Verdict.ACTIVITY, Verdict.MARKER)


class Routed:
    """An external callable in the hands of a pure function: every call of it goes through the site it came from."""

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
    if f is exec or f is eval:
        return functools.partial(_run_string, f, site, *args, **kwargs)
    return functools.partial(call, f, site.policy.takes(f), site, *args, **kwargs)


def call(f: Callable[..., Any], takes: Takes, site: Site, /, *args: Any, **kwargs: Any) -> Any:
    """``f(*args, **kwargs)``, with the external callables among the arguments that it `takes` routed."""
    for position in takes.positions:
        if position < len(args) and (new := _routed(args[position], site)) is not args[position]:
            args = (*args[:position], new, *args[position + 1 :])
    if kwargs:
        for name in takes.keywords:
            if name in kwargs:
                kwargs[name] = _routed(kwargs[name], site)
    return f(*args, **kwargs)


def _routed(value: Any, site: Site) -> Any:
    if value is None or not callable(value):
        return value
    verdict = site.policy.verdict(value)
    return Routed(value, verdict, site) if verdict in _EXTERNAL else value


# ---------------------------------------------------------------- exec and eval

_FUTURE_FLAGS: Final = 0xFFF0000  # PyCF_MASK: the __future__ imports in force, as code flags


@speaks_for_others
def _run_string(
    real: Callable[..., Any],
    site: Site,
    source: Any,
    /,
    globals: Any = None,  # noqa: A002 - the parameter's public name since 3.13
    locals: Any = None,  # noqa: A002
    **kwargs: Any,
) -> Any:
    """``exec`` and ``eval`` in the caller's namespaces, with the calls in a string routed like all others."""
    caller = sys._getframe(1)  # noqa: SLF001 - as exec and eval themselves look at their caller
    if globals is None:
        globals = caller.f_globals  # noqa: A001
        if locals is None:
            locals = _locals_of(caller)  # noqa: A001
    elif locals is None:
        locals = globals  # noqa: A001
    code = _compiled(real, source, caller.f_code.co_flags & _FUTURE_FLAGS, site)
    return real(code, globals, locals, **kwargs)


def _locals_of(frame: types.FrameType) -> Any:
    found = frame.f_locals
    # since 3.13 a function's f_locals writes through to its variables; exec and eval work on a snapshot (PEP 667)
    return found if found is frame.f_globals or type(found) is dict or not _is_function(frame) else dict(found)


def _is_function(frame: types.FrameType) -> bool:
    return bool(frame.f_code.co_flags & 0x1)  # CO_OPTIMIZED


def _compiled(real: Callable[..., Any], source: Any, flags: int, site: Site) -> Any:
    """The rewritten code of a string; what is no string is left to the real function to judge."""
    if type(source) is not str and type(source) is not bytes:
        return source
    text = source.lstrip(" \t" if type(source) is str else b" \t") if real is eval else source  # type: ignore[arg-type]
    code = compile_string(text, "<string>", "eval" if real is eval else "exec", flags)
    return bind(code, lambda mark: _string_site(site, mark))


def _string_site(site: Site, mark: Any) -> object:
    """A site in a string stands where the string is run: there is no other line to show."""
    info = site.info
    return site.sites(mark, info if mark.name is None else dataclasses.replace(info, name=mark.name))

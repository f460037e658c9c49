"""Source text that user code runs itself: ``exec`` and ``eval`` of strings, and of what ``compile`` made of them.

``compile`` gives what it always gives, since programs look into code objects; where its source is from is remembered,
and ``exec`` and ``eval`` run the same source compiled with call sites.
"""

from __future__ import annotations

import ast
import contextlib
import copy
import dataclasses
import functools
import operator
import os
import types
import weakref
from codecs import strict_errors
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.patching.prepared import Instead, Prepared, caller
from perdure_runner.child.patching.rewrite import bind, compile_string

if TYPE_CHECKING:
    from perdure_runner.child.patching.deciding import Site

_FUTURE_FLAGS: Final = 0xFFF0000  # PyCF_MASK: the __future__ imports in force, as code flags
_RUNNERS: Final = (exec, eval)
_REFUSALS: Final = (MemoryError, OverflowError, RecursionError, SyntaxError, TypeError, ValueError)
"""What ``compile`` raises for source that is none."""


def wrap(f: Callable[..., Any], site: Site) -> Callable[..., Any] | None:
    """What to call instead of ``exec``, ``eval`` and ``compile``; None for any other function."""
    if any(f is runner for runner in _RUNNERS):
        return Prepared(functools.partial(_run, f, site))
    return Prepared(_compile) if f is compile else None


@speaks_for_others
def _run(
    real: Callable[..., Any],
    site: Site,
    source: Any,
    /,
    globals: Any = None,  # noqa: A002 - the parameter's public name since 3.13
    locals: Any = None,  # noqa: A002
    **kwargs: Any,
) -> Instead:
    """``exec`` and ``eval`` in the caller's namespaces, with the calls in a string routed like all others."""
    frame = caller()
    if globals is None:
        globals = frame.f_globals  # noqa: A001
        if locals is None:
            locals = _locals_of(frame)  # noqa: A001
    elif locals is None:
        locals = globals  # noqa: A001
    try:
        source = _with_sites(real, source, frame.f_code.co_flags & _FUTURE_FLAGS, site)
    except _REFUSALS as error:
        return _raising(error)
    return real, (source, globals, locals), kwargs


def _locals_of(frame: types.FrameType) -> Any:
    found = frame.f_locals
    # since 3.13 a function's f_locals writes through to its variables; exec and eval work on a snapshot (PEP 667)
    return found if found is frame.f_globals or type(found) is dict or not _is_function(frame) else dict(found)


def _is_function(frame: types.FrameType) -> bool:
    return bool(frame.f_code.co_flags & 0x1)  # CO_OPTIMIZED


def _with_sites(real: Callable[..., Any], source: Any, flags: int, site: Site) -> Any:
    """The rewritten code of `source`; what is neither text nor compiled here is left to the real function to judge."""
    if type(source) is types.CodeType:
        made = _made.get(id(source))
        return source if made is None or made.code() is not source else made.with_sites(site)
    if type(source) is not str and type(source) is not bytes:
        return source
    text = source.lstrip(" \t" if type(source) is str else b" \t") if real is eval else source  # type: ignore[arg-type]
    code = compile_string(text, "<string>", "eval" if real is eval else "exec", flags)
    return bind(code, lambda mark: _site_in_text(site, mark))


def _site_in_text(site: Site, mark: Any) -> object:
    """A site in a string stands where the string is run: there is no other line to show."""
    info = site.info
    return site.sites(mark, info if mark.name is None else dataclasses.replace(info, name=mark.name))


# ---------------------------------------------------------------- compile


@dataclass(slots=True)
class _Made:
    """What ``compile`` was given for a code object."""

    code: weakref.ref[types.CodeType]
    source: str | bytes | ast.AST
    filename: str
    mode: Any
    flags: int
    optimize: int
    _with_sites: types.CodeType | None = None

    def with_sites(self, site: Site) -> types.CodeType:
        """The same, with call sites: at their own lines if the source has a file, else where it was run first."""
        if self._with_sites is None:
            code = compile_string(self.source, self.filename, self.mode, self.flags, self.optimize)
            own = os.path.isabs(self.filename)
            self._with_sites = bind(
                code, lambda mark: site.sites(mark, self.filename) if own else _site_in_text(site, mark)
            )
        return self._with_sites


def _clone(node: Any) -> Any:
    """A copy of a tree that shares its constants. Raises RecursionError for one that nests too deeply."""
    if isinstance(node, list):
        return [_clone(part) for part in node]
    if not isinstance(node, ast.AST):
        return node
    new = copy.copy(node)
    for name, part in ast.iter_fields(node):
        setattr(new, name, _clone(part))
    return new


_made: Final[dict[int, _Made]] = {}


@speaks_for_others
def _compile(
    source: Any,
    filename: Any,
    mode: Any,
    flags: int = 0,
    dont_inherit: bool = False,
    optimize: int = -1,
    **kwargs: Any,
) -> Instead:
    """As ``compile``, under the __future__ imports of its caller; code of text or of a tree is remembered."""
    in_force = operator.index(flags)
    if not dont_inherit:
        in_force |= caller().f_code.co_flags & _FUTURE_FLAGS
    try:
        made = compile(source, filename, mode, in_force, True, optimize, **kwargs)
    except _REFUSALS as error:
        return _raising(error)
    if type(made) is types.CodeType and type(filename) in {str, bytes} and isinstance(source, (str, bytes, ast.AST)):
        with contextlib.suppress(RecursionError):
            _remember(made, _Made(weakref.ref(made), _clone(source), os.fsdecode(filename), mode, in_force, optimize))
    return _itself, (made,), {}


def _raising(error: BaseException) -> Instead:
    return strict_errors, (error.with_traceback(None),), {}  # C's: it raises what it is given, without a frame of ours


_itself: Final = functools.partial({}.get, None)


def _remember(made: types.CodeType, how: _Made) -> None:
    key = id(made)
    how.code = weakref.ref(made, lambda _: _made.pop(key, None))
    _made[key] = how

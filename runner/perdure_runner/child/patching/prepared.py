"""Calls that are prepared and then made as if nobody stood between: `Prepared`, in C where that is built.

Called with some arguments, a `Prepared` asks ``prepare(*args, **kwargs)`` what to call instead, and calls that. The one
of C's has no frame, so warnings, tracebacks and `sys._getframe` of the callee see the program's own line.
"""

import os
import sys
import types
from collections.abc import Callable
from typing import Any, Final

from perdure_runner.child.blame import speaks_for_others

_getframe = sys._getframe  # noqa: SLF001 - kept: programs put others in its place

Instead = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]
"""What to call, its arguments, its keywords."""


class PurePrepared:
    """The twin in Python."""

    __slots__ = ("_prepare",)

    def __init__(self, prepare: Callable[..., Instead]) -> None:
        self._prepare = prepare

    @speaks_for_others
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        f, args, kwargs = self._prepare(*args, **kwargs)
        return f(*args, **kwargs)


def _chosen() -> Callable[[Callable[..., Instead]], Callable[..., Any]]:
    if os.environ.get("PERDURE_PURE", "0") not in {"", "0"}:
        return PurePrepared
    try:
        from perdure_runner.child.patching._sites import Prepared
    except ImportError:
        return PurePrepared
    return Prepared


Prepared: Final = _chosen()


def caller() -> types.FrameType:
    """The frame that made the call which is being prepared: for functions that look at their caller."""
    frame = _getframe(2)  # as they do themselves
    of_twin = frame.f_code is PurePrepared.__call__.__code__ and frame.f_back is not None
    return frame.f_back if of_twin and frame.f_back is not None else frame

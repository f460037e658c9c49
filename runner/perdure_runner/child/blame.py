"""Whose fault an exception is: the program's (the session's outcome), or ours (the runner ends, and is tried again).

The innermost frame decides. But C code has no frame: what `os.listdir` raises seems to come from the function of ours
that called it for the program. Such functions are marked with `speaks_for_others`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import CodeType
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

OURS: Final = os.path.dirname(os.path.abspath(__file__)) + os.sep
"""The folder of the child half."""
_speakers: Final[set[CodeType]] = set()


def speaks_for_others(function: F) -> F:
    """Mark a function that calls, raises or checks on behalf of the program: what begins in it is not our fault."""
    _speakers.add(function.__code__)
    return function


def is_ours(failure: BaseException) -> bool:
    """Did the exception begin in code of ours that speaks for itself?"""
    trace = failure.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return False
    code = trace.tb_frame.f_code
    return code.co_filename.startswith(OURS) and code not in _speakers

"""Signals between sessions."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from perdure import _runtime
from perdure._calls import Signal
from perdure._calls import next_signal as _next_signal
from perdure._children import signal

__all__ = ["Signal", "next_signal", "signal"]

_SESSION = "ses_"


def next_signal(name: str | Sequence[str], *, timeout: timedelta | float | None = None) -> Signal | None:
    """The next signal of this name, or of one of these; None when `timeout` has passed without one.

    The id of a child is a name, too: of the signal that it has ended, whose payload is {"completed", "value"}.
    """
    names = (name,) if isinstance(name, str) else tuple(name)
    children = [each for each in names if each.startswith(_SESSION)]
    if children and _runtime.current is not None:
        _runtime.current.request("session.watch", {"session_ids": children})
    got = _next_signal(*names, timeout=timeout)
    return Signal(got.name, _ended(got.payload)) if got is not None and got.name in children else got


def _ended(payload: Any) -> dict[str, Any]:
    return {"completed": payload["state"] == "completed", "value": payload["value"]}

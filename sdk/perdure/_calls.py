"""What handler code asks of perdure while it runs. Each says what it does in a plain script, where nobody answers."""

import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from perdure import _runtime
from perdure._durations import seconds_of
from perdure._errors import NotInSession

_LONGEST_NAME = 200  # characters, of what `version` decides about


@dataclass(frozen=True)
class Signal:
    """A message sent to the session. `payload` is what JSON can carry."""

    name: str
    payload: Any = None


def sleep(duration: float | timedelta) -> None:
    """Wait for `duration` (seconds, or a timedelta), surviving crashes; a long wait holds no process.

    In a plain script this is time.sleep. Raises ValueError for a negative duration.
    """
    seconds = seconds_of("sleep: the duration", duration)
    if _runtime.current is None:
        time.sleep(seconds)
    else:
        _runtime.current.sleep(seconds)


def next_signal(*names: str, timeout: float | timedelta | None = None) -> Signal | None:
    """Wait for the next signal with one of `names`, or with any name if none is given.

    Returns None when `timeout` (seconds, or a timedelta) has passed. Raises NotInSession in a plain script.
    """
    for name in names:
        if not isinstance(name, str) or not name:
            raise TypeError(f"next_signal: names are texts that are not empty, not {name!r}")
    limit = None if timeout is None else seconds_of("next_signal: timeout", timeout)
    if _runtime.current is None:
        raise NotInSession("next_signal() waits for a signal to a session, and this code runs in none")
    return _runtime.current.next_signal(names, limit)


def version(name: str, newest: int = 1) -> int:
    """Which branch of changed code this session takes, so that sessions that began before a change go on as before.

        if perdure.version("send by mail"):
            mail(order)          # sessions that come here for the first time after the change
        else:
            fax(order)           # sessions whose journal already goes beyond this place

    The answer is 0 for the latter, and `newest` (1, or the number of the latest change under this name) for the former.
    It is recorded, and the same wherever and whenever this session asks for `name` again. Asking is never a difference
    to the journal: the call can be put in and taken out while sessions run. A plain script gets `newest`.

    Raises TypeError or ValueError for a name that is no text or is empty, and for a number below 1.
    """
    if not isinstance(name, str) or not isinstance(newest, int):
        raise TypeError(f"version: a name (str) and a number (int) are wanted, not {name!r} and {newest!r}")
    if not name or len(name) > _LONGEST_NAME or not name.isprintable() or newest < 1:
        raise ValueError(
            f"version: 1 to {_LONGEST_NAME} printable characters and a number from 1 on, not {name!r}, {newest}"
        )
    return newest if _runtime.current is None else _runtime.current.version(name, newest)


def activity_key() -> str:
    """A key of the activity in progress: the same in every retry and after a crash, different for every other call.

    Hand it to an API as idempotency key. Raises RuntimeError outside an activity. A plain script has neither retries
    nor activities: there each call returns a new random key.
    """
    return uuid.uuid4().hex if _runtime.current is None else _runtime.current.activity_key()


def session_id() -> str | None:
    """The id of the session that runs this code; None in a plain script."""
    return None if _runtime.current is None else _runtime.current.session_id


def is_replaying() -> bool:
    """Does the session only repeat what its journal says? Never true inside an activity, nor in a plain script.

    For diagnostics only: code that does different things in replay diverges.
    """
    return _runtime.current is not None and _runtime.current.replaying()

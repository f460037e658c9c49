"""Events that come to a session while it runs, and sessions that it starts."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from perdure import _events, _runtime
from perdure._errors import NotInSession
from perdure._event import AttrDict, Event
from perdure._events import subscribe
from perdure._values import plain

__all__ = ["next_event", "start", "subscribe", "unsubscribe"]

_EVENT_FORM = 2  # EventForm of runner.proto: the new session's handler is AutoKitteh's, too


def unsubscribe(subscription_id: str) -> None:
    """End a subscription."""
    _events.unsubscribe(subscription_id)


def next_event(
    subscription_id: str | Sequence[str], *, timeout: timedelta | float | None = None, full: bool = False
) -> AttrDict | Event | None:
    """The data of the next event of a subscription, or of one of these; with `full`, the event. None at the timeout."""
    got: AttrDict | Event | None = _events.next_event(subscription_id, timeout=timeout, full=full)
    return got


def start(
    loc: str, data: Mapping[str, Any] | None = None, memo: Mapping[str, str] | None = None, project: str = ""
) -> str:
    """Start a session at `loc` ("file.py:function"); returns its id. It is as durable as this one.

    Its handler gets an event with this data. `project`: of another project, whose active deployment it runs.
    """
    if _runtime.current is None:
        raise NotInSession("start() starts another session, and this code runs in none")
    body = {
        "entry": loc,
        "data": plain(data, "the data"),
        "memo": dict(memo or {}),
        "project": project,
        "on_parent_end": "abandon",
        "event_form": _EVENT_FORM,
    }
    return str(_runtime.current.request("session.start", body))

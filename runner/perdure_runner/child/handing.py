"""What a handler is called with."""

from __future__ import annotations

import enum
import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any

import perdure
from perdure._event import body_as_bytes

from perdure_runner.child import loading

Arguments = tuple[tuple[Any, ...], dict[str, Any]]


class EventForm(enum.IntEnum):
    """`EventForm` of runner.proto."""

    VALUE = 0
    EVENT = 1
    AUTOKITTEH = 2


def arguments(handler: Callable[..., Any], start: Mapping[str, Any], session_id: str) -> Arguments:
    """The handler's arguments, from the session's `start` frame: its event, unless the handler takes none.

    To a handler of AutoKitteh's the session's id is given, too, if it has a parameter `session_id`.
    """
    event = json.loads(start.get("event") or "null")
    form = EventForm(start.get("form", 0))
    if form is EventForm.VALUE:
        return loading.arguments(handler, event), {}
    event = perdure.Event.from_json(event)
    if form is EventForm.AUTOKITTEH:
        body_as_bytes(event.data)  # of any event, as there: one may be made by hand
    if form is EventForm.AUTOKITTEH and "session_id" in (names := _names(handler)):
        return ((event,) if names != ["session_id"] else ()), {"session_id": session_id}
    return loading.arguments(handler, event), {}


def _names(handler: Callable[..., Any]) -> list[str]:
    try:
        return list(inspect.signature(handler).parameters)
    except (TypeError, ValueError):
        return []

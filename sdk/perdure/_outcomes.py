"""What a session answers, and says of itself. In a plain script, where nobody waits or looks, these do nothing."""

import base64
from collections.abc import Mapping
from typing import Any

from perdure import _runtime
from perdure._event import Event
from perdure._values import plain


def outcome(value: Any, event_id: str | Event | None = None) -> None:
    """Answer the event that started this session, or another one that it got (`event_id`), with what JSON can say.

    Whoever sent the event through a synchronous trigger gets it. A session that no event has started answers nobody.
    """
    if isinstance(event_id, Event):
        event_id = event_id.event_id
    body = {"value": plain(value, "the outcome"), "event_id": event_id or ""}
    if _runtime.current is not None:
        _runtime.current.request("outcome", body)


def http_outcome(
    status_code: int = 200,
    *,
    body: Any = None,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    more: bool = False,
    event_id: str | Event | None = None,
) -> None:
    """Answer whoever has called a webhook whose trigger is synchronous.

    body: a text or bytes; anything else is sent as JSON. json: sent as JSON, with that content type.
    more: another outcome follows: its body is the next piece of the same answer. event_id: as of `outcome`.
    """
    if isinstance(status_code, bool) or not isinstance(status_code, int) or not 200 <= status_code <= 599:
        raise ValueError(f"http_outcome: a status code is a number from 200 to 599, not {status_code!r}")
    if body is not None and json is not None:
        raise ValueError("http_outcome: give either body or json")
    if isinstance(body, (bytes, bytearray)):
        body = {"bytes": base64.b64encode(body).decode()}
    answer = {
        "status_code": status_code,
        "headers": {str(name): str(value) for name, value in (headers or {}).items()},
        "body": body,
        "json": json,
        "more": bool(more),
    }
    outcome(answer, event_id)


def status(value: Any) -> None:
    """Say where the session is: a small value (JSON, at most 16 KiB) that `perdure sessions show` and HTTP show."""
    body = {"value": plain(value, "the status")}
    if _runtime.current is not None:
        _runtime.current.request("status.set", body)

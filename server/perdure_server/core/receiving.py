"""What services send to connections: from a request, whose signature has been checked, to a typed event. Pure.

Sources: Slack, "Events API", "Slash commands", "Handling user interaction"; GitHub, "Webhook events and payloads";
Discord, "Receiving and responding to interactions"; Stripe, "Event object"; Standard Webhooks (for generic ones).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import parse_qsl

from perdure_server.core import jsontext, their_slack
from perdure_server.core.errors import PerdureError

Json = dict[str, Any]
Headers = Mapping[str, str]
"""By lower-case names."""

_MAX_FIELDS: Final = 1_000
_LONGEST: Final = 256  # characters of an event type or id
_TYPE: Final = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff]{1,256}")
_FORM: Final = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Received:
    """What came of a request. `event_type` empty: it was only a question, and no event.

    `dedup`: what the sender says is the same event again; empty: it does not say. `reply` is the JSON to answer with,
    once the event is durable; None: nothing in particular.
    """

    event_type: str = ""
    data: Json | None = None
    dedup: str = ""
    reply: Json | None = None


def receive(kind: str, headers: Headers, body: bytes, *, theirs: bool = False) -> Received:
    """`kind` is one of `SENDERS`; `theirs`: for a project of AutoKitteh's, whose events of Slack have all fields.

    Raises P0201 for a body that is none of the service's.
    """
    received = SENDERS[kind](headers, body)
    if not theirs or kind != "slack" or received.data is None:
        return received
    if _content_type(headers) != _FORM and their_slack.is_own(received.event_type, _object(body)):
        return Received(reply={})
    return replace(received, data=their_slack.full(received.event_type, received.data))


def _slack(headers: Headers, body: bytes) -> Received:
    if _content_type(headers) != _FORM:
        return _slack_event(_object(body))
    form = _form(body)
    if "ssl_check" in form:
        return Received(reply={})
    if "payload" in form:  # somebody has pressed, chosen or submitted something
        data = _object(form["payload"].encode())
        return Received("interaction", data, _text(data, "trigger_id"))
    return Received("slash_command", dict(form), form.get("trigger_id", "")[:_LONGEST])


def _slack_event(data: Json) -> Received:
    if data.get("type") == "url_verification":
        return Received(reply={"challenge": _text(data, "challenge")})
    event = data.get("event")
    if not isinstance(event, dict):
        return Received(_type(data), data, _text(data, "event_id"))
    about: Json = {name: data[name] for name in ("team_id", "api_app_id", "event_id", "event_time") if name in data}
    return Received(_type(event), about | event, _text(data, "event_id"))


def _github(headers: Headers, body: bytes) -> Received:
    named = headers.get("x-github-event", "")
    text = _form(body).get("payload", "").encode() if _content_type(headers) == _FORM else body
    data = _object(text)
    if named == "ping":
        return Received(reply={})
    return Received(_checked(named), data, headers.get("x-github-delivery", "")[:_LONGEST])


DISCORD_TYPES: Final = {2: "application_command", 3: "message_component", 4: "autocomplete", 5: "modal_submit"}
_DEFERRED: Final[Mapping[int, Json]] = {3: {"type": 6}, 4: {"type": 8, "data": {"choices": []}}}
"""Discord waits three seconds: a handler answers later, by the interaction's token."""


def _discord(_headers: Headers, body: bytes) -> Received:
    data = _object(body)
    number = data.get("type")
    if number == 1:
        return Received(reply={"type": 1})
    if not isinstance(number, int) or number not in DISCORD_TYPES:
        raise _not_theirs("Discord")
    return Received(DISCORD_TYPES[number], data, _text(data, "id"), _DEFERRED.get(number, {"type": 5}))


def _stripe(_headers: Headers, body: bytes) -> Received:
    data = _object(body)
    return Received(_type(data), data, _text(data, "id"))


def _generic(headers: Headers, body: bytes) -> Received:
    """JSON of any form. Its type: a header, or what its `type` says; its id: one of the usual headers."""
    data = dict(_form(body)) if _content_type(headers) == _FORM else _parsed(body)
    known: Json = data if isinstance(data, dict) else {"value": data}
    named = headers.get("x-event-type") or _text(known, "event_type") or _text(known, "type") or "event"
    ids = (headers.get(name, "") for name in ("webhook-id", "x-event-id", "x-request-id", "idempotency-key"))
    return Received(_checked(named), known, next(filter(None, ids), "")[:_LONGEST])


SENDERS: Final[Mapping[str, Callable[[Headers, bytes], Received]]] = {
    "slack": _slack,
    "github": _github,
    "discord": _discord,
    "stripe": _stripe,
    "generic": _generic,
}


def _content_type(headers: Headers) -> str:
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _form(body: bytes) -> dict[str, str]:
    try:
        return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MAX_FIELDS))
    except ValueError as error:
        raise PerdureError("P0201", f"the form cannot be read: {error}") from None


def _parsed(body: bytes) -> Any:
    try:
        return jsontext.parse(body)
    except ValueError as error:
        raise PerdureError("P0201", f"the body is no JSON: {error}") from None


def _object(body: bytes) -> Json:
    data = _parsed(body)
    if not isinstance(data, dict):
        raise PerdureError("P0201", "the body is JSON, but no object")
    return data


def _text(data: Json, name: str) -> str:
    return jsontext.text_of(data.get(name), _LONGEST)


def _type(data: Json) -> str:
    return _checked(data.get("type"))


def _checked(named: object) -> str:
    if not isinstance(named, str) or not _TYPE.fullmatch(named):
        raise PerdureError("P0201", "the body does not say what kind of event it is")
    return named


def _not_theirs(service: str) -> PerdureError:
    return PerdureError("P0201", f"the body is no event of {service}")

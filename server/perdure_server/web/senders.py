"""What is particular to those who send webhooks: their ids of events, and the questions that they ask first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from perdure_server.core import jsontext
from perdure_server.web.webhook import Request, parsed_json

_LONGEST: Final = 256  # characters of an id, or of what is answered to a question
_SLACK_CHALLENGE: Final = "url_verification"
_DISCORD_PING: Final = 1


def event_id(kind: str, header: str, request: Request) -> str | None:
    """By what a sender says that it is the same event again: in `header`, or where `kind` has it; None: nowhere."""
    if header:
        found: object = request.header(header)
    else:
        look = _IDS.get(kind)
        found = look(request) if look else None
    return jsontext.text_of(found, _LONGEST) or None


def _in_body(*path: str) -> Callable[[Request], object]:
    def look(request: Request) -> object:
        return _at(parsed_json(request.body), *path)

    return look


_IDS: Final[Mapping[str, Callable[[Request], object]]] = {
    "github": lambda request: request.header("x-github-delivery"),
    "slack": _in_body("event_id"),
    "stripe": _in_body("id"),
    "discord": _in_body("id"),
}


def reply(kind: str, request: Request) -> Mapping[str, Any] | None:
    """The answer to a (signed) question of the service itself, which is no event: is this address yours?"""
    match kind:
        case "slack":
            body = parsed_json(request.body)
            if _at(body, "type") == _SLACK_CHALLENGE:
                return {"challenge": jsontext.text_of(_at(body, "challenge"), _LONGEST)}
        case "discord":
            if _at(parsed_json(request.body), "type") == _DISCORD_PING:
                return {"type": _DISCORD_PING}
    return None


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value

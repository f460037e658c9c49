"""Answers to events."""

import re
from collections.abc import Mapping
from typing import Any

from perdure import _outcomes

__all__ = ["http_outcome", "outcome"]

_SNIFFED = 512  # bytes of a body
_TAGS = "html|head|body|title|style|script|iframe|table|div|font|br|h1|a|b|p"
_HTML = re.compile(rf"\s*<(?:!doctype html|!--|{_TAGS})[ >]".encode(), re.IGNORECASE)
_XML = re.compile(rb"\s*<\?xml")
_BINARY = re.compile(rb"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_KINDS = {
    b"%PDF-": "application/pdf",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
    b"\xff\xd8\xff": "image/jpeg",
}


def outcome(v: Any, *, event_id: str | None = None) -> None:
    """Answer the event that started the session, or the one with this id, with what JSON can say."""
    _outcomes.outcome(v, event_id)


def http_outcome(
    status_code: int = 200,
    body: Any = None,  # by its place, too: their runner takes it so, and projects rely on it
    *,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    more: bool = False,
    event_id: str | None = None,
) -> None:
    """Answer whoever has called a webhook whose trigger is synchronous.

    A body whose `headers` say no Content-Type has the one that it looks like: pages are text/html there, too.
    """
    kind = _kind(body)
    if kind and not any(str(name).lower() == "content-type" for name in headers or ()):
        headers = {**(headers or {}), "Content-Type": kind}
    _outcomes.http_outcome(status_code, body=body, json=json, headers=headers, more=more, event_id=event_id)


def _kind(body: Any) -> str:
    """What Go's net/http, which answers there, finds a body to be; empty: what it is without a look at it.

    Source: WHATWG, "MIME Sniffing", section 7.1, as far as bodies of such answers go.
    """
    if not isinstance(body, (str, bytes, bytearray)):
        return ""
    start = body[:_SNIFFED].encode("utf-8", "replace") if isinstance(body, str) else bytes(body[:_SNIFFED])
    if _HTML.match(start):
        return "text/html; charset=utf-8"
    if _XML.match(start):
        return "text/xml; charset=utf-8"
    if isinstance(body, str):
        return ""
    plain = "" if _BINARY.search(start) or not start else "text/plain; charset=utf-8"
    return next((kind for mark, kind in _KINDS.items() if start.startswith(mark)), plain)

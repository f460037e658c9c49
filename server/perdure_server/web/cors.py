"""Requests from pages of other origins (CORS, of the Fetch standard): only where a trigger names origins. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.responses import Response
from starlette.types import Scope

_ANY: Final = "*"
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_MAX_AGE_S: Final = 3600
_EXPOSED: Final = "Perdure-Event-ID, AutoKitteh-Event-ID"
_ASKED_BYTES: Final = 1024


def preflight(scope: Scope, origins: Sequence[str], methods: Sequence[str]) -> Response | None:
    """The answer to a browser that asks before it sends; None: it does not, or nobody may."""
    asked = _header(scope, b"access-control-request-method")
    if scope["method"] != "OPTIONS" or not origins or not asked or not _header(scope, b"origin"):
        return None
    allowed = headers(scope, origins)
    if allowed:
        wanted = _header(scope, b"access-control-request-headers")[:_ASKED_BYTES]
        allowed |= {
            "access-control-allow-methods": ", ".join(methods or _METHODS),
            "access-control-max-age": str(_MAX_AGE_S),
        } | ({"access-control-allow-headers": wanted} if wanted else {})
    return Response(status_code=204, headers=allowed)


def headers(scope: Scope, origins: Sequence[str]) -> dict[str, str]:
    """What makes a browser show the answer to the page; empty where its origin is none of `origins`.

    Without credentials: nothing here goes by cookies.
    """
    origin = _header(scope, b"origin")
    if not origin or not origins:
        return {}
    if _ANY in origins:
        return {"access-control-allow-origin": _ANY, "access-control-expose-headers": _EXPOSED}
    if origin not in origins:
        return {"vary": "origin"}
    allowed = {"access-control-allow-origin": origin, "access-control-expose-headers": _EXPOSED}
    return allowed | {"vary": "origin"}


def _header(scope: Scope, name: bytes) -> str:
    return next((value.decode("latin-1") for each, value in scope["headers"] if each == name), "")

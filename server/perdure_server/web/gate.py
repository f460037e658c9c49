"""What every request passes first: not too many at once, and every answer with the headers that browsers heed."""

from __future__ import annotations

import logging
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from perdure_server.core.errors import PerdureError
from perdure_server.web import errors

log: Final = logging.getLogger("perdure.web")

REQUESTS: Final = 2_000  # at once: who waits for an outcome costs a connection and little else
_PROBES: Final = frozenset({"/livez", "/readyz"})

_WEBHOOKS: Final = "/webhooks/"
_ALWAYS: Final = {"x-content-type-options": "nosniff", "cache-control": "no-store"}
_SECURITY: Final = _ALWAYS | {
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
}
"""Of every answer that does not say otherwise. What a handler answers to a webhook, a page maybe, is its own."""


class Gate:
    """An ASGI application around another. `more`: requests at once than `REQUESTS`."""

    def __init__(self, app: ASGIApp, more: int = 0) -> None:
        self._app = app
        self._more = more
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        started = False
        headers_of_all = _ALWAYS if scope["path"].startswith(_WEBHOOKS) else _SECURITY

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in headers_of_all.items():
                    headers.setdefault(name, value)
            await send(message)

        if self._open >= REQUESTS + self._more and scope["path"] not in _PROBES:
            busy = PerdureError("P0221", f"{REQUESTS + self._more} requests are open already")
            await errors.response_of(busy, 503, errors.CLOSE)(scope, receive, answer)
            return
        self._open += 1
        try:
            await self._app(scope, receive, answer)
        except PerdureError as error:
            if started:
                raise  # the connection is cut: who reads sees that it is not all
            await errors.response_of(error)(scope, receive, answer)
        except Exception:
            log.exception("an HTTP request failed: %s %s", scope["method"], scope["path"])
            raise
        finally:
            self._open -= 1

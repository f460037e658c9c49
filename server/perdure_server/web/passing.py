"""Requests that a gateway passes on: in a header it says whose they are."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

_SENDER: Final = b"perdure-sender"  # the scheme, and the address


def sender_header(scope: Scope) -> tuple[bytes, bytes]:
    """For a gateway, of the request that it got."""
    client = scope.get("client") or ("", 0)
    return _SENDER, f"{scope.get('scheme', 'http')} {client[0]}".encode("latin-1")


class PassedOn:
    """An ASGI application around another, at a socket that only a gateway connects to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            told = [value for name, value in scope["headers"] if name == _SENDER]
            # The last one is the gateway's: whatever the sender itself says comes before.
            scheme, _, address = told[-1].decode("latin-1").partition(" ") if told else ("http", "", "")
            headers = [each for each in scope["headers"] if each[0] != _SENDER]
            scope = {**scope, "scheme": scheme, "client": (address, 0), "headers": headers}
        await self._app(scope, receive, send)

"""What services send to connections: checked, made an event of its type, durable, then answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Final

from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope

from perdure_server.core import receiving
from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Incoming
from perdure_server.core.receiving import Received
from perdure_server.manifest.triggers import Signature
from perdure_server.web import bodies, errors, hooks
from perdure_server.web.receivers import Connected
from perdure_server.web.signatures import verify
from perdure_server.web.webhook import Request

PREFIX: Final = "/connections/"
_BODY_BYTES: Final = 25 * 1024 * 1024  # GitHub sends up to this much; a stranger must know the slug to send any


class ConnectionEndpoint(hooks.Endpoint):
    """All that is below `PREFIX`."""

    def __init__(self, taker: hooks.Taker, requests: hooks.OpenRequests) -> None:
        self._taker = taker
        self._open = requests

    async def response(self, scope: Scope, receive: Receive, while_open: contextlib.ExitStack) -> Response:
        """Nothing that is not signed becomes an event, or is kept anywhere."""
        connected = await self._taker.connection(scope["path"].removeprefix(PREFIX))
        while_open.enter_context(self._open.counted(connected.project))
        if scope["method"] != "POST":
            error = PerdureError("P0702", "this address takes POST")
            return errors.response_of(error, 405, {**errors.CLOSE, "allow": "POST"})
        limit = min(_BODY_BYTES, self._taker.event_bytes)
        request = hooks.request_of(scope, await bodies.read(scope, receive, limit), "")
        self._verify(connected, request)
        large = len(request.body) > hooks.LARGE
        received, data = await asyncio.to_thread(_read, connected, request) if large else _read(connected, request)
        if not received.event_type:
            return JSONResponse(received.reply)
        accepted = await self._taker.accept(
            Incoming(
                project=connected.project,
                source=connected.name,
                source_type="connection",
                event_type=received.event_type,
                data=data,
                memo={**hooks.memo(scope), "integration": connected.integration},
                dedup=received.dedup or None,
            )
        )
        if connected.signing == "slack":  # it shows to people whatever is answered to a command
            return Response(status_code=200, headers=hooks.event_headers(accepted.event_id))
        if received.reply is not None:
            return JSONResponse(received.reply, headers=hooks.event_headers(accepted.event_id))
        return hooks.told(accepted)

    def _verify(self, connected: Connected, request: Request) -> None:
        """Raises P0225. What is generic may have no secret: its address is one."""
        if connected.signing == "generic" and not connected.secret:
            return
        kind = Signature(connected.signing, "", header=connected.header, prefix="sha256=")  # type: ignore[arg-type]
        verify(kind, connected.secret, request, self._taker.now_us() / 1e6)


def _read(connected: Connected, request: Request) -> tuple[Received, bytes]:
    """What the service says, and the event's data. Raises P0201."""
    headers = {name.decode("latin-1"): request.header(name.decode("latin-1")) for name, _ in request.headers}
    received = receiving.receive(connected.signing, headers, request.body, theirs=connected.theirs)
    return received, json.dumps(received.data, separators=(",", ":")).encode("ascii")

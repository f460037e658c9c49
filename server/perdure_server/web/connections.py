"""What services send to connections: checked, made an event of its type, durable, then answered."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from perdure_server.coordinator.triggering import Incoming
from perdure_server.core import receiving
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.triggers import Signature
from perdure_server.web import bodies, errors, hooks
from perdure_server.web.signatures import verify
from perdure_server.web.webhook import Request

if TYPE_CHECKING:
    from perdure_server.coordinator.connections import Endpoint
    from perdure_server.coordinator.engine import Coordinator

PREFIX: Final = "/connections/"
_BODY_BYTES: Final = 25 * 1024 * 1024  # GitHub sends up to this much; a stranger must know the slug to send any


class ConnectionEndpoint:
    """An ASGI application for all that is below `PREFIX`."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await self._response(scope, receive)
        except ClientDisconnect:
            return
        except bodies.LateError:
            late = PerdureError("P0702", f"the body did not come within {bodies.BODY_S:g} s")
            response = errors.response_of(late, 408, errors.CLOSE)
        except PerdureError as error:
            response = errors.response_of(error, headers=errors.CLOSE)
        await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive) -> Response:
        endpoint = await self._c.connections.endpoint(scope["path"].removeprefix(PREFIX))
        if scope["method"] != "POST":
            error = PerdureError("P0223", "this address takes POST")
            return errors.response_of(error, 405, {**errors.CLOSE, "allow": "POST"})
        limit = min(_BODY_BYTES, self._c.settings.event_bytes)
        request = hooks.request_of(scope, await bodies.read(scope, receive, limit), "")
        self._verify(endpoint, request)
        headers = {name.decode("latin-1"): request.header(name.decode("latin-1")) for name, _ in request.headers}
        received = await asyncio.to_thread(receiving.receive, endpoint.signing, headers, request.body)
        if not received.event_type:
            return JSONResponse(received.reply)
        accepted = await self._c.dispatcher.accept(
            Incoming(
                project=endpoint.row.project,
                source=endpoint.row.name,
                source_type="connection",
                event_type=received.event_type,
                data=json.dumps(received.data, separators=(",", ":")).encode("ascii"),
                memo={**hooks.memo(scope), "integration": endpoint.row.integration},
                dedup=received.dedup or None,
            )
        )
        if endpoint.signing == "slack":  # it shows to people whatever is answered to a command
            return Response(status_code=200, headers=hooks.event_headers(accepted.event_id))
        if received.reply is not None:
            return JSONResponse(received.reply, headers=hooks.event_headers(accepted.event_id))
        return hooks.told(accepted)

    def _verify(self, endpoint: Endpoint, request: Request) -> None:
        """Raises P0225. What is generic may have no secret: its address is one."""
        if endpoint.signing == "generic" and not endpoint.secret:
            return
        kind = Signature(endpoint.signing, "", header=endpoint.header, prefix="sha256=")  # type: ignore[arg-type]
        verify(kind, endpoint.secret, request, self._c.clock.now_us() / 1e6)

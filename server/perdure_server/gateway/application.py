"""What a gateway serves, as one ASGI application."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from perdure_server.core.errors import PerdureError
from perdure_server.gateway.taking import Taking
from perdure_server.gateway.upstream import Upstream
from perdure_server.web import connections, hooks
from perdure_server.web.gate import Gate

_MORE: Final = 1_000  # requests at once than the coordinator answers: webhooks find room though all of those wait


def application(taking: Taking, upstream: Upstream, others: ASGIApp) -> ASGIApp:
    """`others` answers whatever becomes no event, or waits for what becomes of it."""
    requests = hooks.OpenRequests()

    async def live(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    router = Router(
        [
            Mount(hooks.PREFIX.rstrip("/"), hooks.WebhookEndpoint(taking, requests, others=others)),
            Mount(connections.PREFIX.rstrip("/"), connections.ConnectionEndpoint(taking, requests)),
            Route("/livez", live),
            Route("/readyz", _Ready(upstream, others)),
        ],
        redirect_slashes=False,
        default=others,
    )
    return Gate(router, _MORE)


class _Ready:
    """An ASGI application: whether the coordinator is, if there is one."""

    def __init__(self, upstream: Upstream, others: ASGIApp) -> None:
        self._upstream = upstream
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._upstream.is_there:
            raise PerdureError("P0207", "the coordinator is being started")
        await self._others(scope, receive, send)

"""The HTTP face of a coordinator, as one ASGI application."""

from __future__ import annotations

import asyncio
import functools

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.projects import Projects
from perdure_server.core.errors import PerdureError
from perdure_server.security.needs import Kind
from perdure_server.web import api, connections, errors, hooks, openapi, sync
from perdure_server.web.gate import Gate
from perdure_server.web.taking import Direct
from perdure_server.web.values import PublishedValues


def application(coordinator: Coordinator, control: Control, kind: Kind) -> ASGIApp:
    """Behind a door of this kind."""
    document = openapi.document(api.served(control))
    answer = functools.partial(sync.answer, coordinator)
    taker, requests = Direct(coordinator), hooks.OpenRequests()
    webhooks = hooks.WebhookEndpoint(taker, requests, answer=answer)

    async def live(_request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def ready(_request: Request) -> Response:
        await asyncio.to_thread(coordinator.store.facts)  # raises P0209, P0211: no events are taken, then
        return PlainTextResponse("ok\n")

    async def described(_request: Request) -> Response:
        return JSONResponse(document)

    router = Router(
        [
            Mount(hooks.PREFIX.rstrip("/"), webhooks),  # first: they are the many
            Mount(connections.PREFIX.rstrip("/"), connections.ConnectionEndpoint(taker, requests)),
            Route("/livez", live),
            Route("/readyz", ready),
            Route("/api/openapi.json", described),
            *api.http_routes(control, Projects(coordinator), kind),
            Route("/store/{project}/{key:path}", PublishedValues(coordinator).get),
        ],
        redirect_slashes=False,
        default=_nothing_here,
    )
    return Gate(router)


async def _nothing_here(scope: Scope, receive: Receive, send: Send) -> None:
    error = PerdureError("P0223", "there is nothing at this address", help="the API is described at /api/openapi.json")
    await errors.response_of(error, headers=errors.CLOSE)(scope, receive, send)

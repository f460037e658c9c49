"""Webhooks: a request becomes a durable event, and then is answered."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from perdure_server.coordinator.triggering import Accepted, Incoming
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.triggers import Signature
from perdure_server.web import bodies, cors, errors, senders, sync
from perdure_server.web.finding import Found, Webhooks
from perdure_server.web.signatures import verify
from perdure_server.web.webhook import Request, event_data, event_type

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

PREFIX: Final = "/webhooks/"
OPEN_OF_ONE: Final = 1_000  # requests for one project's webhooks, of all that `gate` lets in
_LARGE: Final = 32 * 1024  # bodies that are taken apart in a thread: a MiB of "%" takes half a second


class WebhookEndpoint:
    """An ASGI application for all that is below `PREFIX`."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._webhooks = Webhooks(coordinator)
        self._open: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.ExitStack() as while_open:
            try:
                response = await self._response(scope, receive, while_open)
            except ClientDisconnect:
                return
            except bodies.LateError:
                late = PerdureError("P0702", f"the body did not come within {bodies.BODY_S:g} s")
                response = errors.response_of(late, 408, errors.CLOSE)
            except PerdureError as error:
                response = errors.response_of(error, headers=errors.CLOSE)
            await response(scope, receive, send)

    async def _response(self, scope: Scope, receive: Receive, while_open: contextlib.ExitStack) -> Response:
        found = await self._webhooks.find(scope["path"].removeprefix(PREFIX))
        while_open.enter_context(self._counted(found.project))
        origins = found.webhook.cors
        if (preflight := cors.preflight(scope, origins, found.webhook.methods)) is not None:
            return preflight
        if found.webhook.methods and scope["method"] not in found.webhook.methods:
            return _not_allowed(found.webhook.methods)
        try:
            response = await self._received(found, scope, receive)
        except PerdureError as error:
            response = errors.response_of(error, headers=errors.CLOSE)
        response.headers.update(cors.headers(scope, origins))
        return response

    @contextlib.contextmanager
    def _counted(self, project: str) -> Iterator[None]:
        """One more request of a project's. Raises P0221: callers of one, who may wait long, leave room for others'."""
        if self._open[project] >= OPEN_OF_ONE:
            raise PerdureError("P0221", f"{OPEN_OF_ONE} requests for webhooks of this project are open already")
        self._open[project] += 1
        try:
            yield
        finally:
            self._open[project] -= 1
            if not self._open[project]:
                del self._open[project]

    async def _received(self, found: Found, scope: Scope, receive: Receive) -> Response:
        limit = min(found.webhook.max_bytes, self._c.settings.event_bytes)
        body = await bodies.read(scope, receive, limit)
        request = request_of(scope, body, found.suffix)
        kind = ""
        if (signature := found.webhook.signature) is not None:
            kind = signature.kind
            await self._verify(found, signature, request)
            if (reply := senders.reply(kind, request)) is not None:
                return JSONResponse(reply)
        large, keep = len(body) > _LARGE, found.webhook.keep_headers
        data = await asyncio.to_thread(event_data, request, keep) if large else event_data(request, keep)
        accepted = await self._c.dispatcher.accept(
            Incoming(
                project=found.project,
                source=found.trigger.name,
                source_type="webhook",
                event_type=event_type(request),
                data=data,
                memo=memo(scope),
                dedup=senders.event_id(kind, found.webhook.dedup_header, request),
            )
        )
        if found.trigger.sync:
            named = event_headers(accepted.event_id)
            answer = sync.answer(self._c, accepted, found.webhook.timeout_s, named)
            return await sync.unless_gone(answer, receive)
        return told(accepted)

    async def _verify(self, found: Found, signature: Signature, request: Request) -> None:
        given = await self._c.variables.of(found.project, found.deployment_id)
        verify(signature, given.values.get(signature.secret, ""), request, self._c.clock.now_us() / 1e6)


def request_of(scope: Scope, body: bytes, suffix: str) -> Request:
    """What ASGI says of a request."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    query: bytes = scope["query_string"]
    target = raw.decode("latin-1") + (f"?{query.decode('latin-1')}" if query else "")
    return Request(
        method=scope["method"],
        path=scope["path"],
        target=target,
        query=query,
        headers=scope["headers"],
        body=body,
        suffix=suffix,
        scheme=scope.get("scheme", "http"),
    )


def memo(scope: Scope) -> Mapping[str, str]:
    client = scope.get("client")
    return {"method": scope["method"], "remote_addr": client[0] if client else ""}


def event_headers(event_id: str) -> dict[str, str]:
    """By both names: that of ours, and AutoKitteh's."""
    return {"perdure-event-id": event_id, "autokitteh-event-id": event_id}


def told(accepted: Accepted) -> Response:
    """202: it is durable, and will be worked on. 200: it was there before."""
    told: dict[str, Any] = {"event_id": accepted.event_id}
    if not accepted.new:
        told["duplicate"] = True
    return JSONResponse(told, 202 if accepted.new else 200, event_headers(accepted.event_id))


def _not_allowed(methods: tuple[str, ...]) -> Response:
    error = PerdureError("P0223", f"this webhook takes {', '.join(methods)}")
    return errors.response_of(error, 405, {**errors.CLOSE, "allow": ", ".join(methods)})

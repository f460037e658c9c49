"""Webhooks: a request becomes a durable event, and then is answered."""

from __future__ import annotations

import abc
import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from perdure_server.core.at_once import AtOnce
from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Accepted, Incoming
from perdure_server.manifest.triggers import Signature
from perdure_server.web import bodies, cors, errors, senders, sync
from perdure_server.web.receivers import Connected, Found
from perdure_server.web.signatures import verify
from perdure_server.web.webhook import Request, event_data, event_type

PREFIX: Final = "/webhooks/"
OPEN_OF_ONE: Final = 1_000  # requests for one project's webhooks and connections, of all that `gate` lets in
LARGE: Final = 32 * 1024  # bodies that are taken apart in a thread: a MiB of "%" takes half a second


class Taker(Protocol):
    """What stands behind webhooks and connections: a coordinator, or its gateway."""

    @property
    def event_bytes(self) -> int: ...

    def now_us(self) -> int: ...

    async def find(self, path: str) -> Found:
        """Raises P0223: nothing receives webhooks there."""

    async def connection(self, slug: str) -> Connected:
        """Raises P0223: no connection receives events there."""

    async def secret(self, found: Found) -> str:
        """What its requests are signed with."""

    async def accept(self, incoming: Incoming) -> Accepted:
        """It is durable when this returns. Raises `PerdureError`: nothing has happened."""


Answer = Callable[[Accepted, float, Mapping[str, str]], Coroutine[Any, Any, Response]]
"""What sessions answer to an event within so many seconds; the headers are those of every answer."""


class OpenRequests:
    """How many each project has."""

    def __init__(self) -> None:
        self._open = AtOnce()

    def counted(self, project: str) -> AbstractContextManager[None]:
        """One more. Raises P0221: callers of one project, who may wait long, leave room for others'."""
        reached = f"{OPEN_OF_ONE} requests for webhooks of this project are open already"
        return self._open.counted(project, OPEN_OF_ONE, reached)


class Endpoint(abc.ABC):
    """An ASGI application for requests that become events: whatever is wrong with one, is its answer."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with contextlib.ExitStack() as while_open:
            try:
                response: ASGIApp = await self.response(scope, receive, while_open)
            except ClientDisconnect:
                return
            except bodies.LateError:
                late = PerdureError("P0702", f"the body did not come within {bodies.BODY_S:g} s")
                response = errors.response_of(late, 408, errors.CLOSE)
            except PerdureError as error:
                response = errors.response_of(error, headers=errors.CLOSE)
            await response(scope, receive, send)

    @abc.abstractmethod
    async def response(self, scope: Scope, receive: Receive, while_open: contextlib.ExitStack) -> ASGIApp:
        """`while_open` ends when it has been sent. Raises `PerdureError`, `LateError`, `ClientDisconnect`."""


class WebhookEndpoint(Endpoint):
    """All that is below `PREFIX`."""

    def __init__(
        self, taker: Taker, requests: OpenRequests, *, answer: Answer | None = None, others: ASGIApp | None = None
    ) -> None:
        """Requests for synchronous webhooks: `others` answers them, or they get the `answer` to their event."""
        self._taker = taker
        self._open = requests
        self._answer = answer
        self._others = others

    async def response(self, scope: Scope, receive: Receive, while_open: contextlib.ExitStack) -> ASGIApp:
        found = await self._taker.find(scope["path"].removeprefix(PREFIX))
        while_open.enter_context(self._open.counted(found.project))
        if found.trigger.sync and self._others is not None:
            return self._others
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

    async def _received(self, found: Found, scope: Scope, receive: Receive) -> Response:
        limit = min(found.webhook.max_bytes, self._taker.event_bytes)
        body = await bodies.read(scope, receive, limit)
        request = request_of(scope, body, found.suffix)
        kind = ""
        if (signature := found.webhook.signature) is not None:
            kind = signature.kind
            await self._verify(found, signature, request)
            if (reply := senders.reply(kind, request)) is not None:
                return JSONResponse(reply)
        large, keep = len(body) > LARGE, found.webhook.keep_headers
        data = await asyncio.to_thread(event_data, request, keep) if large else event_data(request, keep)
        accepted = await self._taker.accept(
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
        if found.trigger.sync and self._answer is not None:
            answer = self._answer(accepted, found.webhook.timeout_s, event_headers(accepted.event_id))
            return await sync.unless_gone(answer, receive)
        return told(accepted)

    async def _verify(self, found: Found, signature: Signature, request: Request) -> None:
        verify(signature, await self._taker.secret(found), request, self._taker.now_us() / 1e6)


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
    error = PerdureError("P0702", f"this webhook takes {', '.join(methods)}")
    return errors.response_of(error, 405, {**errors.CLOSE, "allow": ", ".join(methods)})

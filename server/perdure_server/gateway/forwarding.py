"""Requests that the coordinator answers: passed on to it, and its answers back, piece by piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import httpcore
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from perdure_server.core.errors import PerdureError
from perdure_server.gateway.pooling import ORIGIN, Connections
from perdure_server.web import bodies, errors, gate
from perdure_server.web.passing import sender_header

REQUESTS: Final = gate.REQUESTS  # as many as the coordinator answers at once
_WAIT_S: Final = 30.0  # for a coordinator
_PIECE_S: Final = bodies.CHUNK_S + 5.0  # for the next piece of a body: the coordinator has waited no longer
_NOT_ASKED: Final = frozenset({b"connection", b"keep-alive", b"expect", b"upgrade", b"te", b"trailer"})
_NOT_TOLD: Final = frozenset({b"connection", b"keep-alive", b"transfer-encoding", b"upgrade", b"trailer", b"date"})
"""Headers of one connection, not of what is asked and answered on it (RFC 9110, 7.6.1), and what we say ourselves."""
_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})  # who has a body says one of them


class Forwarding:
    """An ASGI application: the coordinator that listens at a Unix socket, whichever it is.

    A request waits for one for a while. One that is before a coordinator that dies gets no more of its answer, or 503
    if there was none yet: it may have been carried out.
    """

    def __init__(self, socket_path: str, there: Callable[[], Awaitable[None]]) -> None:
        self._connections = Connections(socket_path)
        self._there = there
        self._open = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._open >= REQUESTS:
            raise PerdureError("P0221", f"{REQUESTS} requests are open already")
        self._open += 1
        try:
            await self._unless_gone(scope, receive, send)
        except bodies.LateError:
            late = PerdureError("P0702", "the rest of the body did not come in time")
            await errors.response_of(late, 408, errors.CLOSE)(scope, receive, send)
        finally:
            self._open -= 1

    async def close(self) -> None:
        await self._connections.close()

    async def _unless_gone(self, scope: Scope, receive: Receive, send: Send) -> None:
        uploaded = asyncio.Event()
        body = None
        if any(name in _FRAMING for name, _ in scope["headers"]):
            body = _body(receive, uploaded)
        else:
            uploaded.set()
        passing = asyncio.ensure_future(self._pass_on(scope, body, send))
        leaving = asyncio.ensure_future(_left(receive, uploaded))
        try:
            await asyncio.wait({passing, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            if not passing.done():
                passing.cancel()
                await asyncio.wait({passing})  # its connection is closed: the coordinator hears that nobody waits
        if not passing.cancelled():
            passing.result()

    async def _pass_on(self, scope: Scope, body: AsyncIterator[bytes] | None, send: Send) -> None:
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._there()
        except TimeoutError:
            raise PerdureError("P0207", "the coordinator is being started", help="try again in a while") from None
        try:
            connection = await self._connections.take()
            try:
                answer = await connection.handle_async_request(_request(scope, body))
                told = [(name.lower(), value) for name, value in answer.headers if name.lower() not in _NOT_TOLD]
                await send({"type": "http.response.start", "status": answer.status, "headers": told})
                async for piece in answer.aiter_stream():
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                    await asyncio.sleep(0)  # reading what is there already, and writing, are no turns of the loop
                await answer.aclose()
            finally:
                await self._connections.give(connection)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except ClientDisconnect:
            return
        except httpcore.LocalProtocolError as error:
            raise PerdureError("P0702", f"this is no request: {error}") from error
        except (httpcore.NetworkError, httpcore.ProtocolError, OSError) as error:
            raise PerdureError("P0207", "the coordinator ended before it answered; it is started again") from error


def _request(scope: Scope, body: AsyncIterator[bytes] | None) -> httpcore.Request:
    query: bytes = scope["query_string"]
    target: bytes = scope.get("raw_path") or scope["path"].encode()
    headers = [each for each in scope["headers"] if each[0] not in _NOT_ASKED]
    if all(name != b"host" for name, _ in headers):  # HTTP/1.0 needs none; what is passed on is 1.1
        headers.append((b"host", b""))
    url = httpcore.URL(
        scheme=ORIGIN.scheme, host=ORIGIN.host, port=ORIGIN.port, target=target + (b"?" + query if query else b"")
    )
    return httpcore.Request(scope["method"], url, headers=[*headers, sender_header(scope)], content=body)


async def _body(receive: Receive, uploaded: asyncio.Event) -> AsyncIterator[bytes]:
    """The request's, as it comes. Raises `ClientDisconnect`, `bodies.LateError`."""
    more = True
    while more:
        try:
            async with asyncio.timeout(_PIECE_S):
                message = await receive()
        except TimeoutError:
            raise bodies.LateError from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        if piece := message.get("body", b""):
            yield piece
    uploaded.set()


async def _left(receive: Receive, uploaded: asyncio.Event) -> None:
    """Returns when the caller has closed the connection, after all of the request was read."""
    await uploaded.wait()
    while (await receive())["type"] != "http.disconnect":
        pass

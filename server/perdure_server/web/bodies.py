"""Reading what comes in: no more than is wanted, and no longer than somebody honest takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from perdure_server.core.errors import PerdureError

BODY_S: Final = 15.0  # for all of a body
CHUNK_S: Final = 30.0  # for the next piece of an upload
_DRAIN_BYTES: Final = 4 * 1024 * 1024
_DRAIN_S: Final = 1.0
BUFFERED_BYTES: Final = 256 * 1024 * 1024  # of all bodies that are being read


class LateError(Exception):
    """The body did not come in time."""


class _Buffered:
    """How much of unfinished bodies is in memory: two thousand slow senders may each have sent most of one."""

    size = 0


async def read(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The whole body. Raises P0231 when it is larger than `limit` (before reading it, if it says so), `LateError`, and
    P0221 when too much of others is being read."""
    if (said := _length(scope)) is not None and said > limit:
        if not _expects(scope):
            await _drain(receive, said)
        raise _too_large(limit)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for chunk in _chunks(receive):
                body += chunk
                _Buffered.size += len(chunk)
                if len(body) > limit:
                    raise _too_large(limit)
                if _Buffered.size > BUFFERED_BYTES:
                    raise PerdureError("P0221", f"more than {BUFFERED_BYTES} bytes of requests are being read")
    except TimeoutError:
        raise LateError from None
    finally:
        _Buffered.size -= len(body)
    return bytes(body)


async def pieces(receive: Receive) -> AsyncIterator[bytes]:
    """An upload of any size, as it comes. Raises P0702 when no more of it comes."""
    chunks = _chunks(receive)
    while True:
        try:
            async with asyncio.timeout(CHUNK_S):
                chunk = await anext(chunks, None)
        except TimeoutError:
            raise PerdureError("P0702", f"nothing more of the body came within {CHUNK_S:g} s") from None
        except ClientDisconnect:
            raise PerdureError("P0702", "the body ended before its end") from None
        if chunk is None:
            return
        yield chunk


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    """Raises `ClientDisconnect`."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        if chunk := message.get("body", b""):
            yield chunk


def _length(scope: Scope) -> int | None:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and len(value) < 19:
            return int(value)
    return None


def _expects(scope: Scope) -> bool:
    """Does the sender wait for our word before it sends the body?"""
    return any(name == b"expect" for name, _ in scope["headers"])


async def _drain(receive: Receive, said: int) -> None:
    """Read a little of what is refused: who still sends when the connection is closed never sees the answer."""
    left = min(said, _DRAIN_BYTES)
    try:
        async with asyncio.timeout(_DRAIN_S):
            async for chunk in _chunks(receive):
                left -= len(chunk)
                if left <= 0:
                    return
    except (TimeoutError, ClientDisconnect):
        return


def _too_large(limit: int) -> PerdureError:
    return PerdureError("P0231", f"the body has more than {limit} bytes")

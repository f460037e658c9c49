"""Answers that come piece by piece: NDJSON, server-sent events, or plain bytes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from perdure_server.core.errors import PerdureError
from perdure_server.web import errors

FIRST_S: Final = 0.5  # so long an error may still become the status
BEAT_S: Final = 15.0  # a sign of life for those between us and who listens

NDJSON: Final = "application/x-ndjson"
SSE: Final = "text/event-stream"
OCTETS: Final = "application/octet-stream"


async def of_documents(request: Request, documents: AsyncIterator[Any]) -> Response:
    """JSON documents as lines, or as events for who accepts these. An error in the middle is the last of them."""
    sse = SSE in request.headers.get("accept", "")
    first = asyncio.ensure_future(anext(documents, None))
    await asyncio.wait({first}, timeout=FIRST_S)
    if first.done():
        first.result()  # an error, if it is one
    body = _events(first, documents) if sse else _lines(first, documents)
    return StreamingResponse(body, media_type=SSE if sse else NDJSON, headers={"cache-control": "no-store"})


async def of_bytes(chunks: AsyncIterator[bytes]) -> Response:
    """An error in the middle cuts the connection: who reads sees that it is not all."""
    first = await anext(chunks, b"")

    async def body() -> AsyncIterator[bytes]:
        yield first
        async for chunk in chunks:
            yield chunk

    return StreamingResponse(body(), media_type=OCTETS)


async def _lines(first: asyncio.Future[Any], documents: AsyncIterator[Any]) -> AsyncIterator[str]:
    async for document in _told(first, documents):
        if document is not None:
            yield _text(document) + "\n"


async def _events(first: asyncio.Future[Any], documents: AsyncIterator[Any]) -> AsyncIterator[str]:
    async for document in _told(first, documents):
        yield ": \n\n" if document is None else f"data: {_text(document)}\n\n"


async def _told(first: asyncio.Future[Any], documents: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """The documents; None whenever nothing was said for a while."""
    coming = first
    try:
        while True:
            await asyncio.wait({coming}, timeout=BEAT_S)
            if not coming.done():
                yield None
                continue
            document = coming.result()
            if document is None:
                return
            yield document
            coming = asyncio.ensure_future(anext(documents, None))
    except PerdureError as error:
        yield errors.document(error)
    finally:
        coming.cancel()
        with contextlib.suppress(asyncio.CancelledError, PerdureError):
            await coming


def _text(document: Any) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))

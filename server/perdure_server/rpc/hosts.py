"""The `Hosts` service: streams of hosts, joined to the coordinator by callbacks."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any, Final

import grpc
from perdure_proto.v1 import runner_pb2_grpc
from perdure_proto.v1.runner_pb2 import BlobChunk, FetchBlobRequest, FromHost

from perdure_server.coordinator.engine import Coordinator
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.errors import status_of
from perdure_server.rpc.outbox import Outbox

HELLO_TIMEOUT_S: Final = 5.0

_EOF: Final[Any] = grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs only


class HostsServicer(runner_pb2_grpc.HostsServicer):
    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    async def Attach(self, _messages: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802  # it writes by `context`
        """One host: a reader loop here, one writer beside it; whichever ends first ends the other."""
        hello = await self._hello(context)
        outbox = Outbox()
        try:
            connection = self._coordinator.connect(outbox, drain=outbox.drain)
            connection.receive(hello)
        except PerdureError as error:
            await _abort(context, error)
        writer = asyncio.create_task(outbox.write_all(context.write))
        writer.add_done_callback(lambda _task: reader.cancel())
        reader = asyncio.ensure_future(_read(context, connection.receive))
        reason = "the stream ended"
        try:
            await reader
        except PerdureError as error:
            reason = str(error)
            await _abort(context, error)
        except asyncio.CancelledError:
            reason = outbox.closed_because or "the stream was cut"
            if outbox.closed_because is None:
                raise
        finally:
            writer.cancel()
            reader.cancel()
            connection.close(reason)

    async def FetchBlob(  # noqa: N802
        self, request: FetchBlobRequest, context: Any
    ) -> AsyncIterator[BlobChunk]:
        try:
            async for chunk in self._coordinator.fetch_blob(request.digest):
                yield BlobChunk(data=chunk)
        except PerdureError as error:
            await _abort(context, error)

    async def _hello(self, context: Any) -> FromHost:
        with contextlib.suppress(TimeoutError):
            message = await asyncio.wait_for(context.read(), HELLO_TIMEOUT_S)
            if isinstance(message, FromHost) and message.HasField("hello"):
                return message
        await _abort(context, PerdureError("P0702", f"a host has to say hello within {HELLO_TIMEOUT_S:g} s"))
        raise AssertionError("abort raises")


async def _read(context: Any, receive: Any) -> None:
    """Every message costs one await and one call: no task, no queue."""
    read = context.read
    while (message := await read()) is not _EOF:
        receive(message)


async def _abort(context: Any, error: PerdureError) -> None:
    await context.abort(*status_of(error))

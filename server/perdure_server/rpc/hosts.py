"""The `Hosts` service: streams of hosts, joined to the coordinator by callbacks."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

import grpc
from perdure_proto.v1 import runner_pb2_grpc
from perdure_proto.v1.runner_pb2 import (
    BlobChunk,
    FetchBlobRequest,
    FromHost,
    HostHello,
    JoinRequest,
    JoinResponse,
    RenewRequest,
)

from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.hosts import Connection
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.errors import status_of
from perdure_server.rpc.guard import CALLER
from perdure_server.rpc.outbox import Outbox
from perdure_server.security.access import Access
from perdure_server.security.scopes import Caller

if TYPE_CHECKING:
    from perdure_server.security.authority import HostCertificate

HELLO_TIMEOUT_S: Final = 5.0
_NAME: Final = re.compile(r"[A-Za-z0-9_.:@-]{0,128}")  # that one is missing is said elsewhere
_MAX_TEXTS: Final = 20_000  # a host may have many environments
_MAX_TEXT: Final = 256
SILENT_OF_ONE: Final = 8  # streams of one peer that have not said hello yet

_EOF: Final[Any] = grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs only


class HostsServicer(runner_pb2_grpc.HostsServicer):
    def __init__(self, coordinator: Coordinator, access: Access) -> None:
        self._coordinator = coordinator
        self._joining = access.joining
        self._joining.cut = self._cut
        self._silent: Counter[str] = Counter()
        self._authority = access.authority.certificate if access.authority is not None else b""

    async def Attach(self, _messages: Any, context: Any) -> None:  # type: ignore[override]  # noqa: N802  # it writes by `context`
        """One host: a reader loop here, one writer beside it; whichever ends first ends the other."""
        caller = CALLER.get()
        hello = await self._hello(caller, context)
        outbox = Outbox()
        try:
            connection = self._coordinator.connect(outbox, drain=outbox.drain)
            connection.peer = context.peer()
            connection.came_as = caller.name
            self._check_name(hello.hello, caller)
            connection.receive(hello)
        except PerdureError as error:
            await _abort(context, error)
        writer = asyncio.create_task(outbox.write_all(context.write))
        writer.add_done_callback(lambda _task: reader.cancel())
        reader = asyncio.ensure_future(_read(context, connection.receive))
        ending = asyncio.create_task(self._until_certificate_ends(connection)) if caller.host_id else None
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
            context.set_code(grpc.StatusCode.UNAVAILABLE)  # the host is told why
            context.set_details(reason)
        finally:
            writer.cancel()
            reader.cancel()
            if ending is not None:
                ending.cancel()
            connection.close(reason)

    async def FetchBlob(  # noqa: N802
        self, request: FetchBlobRequest, context: Any
    ) -> AsyncIterator[BlobChunk]:
        try:
            async for chunk in self._coordinator.fetch_blob(request.digest):
                yield BlobChunk(data=chunk)
        except PerdureError as error:
            await _abort(context, error)

    async def Join(self, request: JoinRequest, _context: Any) -> JoinResponse:  # noqa: N802
        host_id, signed = await self._joining.join(request.token, request.host_id, request.csr)
        return self._response(host_id, signed)

    async def Renew(self, request: RenewRequest, _context: Any) -> JoinResponse:  # noqa: N802
        host_id = CALLER.get().host_id
        signed = await self._joining.renew(host_id, request.csr)
        if (connection := self._coordinator.hosts.get(host_id)) is not None:
            connection.certificate_until_us = signed.expires_us
        return self._response(host_id, signed)

    def _response(self, host_id: str, signed: HostCertificate) -> JoinResponse:
        return JoinResponse(
            certificate=signed.certificate, ca=self._authority, host_id=host_id, expires_at_us=signed.expires_us
        )

    async def _hello(self, caller: Caller, context: Any) -> FromHost:
        """The first message; its name is the certificate's, if there is one. Raises P0218, P0221, P0702."""
        if self._silent[caller.name] >= SILENT_OF_ONE:
            raise PerdureError("P0221", f"{SILENT_OF_ONE} streams of {caller.name} have not said hello yet")
        self._silent[caller.name] += 1
        message = None
        try:
            with contextlib.suppress(TimeoutError):
                message = await asyncio.wait_for(context.read(), HELLO_TIMEOUT_S)
        finally:
            self._silent[caller.name] -= 1
        if not isinstance(message, FromHost) or not message.HasField("hello"):
            raise PerdureError("P0702", f"a host has to say hello within {HELLO_TIMEOUT_S:g} s")
        if not _printable(message.hello):
            raise PerdureError("P0702", "a host has a name, and says nothing of itself that is not printable")
        if caller.host_id and message.hello.host_id != caller.host_id:
            raise PerdureError(
                "P0218", f"host {caller.host_id} says that it is {message.hello.host_id[:80]!r}", help="keep the name"
            )
        return message

    def _check_name(self, hello: HostHello, caller: Caller) -> None:
        """A host that dials again takes its own name back, never that of another one. P0218.

        Two processes of one name would take it from each other for ever, and no session would come to its end.
        """
        theirs = self._coordinator.hosts.get(hello.host_id)
        if theirs is not None and (theirs.came_as, theirs.hello.pid) != (caller.name, hello.pid):
            raise PerdureError(
                "P0218",
                f"there is a host {hello.host_id} already: {theirs.came_as}, process {theirs.hello.pid}",
                help="take another name with --name",
            )

    async def _until_certificate_ends(self, connection: Connection) -> None:
        """Cut the stream of a host that has not renewed its certificate in time; TLS looks only when one dials."""
        while left_s := self._joining.left_s(connection.host_id):
            connection.certificate_until_us = self._joining.until_us(connection.host_id)
            await asyncio.sleep(left_s)
        connection.close("the host's certificate has ended")

    def _cut(self, host_id: str, reason: str) -> None:
        if (connection := self._coordinator.hosts.get(host_id)) is not None:
            connection.close(reason)


def _printable(hello: HostHello) -> bool:
    """All that is shown and logged of a host fits on one line, and drives no terminal."""
    texts = [hello.perdure_version, hello.isolation, *hello.pythons, *hello.capabilities, *hello.environments]
    for name, value in hello.labels.items():
        texts += (name, value)
    bounded = len(texts) <= _MAX_TEXTS and all(len(text) <= _MAX_TEXT for text in texts)
    return bounded and all(map(str.isprintable, texts)) and _NAME.fullmatch(hello.host_id) is not None


async def _read(context: Any, receive: Any) -> None:
    """Every message costs one await and one call: no task, no queue."""
    read = context.read
    while (message := await read()) is not _EOF:
        receive(message)


async def _abort(context: Any, error: PerdureError) -> None:
    await context.abort(*status_of(error))

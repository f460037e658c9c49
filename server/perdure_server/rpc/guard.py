"""Stands between a door and the services: who asks is known before the first byte of a request is read.

Every rpc is served as a stream of requests, whatever its service says (on the wire there is no difference), so that
strangers are refused by their metadata. Then a request is measured before it is parsed, and parsed before it is used.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from typing import Any, Final

import grpc
from google.protobuf.message import DecodeError

from perdure_server.coordinator.projects import Projects
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.errors import status_of
from perdure_server.security.access import Access
from perdure_server.security.admission import OpenCalls, admit, bearer
from perdure_server.security.needs import NEEDS, Kind, Need
from perdure_server.security.scopes import SOCKET, Caller, Scope

REQUEST_TIMEOUT_S: Final = 10.0  # from a call to the end of its only request: strangers are few at a time

CALLER: Final[ContextVar[Caller]] = ContextVar("caller")
"""Who makes the call that runs in this context."""

_EOF: Final[Any] = grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs only

Behaviour = Callable[[Any, Any], Awaitable[Any]]


class Guard(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # generic in the stubs only
    """Of one door."""

    def __init__(self, kind: Kind, access: Access, projects: Projects) -> None:
        self._kind = kind
        self._access = access
        self._projects = projects
        self._open = OpenCalls()
        self._handlers: dict[str, Any] = {}  # by the path of the rpc, of those in NEEDS

    async def intercept_service(self, continuation: Callable[[Any], Awaitable[Any]], details: Any) -> Any:
        """The handler of an rpc, with all that is checked before it."""
        path = details.method
        if (known := self._handlers.get(path)) is not None:
            return known
        need = NEEDS.get(path)
        handler = await continuation(details) if need is not None and self._kind in need.doors else None
        if handler is None or need is None:
            return _NOT_HERE
        self._handlers[path] = guarded = self._guarded(need, handler)
        return guarded

    def _guarded(self, need: Need, handler: Any) -> Any:
        behaviour = self._behaviour(need, handler)
        parse = _parser(handler.request_deserializer, need.request_bytes)
        if handler.response_streaming:
            return grpc.stream_stream_rpc_method_handler(behaviour, parse, handler.response_serializer)
        return grpc.stream_unary_rpc_method_handler(behaviour, parse, handler.response_serializer)

    def _behaviour(self, need: Need, handler: Any) -> Behaviour:
        inner = _inner(handler)
        one = not handler.request_streaming

        async def behave(requests: Any, context: Any) -> Any:
            try:
                caller = self._caller(need, context)
                async with self._held(caller):
                    CALLER.set(caller)
                    if one:
                        return await inner(await self._request(caller, context), context)
                    return await inner(self._each(caller, requests), context)
            except PerdureError as error:
                await context.abort(*status_of(error))

        return behave

    def _caller(self, need: Need, context: Any) -> Caller:
        """Who asks. Raises P0215, P0218."""
        if self._kind is Kind.SOCKET:
            return SOCKET
        if self._kind is Kind.HOSTS:
            return self._host(context)
        return admit(self._access, need, self._kind, _token(context))

    def _host(self, context: Any) -> Caller:
        """By the certificate that TLS has checked: whose name it bears, if that host is still let in."""
        from perdure_server.security.authority import key_digest

        about = context.auth_context()
        names, certificates = about.get("x509_common_name", ()), about.get("x509_pem_cert", ())
        if len(names) != 1 or len(certificates) != 1:
            raise PerdureError("P0218", "who asks shows no certificate")
        host_id = names[0].decode("utf-8", "replace")
        self._access.joining.admit(host_id, key_digest(certificates[0]))
        return Caller(f"host {host_id}", Scope.ADMIN, host_id=host_id)  # of the few rpcs that are served here

    @contextlib.asynccontextmanager
    async def _held(self, caller: Caller) -> AsyncIterator[None]:
        """A call, for the length of the block. Raises P0215 when its token ends meanwhile, P0221 for one too many."""
        if self._kind is Kind.SOCKET:
            yield
            return
        with self._open.counted(caller):
            async with self._access.tokens.held(caller):
                yield

    async def _request(self, caller: Caller, context: Any) -> Any:
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT_S):
                request = await context.read()
        except TimeoutError:
            raise PerdureError("P0702", f"no request came within {REQUEST_TIMEOUT_S:g} s") from None
        if request is _EOF:
            raise PerdureError("P0702", "the call ended without a request")
        if caller.project:
            await self._projects.hold(caller.project, request)
        return request

    async def _each(self, caller: Caller, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for request in requests:
            if caller.project:
                await self._projects.hold(caller.project, request)
            yield request


def _inner(handler: Any) -> Behaviour:
    """The service's own function, as one that writes its answers itself if there are several."""
    if not handler.response_streaming:
        unary: Behaviour = handler.stream_unary if handler.request_streaming else handler.unary_unary
        return unary
    function = handler.stream_stream if handler.request_streaming else handler.unary_stream
    if inspect.iscoroutinefunction(function):
        streaming: Behaviour = function
        return streaming

    async def write_all(request: Any, context: Any) -> None:
        async with contextlib.aclosing(function(request, context)) as answers:
            async for answer in answers:
                await context.write(answer)

    return write_all


def _parser(parse: Callable[[bytes], Any], limit: int) -> Callable[[bytes], Any]:
    def parse_bounded(raw: bytes) -> Any:
        if len(raw) > limit:
            raise PerdureError("P0221", f"a message of {len(raw)} bytes; this call takes at most {limit}")
        try:
            return parse(raw)
        except DecodeError:
            raise PerdureError("P0702", "the message is no such request") from None

    return parse_bounded


def _token(context: Any) -> str:
    """Of the first `authorization` in the metadata; empty where there is none."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str) and (token := bearer(value)):
            return token
    return ""


async def _not_here(_requests: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, "no such call here")


_NOT_HERE: Final = grpc.stream_unary_rpc_method_handler(_not_here)

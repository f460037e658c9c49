"""The HTTP server: uvicorn on the coordinator's own loop, between a socket of ours and the application."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import os
import resource
import socket
import ssl
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

if TYPE_CHECKING:
    from perdure_server.security.authority import Authority

HEAD_S: Final = 10.0  # from a connection, or the first byte of a request on one, to the end of its headers
HEAD_BYTES: Final = 64 * 1024
KEEP_ALIVE_S: Final = 15
UNREAD_S: Final = 60.0  # that a peer may leave unread what it asked for; then the kernel cuts the connection
CONNECTIONS: Final = 4_000
_FILES: Final = 8_192  # open at once, at most: connections, those by which requests are passed on, and the rest
_HELD_BYTES: Final = 64 * 1024
RENEW_S: Final = 86_400.0  # the certificate is valid for 30 days


class HttpServer:
    """Serves `app` on an open socket, with TLS if there is an authority and names."""

    def __init__(self, app: ASGIApp, opened: socket.socket, authority: Authority | None, names: Sequence[str]) -> None:
        self._socket = opened
        config = uvicorn.Config(
            app,
            http=_Protocol,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",  # what strangers send is no news; what fails in us, `gate` logs
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            h11_max_incomplete_event_size=HEAD_BYTES,
        )
        config.load()
        if authority is not None:
            config.ssl = self._tls = _context(authority, names)
        self._authority = authority
        self._names = names
        self._server = _Server(config)
        self._serving: asyncio.Task[None] | None = None
        self._renewal: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        port: int = self._socket.getsockname()[1]
        return port

    async def start(self) -> None:
        _allow_files()
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        self._serving.add_done_callback(lambda _: self._server.up.set())
        await self._server.up.wait()
        self._renew_later()

    async def stop(self, grace_s: float) -> None:
        """Refuse new requests, and cut those that are still there after `grace_s`."""
        if self._renewal is not None:
            self._renewal.cancel()
        if self._serving is None:
            return
        self._server.should_exit = True
        self._server.config.timeout_graceful_shutdown = max(1, int(grace_s))
        await self._serving

    def _renew_later(self) -> None:
        if self._authority is not None:
            self._renewal = asyncio.get_running_loop().call_later(RENEW_S, self._renew)

    def _renew(self) -> None:
        assert self._authority is not None
        _load(self._tls, self._authority, self._names)
        self._renew_later()


class _Server(uvicorn.Server):
    """Signals are the coordinator's. `up`: it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.up.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Protocol(H11Protocol):
    """Closes connections on which no request comes, or comes too slowly, and those that are too many."""

    _head: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(_Together(transport, self.loop))  # type: ignore[arg-type]  # all that is used of one
        # asyncio does so only for sockets whose protocol number it knows, and accepted ones of ours say 0. Without it
        # every answer, whose head and body are written apart, waits 40 ms for an acknowledgement.
        sock = transport.get_extra_info("socket")
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD_S * 1000))
        if len(self.connections) > CONNECTIONS:
            transport.abort()
        else:
            self._head = self.loop.call_later(HEAD_S, transport.abort)

    def data_received(self, data: bytes) -> None:
        if self._head is None and self._between():
            self._head = self.loop.call_later(HEAD_S, self.transport.abort)
        super().data_received(data)
        if not self._between():
            self._done()

    def connection_lost(self, exc: Exception | None) -> None:
        self._done()
        super().connection_lost(exc)

    def _between(self) -> bool:
        """No request is open: its headers have not come yet, or it has been answered."""
        return self.cycle is None or self.cycle.response_complete

    def _done(self) -> None:
        if self._head is not None:
            self._head.cancel()
            self._head = None


class _Together:
    """A transport: what is written in one turn of the loop leaves in one call, head and body of an answer above all.

    But not more of it than `_HELD_BYTES`, or who writes without a pause is never told that nobody reads.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        self._held: list[bytes] = []
        self._size = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        if not self._held:
            self._loop.call_soon(self._flush)
        self._held.append(data)
        self._size += len(data)
        if self._size >= _HELD_BYTES:
            self._flush()

    def close(self) -> None:
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        if self._held:
            held, self._held, self._size = self._held, [], 0
            self._transport.write(b"".join(held))


def _allow_files() -> None:
    """Most systems let a process open 1,024 files until it asks for more; strangers may hold as many connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def _context(authority: Authority, names: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    _load(context, authority, names)
    return context


def _load(context: ssl.SSLContext, authority: Authority, names: Sequence[str]) -> None:
    """A new certificate, for the handshakes from now on. The key touches no disk: ssl reads files only."""
    made = authority.for_server(names, dt.datetime.now(dt.UTC))
    file = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        with open(file, "wb", closefd=False) as opened:
            opened.write(made.key + made.chain)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)

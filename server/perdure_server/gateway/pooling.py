"""HTTP connections to whichever coordinator listens at a Unix socket, kept for the next request."""

from __future__ import annotations

import asyncio
import select
import socket
from typing import Any, Final

import httpcore

ORIGIN: Final = httpcore.Origin(b"http", b"coordinator", 80)
_IDLE: Final = 64  # connections that are kept
_IDLE_S: Final = 5.0  # for so long; the coordinator closes them later (`KEEP_ALIVE_S`): never while one is taken
_AGAIN_S: Final = 0.05


class Connections:
    """httpcore's own pool looks at each of its connections for each request, and thousands may wait for answers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._idle: list[httpcore.AsyncHTTP11Connection] = []

    async def take(self) -> httpcore.AsyncHTTP11Connection:
        """One that is idle, or a new one."""
        while self._idle:
            kept = self._idle.pop()
            if not kept.has_expired():
                return kept
            await kept.aclose()
        stream = _Stream(await _connected(self._path))
        return httpcore.AsyncHTTP11Connection(ORIGIN, stream, keepalive_expiry=_IDLE_S)

    async def give(self, connection: httpcore.AsyncHTTP11Connection) -> None:
        """It is kept if it may be, else closed."""
        if connection.is_idle() and len(self._idle) < _IDLE:
            self._idle.append(connection)
        else:
            await connection.aclose()

    async def close(self) -> None:
        for connection in self._idle:
            await connection.aclose()


async def _connected(path: str) -> socket.socket:
    """The kernel refuses more than fit into the line before the socket: asyncio would ask again without a pause."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        while True:
            try:
                sock.connect(path)
            except BlockingIOError:
                await asyncio.sleep(_AGAIN_S)
            else:
                return sock
    except BaseException:
        sock.close()
        raise


class _Stream(httpcore.AsyncNetworkStream):
    """Of the socket itself: what has arrived can be read though more cannot be written."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  # none is set
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, max_bytes)
        except OSError as error:
            raise httpcore.ReadError from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, buffer)
        except OSError as error:
            raise httpcore.WriteError from error

    async def aclose(self) -> None:
        self._socket.close()

    def get_extra_info(self, info: str) -> Any:
        """Of one that is idle: whatever can be read from it is its end."""
        if info != "is_readable":
            return None
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        return bool(poll.poll(0))

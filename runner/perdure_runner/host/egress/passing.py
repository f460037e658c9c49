"""Bytes from one connection to another, counted."""

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from perdure_runner.host.egress.heads import CHUNKED

_CHUNK_LINE_BYTES: Final = 256


class Cut(Exception):  # noqa: N818 (it is what happens to the connection)
    """No more is passed on: a limit is reached, or the body is malformed."""


class Budget:
    """How many bytes may still pass, all connections of a session together."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.used = 0

    @property
    def spent(self) -> bool:
        return self.used >= self.total

    def spend(self, count: int) -> None:
        """Raises `Cut` when there is no more."""
        self.used += count
        if self.used > self.total:
            raise Cut


class Patience:
    """A time-out, `scope`, that begins anew with every sign of life."""

    def __init__(self, idle_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._idle_s = idle_s
        self.scope = asyncio.timeout(idle_s)

    def renew(self) -> None:
        if not self.scope.expired():
            self.scope.reschedule(self._loop.time() + self._idle_s)


class Pipe:
    """One direction of a connection: what comes from `source` goes to `sink`."""

    def __init__(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        budget: Budget,
        patience: Patience,
        chunk_bytes: int,
    ) -> None:
        self._source = source
        self._sink = sink
        self._budget = budget
        self._patience = patience
        self._chunk_bytes = chunk_bytes

    async def all(self) -> None:
        """Everything, and its end. Raises OSError, `Cut`."""
        while data := await self._source.read(self._chunk_bytes):
            await self._pass(data)
        if self._sink.can_write_eof():
            self._sink.write_eof()

    async def body(self, length: int) -> None:
        """A request's body of so many bytes, or `CHUNKED`; nothing of what comes after. Raises OSError, `Cut`."""
        async for data in self._chunks() if length == CHUNKED else self._exactly(length):
            await self._pass(data)

    async def _pass(self, data: bytes) -> None:
        self._budget.spend(len(data))
        self._patience.renew()
        self._sink.write(data)
        await self._sink.drain()

    async def _exactly(self, length: int) -> AsyncIterator[bytes]:
        while length:
            data = await self._source.read(min(length, self._chunk_bytes))
            if not data:
                raise Cut
            length -= len(data)
            yield data

    async def _chunks(self) -> AsyncIterator[bytes]:
        """Chunks with their sizes (RFC 9112, 7.1). Trailers are not asked for, and refused."""
        size = 1
        while size:
            line = await self._line()
            digits = line.split(b";", 1)[0].strip()
            if not 0 < len(digits) <= 15 or digits.strip(b"0123456789abcdefABCDEF"):
                raise Cut
            size = int(digits, 16)
            yield digits + b"\r\n"
            async for data in self._exactly(size):
                yield data
            if await self._line():
                raise Cut
            yield b"\r\n"

    async def _line(self) -> bytes:
        try:
            line = await self._source.readuntil(b"\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise Cut from None
        if len(line) > _CHUNK_LINE_BYTES:
            raise Cut
        return line[:-2]

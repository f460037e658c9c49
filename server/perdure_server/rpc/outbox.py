"""What waits to be written to one host: a bounded queue in which acknowledgements melt together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from perdure_proto.v1.runner_pb2 import Committed, ToHost

MAX_MESSAGES: Final = 50_000
ROOMY_BYTES: Final = 32 * 1024 * 1024
LAST_WORDS_S: Final = 5.0  # for what was said before the end; a host that reads nothing has a full window for ever


class Outbox:
    """The coordinator's view of a host on a stream (`HostEnd` of architecture.md).

    `receive` never blocks; a host that reads too slowly is cut. Bulk (history) is paced by `drain`.
    """

    def __init__(self) -> None:
        self.closed_because: str | None = None
        self._queue: deque[ToHost] = deque()
        self._bytes = 0
        self._acknowledged: dict[tuple[str, int], Committed] = {}
        self._wake = asyncio.Event()
        self._roomy = asyncio.Event()
        self._roomy.set()
        self._writer: asyncio.Task[None] | None = None

    def receive(self, message: ToHost) -> None:
        """Queue `message`; the acknowledgement of a session that is still queued is raised instead."""
        if self.closed_because is not None:
            return
        if message.HasField("committed"):
            committed = message.committed
            key = (committed.session_id, committed.epoch)
            if (queued := self._acknowledged.get(key)) is not None:
                queued.no, queued.seq = committed.no, committed.seq
                return
            self._acknowledged[key] = committed
        elif message.HasField("history"):
            self._count(message.ByteSize())
        if len(self._queue) >= MAX_MESSAGES:
            self.closed("the host reads too slowly")
            self._cut()
            return
        self._queue.append(message)
        self._wake.set()

    def closed(self, reason: str) -> None:
        """No more messages: the stream ends when the writer has written the last one, or is tired of waiting."""
        if self.closed_because is None:
            self.closed_because = reason
            asyncio.get_running_loop().call_later(LAST_WORDS_S, self._cut)
        self._wake.set()
        self._roomy.set()

    async def drain(self) -> None:
        """Wait until there is room for another page of history."""
        await self._roomy.wait()

    async def write_all(self, write: Callable[[ToHost], Awaitable[None]]) -> None:
        """Write what comes, in order, until `closed`. `write` may wait for the host; it is cancelled in the end."""
        self._writer = asyncio.current_task()
        while self.closed_because is None:
            while self._queue:
                message = self._queue.popleft()
                if message.HasField("committed"):
                    del self._acknowledged[message.committed.session_id, message.committed.epoch]
                elif message.HasField("history"):
                    self._count(-message.ByteSize())
                await write(message)
            self._wake.clear()
            if not self._queue and self.closed_because is None:
                await self._wake.wait()

    def _cut(self) -> None:
        if self._writer is not None:
            self._writer.cancel()

    def _count(self, size: int) -> None:
        self._bytes += size
        if self._bytes > ROOMY_BYTES and self.closed_because is None:
            self._roomy.clear()
        else:
            self._roomy.set()

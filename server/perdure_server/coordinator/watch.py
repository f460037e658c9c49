"""Who follows a session: updates are pushed to bounded queues, and a watcher that falls behind is cut."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import contextmanager

from perdure_proto.v1.control_pb2 import SessionUpdate

from perdure_server.core.errors import PerdureError


class Watcher:
    """One follower of one session. Iterate over it; it ends after `close`, or raises what went wrong."""

    def __init__(self, limit: int, without: Collection[str]) -> None:
        self._limit = limit
        self._without = without
        self._updates: deque[SessionUpdate] = deque()
        self._wake = asyncio.Event()
        self._closed = False
        self._error: PerdureError | None = None

    def wants(self, kind: str) -> bool:
        return kind not in self._without

    def push(self, update: SessionUpdate) -> None:
        if self._closed:
            return
        if len(self._updates) >= self._limit:
            self.fail(
                PerdureError("P0602", f"the watcher is {self._limit} updates behind", help="ask again, and read faster")
            )
            return
        self._updates.append(update)
        self._wake.set()

    def close(self) -> None:
        """No more updates: what is queued is still delivered."""
        self._closed = True
        self._wake.set()

    def fail(self, error: PerdureError) -> None:
        """Cut it: what is queued is dropped."""
        self._error = error
        self._updates.clear()
        self.close()

    async def __aiter__(self) -> AsyncIterator[SessionUpdate]:
        while True:
            while self._updates:
                yield self._updates.popleft()
            if self._error is not None:
                raise self._error
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()


class Watchers:
    """All followers, by session."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._of: dict[str, list[Watcher]] = {}

    def watched(self, session_id: str, kind: str = "session") -> bool:
        """Does anybody want updates of this kind: `session`, `entry` or `log`?"""
        return any(watcher.wants(kind) for watcher in self._of.get(session_id, ()))

    def push(self, session_id: str, update: SessionUpdate) -> None:
        """Give an update to everybody who wants its kind."""
        kind = update.WhichOneof("update") or ""
        for watcher in self._of.get(session_id, ()):
            if watcher.wants(kind):
                watcher.push(update)

    def close(self, session_id: str) -> None:
        """The session has ended."""
        for watcher in self._of.get(session_id, ()):
            watcher.close()

    def fail(self, session_id: str, error: PerdureError) -> None:
        for watcher in self._of.get(session_id, ()):
            watcher.fail(error)

    def fail_all(self, error: PerdureError) -> None:
        for session_id in self._of:
            self.fail(session_id, error)

    @contextmanager
    def follow(self, session_id: str, *, without: Collection[str] = ()) -> Iterator[Watcher]:
        """A watcher for the length of the block, who is not told of updates of the kinds in `without`."""
        watcher = Watcher(self._limit, without)
        self._of.setdefault(session_id, []).append(watcher)
        try:
            yield watcher
        finally:
            followers = self._of[session_id]
            followers.remove(watcher)
            if not followers:
                del self._of[session_id]

"""The inbox: events that were promised to their senders, and that the coordinator has not taken yet. HOME/inbox.db."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Incoming
from perdure_server.web import wire

NAME: Final = "inbox.db"
EVENTS: Final = 20_000  # at most
BYTES: Final = 64 << 20  # at most, of events
SHARE: Final = 0.5  # of these, that one project may have: others' events must find room
_BUSY_S: Final = 10.0
_AGAIN_S: Final = 1.0  # before what cannot be deleted is tried again
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS inbox (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL UNIQUE,
    header TEXT NOT NULL,
    data BLOB NOT NULL
)
"""
_KEEP: Final = "INSERT INTO inbox (event_id, header, data) VALUES (?, ?, ?)"
_DROP: Final = "DELETE FROM inbox WHERE event_id = ?"


@dataclass(frozen=True, slots=True, eq=False)
class _Coming:
    """An event on its way in. `done`: it is durable."""

    row: tuple[str, str, bytes]
    done: asyncio.Future[None]


class Inbox:
    """One thread writes: what comes while it does is one transaction with what comes next (group commit)."""

    def __init__(self, path: Path) -> None:
        """Raises `PerdureError` P0209: it is damaged; P0211: the disk is full; P0110: nobody may write there."""
        try:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # its other files get the same mode
        except OSError as error:
            raise PerdureError("P0110", f"cannot write {path}: {error.strerror}") from None
        try:
            self._db = sqlite3.connect(path, timeout=_BUSY_S, check_same_thread=False, isolation_level=None)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.execute(_SCHEMA)
        except sqlite3.Error as error:
            raise _problem(error) from error
        self._sizes: dict[str, int] = {}  # by event, of all that is in it
        self._events: Counter[str] = Counter()  # by project
        self._bytes: Counter[str] = Counter()
        self._coming: list[_Coming] = []
        self._going: list[str] = []
        self._writing: asyncio.Task[None] | None = None

    def read(self) -> list[Incoming]:
        """All that is in it, the oldest first: once, before anything else. Raises P0209."""
        try:
            rows: list[tuple[str, bytes]] = self._db.execute("SELECT header, data FROM inbox ORDER BY seq").fetchall()
            found = [replace(wire.incoming_of(json.loads(header), data), promised=True) for header, data in rows]
        except sqlite3.Error as error:
            raise _problem(error) from error
        except (ValueError, TypeError) as error:  # another version of perdure wrote it
            raise PerdureError("P0209", f"the gateway's inbox has an event that cannot be read: {error}") from error
        for incoming, (header, _) in zip(found, rows, strict=True):
            self._count(incoming, len(header) + len(incoming.data))
        return found

    def __contains__(self, event_id: str) -> bool:
        """Whether it is kept, or about to be."""
        return event_id in self._sizes

    async def keep(self, incoming: Incoming) -> None:
        """Durable when this returns. Raises `PerdureError` P0207: no room; P0211, P0209: it cannot be written."""
        header = json.dumps(wire.event_header(incoming))
        size = len(header) + len(incoming.data)
        self._check(incoming.project, size)
        coming = _Coming((incoming.event_id, header, incoming.data), asyncio.get_running_loop().create_future())
        self._count(incoming, size)
        self._coming.append(coming)
        self._write()
        try:
            await coming.done
        except PerdureError:
            self._uncount(incoming)
            raise

    def drop(self, incoming: Incoming) -> None:
        """The coordinator has it; it is deleted soon. One that comes again after a crash, that knows by its id."""
        self._uncount(incoming)
        self._going.append(incoming.event_id)
        self._write()

    async def close(self) -> None:
        """Returns when all is written that can be."""
        while self._writing is not None:
            await asyncio.wait([self._writing])
        self._going = []
        self._db.close()

    def _check(self, project: str, size: int) -> None:
        full = self._events.total() >= EVENTS or self._bytes.total() + size > BYTES
        mine = self._events[project] >= EVENTS * SHARE or self._bytes[project] + size > BYTES * SHARE
        if full or mine:
            raise PerdureError("P0207", "the coordinator is away, and the gateway's inbox is full")

    def _count(self, incoming: Incoming, size: int) -> None:
        self._sizes[incoming.event_id] = size
        self._events[incoming.project] += 1
        self._bytes[incoming.project] += size

    def _uncount(self, incoming: Incoming) -> None:
        self._events[incoming.project] -= 1
        self._bytes[incoming.project] -= self._sizes.pop(incoming.event_id)
        if not self._events[incoming.project]:
            del self._events[incoming.project], self._bytes[incoming.project]

    def _write(self) -> None:
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())

    async def _write_all(self) -> None:
        while self._coming or self._going:
            coming, self._coming = self._coming, []
            going, self._going = self._going, []
            try:
                await asyncio.to_thread(self._commit, [each.row for each in coming], going)
            except sqlite3.Error as error:
                _tell(coming, _problem(error))
                self._going[:0] = going
                if not self._coming:
                    asyncio.get_running_loop().call_later(_AGAIN_S, self._write)
                    break
            else:
                _tell(coming, None)
        self._writing = None

    def _commit(self, coming: Sequence[tuple[str, str, bytes]], going: Sequence[str]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            self._db.executemany(_DROP, [(event_id,) for event_id in going])
            self._db.executemany(_KEEP, coming)
            self._db.execute("COMMIT")
        except sqlite3.Error:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            raise


def _tell(coming: Sequence[_Coming], problem: PerdureError | None) -> None:
    for each in coming:
        if each.done.done():  # nobody waits for it any more
            continue
        if problem is None:
            each.done.set_result(None)
        else:
            each.done.set_exception(problem)


def _problem(error: sqlite3.Error) -> PerdureError:
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode == sqlite3.SQLITE_FULL:
        return PerdureError("P0211", "the disk is full: the gateway's inbox takes no event")
    return PerdureError("P0209", f"the gateway's inbox cannot be used: {error}")

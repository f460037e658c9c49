"""Reading a home that has no server: its journal, read-only, while perhaps another process (`run`) writes it."""

from __future__ import annotations

import asyncio
import fcntl
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from operator import itemgetter
from pathlib import Path

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.journal_pb2 import Entry, LogLine

from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.sealing import hide
from perdure_server.store import BlobStore, LogPosition, SessionKeys
from perdure_server.store.sqlite import SqliteStore

POLL_S = 0.25
"""Between two looks at the journal by commands that follow: nobody tells a reader that it has grown."""


class Onlooker(Control):
    """`Control` without a coordinator at work: what writes needs one; what follows looks again and again.

    Following ends when the session has ended, or when nobody is there any more who could go on with it.
    """

    def __init__(self, store: SqliteStore, home: Path) -> None:
        super().__init__(Coordinator(store, BlobStore(home / "blobs"), SessionKeys.random()), str(home))
        self._store = store
        self._place = home

    async def get_logs(self, request: pb.GetLogsRequest) -> AsyncIterator[LogLine]:
        """Stored lines; `follow`: then new ones."""
        if not request.follow:
            async for line in super().get_logs(request):
                yield line
            return
        async for update in self.watch_session(
            pb.WatchSessionRequest(session_id=request.session_id, without_entries=True)
        ):
            if update.HasField("log"):
                yield update.log

    async def watch_session(self, request: pb.WatchSessionRequest) -> AsyncIterator[pb.SessionUpdate]:
        """Changes of the session's state, its entries and its lines of output, from the first one on."""
        told, seq, place = "", 0, LogPosition()
        while True:
            busy = holder(self._place) is not None
            session = await self.get_session(pb.GetSessionRequest(session_id=request.session_id))
            rows, lines = [], []
            if not request.without_entries:
                rows = [Entry.FromString(row) for row in self._store.entries(request.session_id, seq)]
                for row in rows:
                    if row.HasField("outcome"):
                        hide(row.outcome, self._c.blobs)
            if not request.without_logs:
                lines = [LogLine.FromString(row.line) for row in self._store.logs(request.session_id, place)]
            seq = rows[-1].seq if rows else seq
            place = LogPosition(lines[-1].ordinal, lines[-1].index) if lines else place
            updates = [(row.at_us, pb.SessionUpdate(entry=row)) for row in rows]
            updates += [(line.at_us, pb.SessionUpdate(log=line)) for line in lines]
            for _, update in sorted(updates, key=itemgetter(0)):
                yield update
            if told != session.state:
                told = session.state
                yield pb.SessionUpdate(session=session)
            if session.ended_at or not busy:
                return
            await asyncio.sleep(POLL_S)


@contextmanager
def onlooker(home: Path) -> Iterator[Onlooker]:
    """Raises `PerdureError`: P0110 no journal there, P0209 corrupt, P0210 of a newer schema."""
    store = SqliteStore.open(home, read_only=True)
    try:
        yield Onlooker(store, home)
    finally:
        store.close()


def holder(home: Path) -> str | None:
    """Who holds the home's lock, as it wrote into it (store/home.py); None when nobody does."""
    try:
        with (home / "lock").open("rb") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                said = json.loads(file.read(4096))
                return f"process {said['pid']} since {said['started_at']}"
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        return "unknown process"
    return None

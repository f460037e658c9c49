"""Streams of a session's history, output and changes: first what is stored, then what happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb

from perdure_server.coordinator.messages import session_message
from perdure_server.coordinator.sealing import hide
from perdure_server.core.errors import PerdureError
from perdure_server.store import LogPosition, SessionRecord, inline

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_PAGE: Final = 500


def known_session(c: Coordinator, session_id: str) -> SessionRecord:
    """The row of a session; P0204 when there is none."""
    record = c.store.load_session(session_id)
    if record is None:
        raise PerdureError("P0204", f"unknown session {session_id!r}", help="`perdure sessions list` shows all")
    return record


async def history(c: Coordinator, request: pb.GetHistoryRequest) -> AsyncIterator[jpb.Entry]:
    """Entries after `after_seq`, at most `limit` (0: all); payloads only `with_data`."""
    known_session(c, request.session_id)
    after, left = request.after_seq, request.limit or -1
    while left:
        size = _PAGE if left < 0 else min(left, _PAGE)
        rows = await asyncio.to_thread(c.store.entries, request.session_id, after, size)
        for row in rows:
            entry = jpb.Entry.FromString(row)
            after = entry.seq
            if not request.with_data:
                entry.outcome.ClearField("data")
                entry.resolution.payload.ClearField("data")
            elif entry.HasField("outcome"):
                hide(entry.outcome, c.blobs)
            if request.with_data and (entry.outcome.blob or entry.resolution.payload.blob):
                await asyncio.to_thread(inline, entry, c.blobs)
            yield entry
        left -= len(rows) if left > 0 else 0
        if len(rows) < size:
            return


async def logs(c: Coordinator, request: pb.GetLogsRequest) -> AsyncIterator[jpb.LogLine]:
    """Stored lines, at most `limit` (0: all); `follow`: then new ones, until the session ends."""
    known_session(c, request.session_id)
    if not request.follow:
        async for line in _stored(c, request.session_id, request.limit or -1):
            yield line
        return
    with c.watchers.follow(request.session_id, without={"entry"}) as watcher:
        if known_session(c, request.session_id).ended_us is not None:
            watcher.close()
        last = LogPosition()
        async for line in _stored(c, request.session_id, -1):
            last = LogPosition(line.ordinal, line.index)
            yield line
        async for update in watcher:
            if update.HasField("log") and LogPosition(update.log.ordinal, update.log.index) > last:
                yield update.log


async def _stored(c: Coordinator, session_id: str, left: int) -> AsyncIterator[jpb.LogLine]:
    after = LogPosition()
    while left:
        size = _PAGE if left < 0 else min(left, _PAGE)
        rows = await asyncio.to_thread(c.store.logs, session_id, after, size)
        for row in rows:
            after = row.position
            yield jpb.LogLine.FromString(row.line)
        left -= len(rows) if left > 0 else 0
        if len(rows) < size:
            return


async def watch(c: Coordinator, request: pb.WatchSessionRequest) -> AsyncIterator[pb.SessionUpdate]:
    """The session as it is, then what happens to it: its states, entries and output, until it ends."""
    left_out = {"entry": request.without_entries, "log": request.without_logs}
    with c.watchers.follow(request.session_id, without={kind for kind, out in left_out.items() if out}) as watcher:
        record = known_session(c, request.session_id)
        yield pb.SessionUpdate(session=session_message(record, c.actors.get(record.session_id)))
        if record.ended_us is not None:
            return
        async for update in watcher:
            yield update

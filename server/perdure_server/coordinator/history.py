"""What a runner gets to begin with: Start, and the journal in pages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from perdure_proto.v1 import journal_pb2 as pb
from perdure_proto.v1 import runner_pb2 as rpb

from perdure_server.coordinator import lineage
from perdure_server.coordinator.messages import timestamp
from perdure_server.coordinator.sealing import may_be_sealed, unseal
from perdure_server.coordinator.variables import Given
from perdure_server.secrets import is_sealed
from perdure_server.store import LogPosition, SessionRecord, inline
from perdure_server.store.home import IMPORTED

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator


async def start_message(c: Coordinator, record: SessionRecord, epoch: int, entries: int) -> rpb.Start:
    """Everything that the runner of `record` needs but the history."""
    build = await c.builds.of(record.build_id)
    given, urls = await _given(c, record)
    shared = lineage.parse(record.forked_from)
    logged = LogPosition() if epoch == 1 else await asyncio.to_thread(c.store.last_log, record.session_id)
    return rpb.Start(
        session_id=record.session_id,
        epoch=epoch,
        build=record.build_id,
        entry_point=record.entry_point,
        event=record.event,
        event_form=record.event_form,  # type: ignore[arg-type]  # the number is one of EventForm
        vars={**urls, **given.values},
        secrets=given.secrets,
        activities=build.activities,
        limits=build.limits,
        hash_seed=record.hash_seed,
        key=c.keys.session_key(record.origin_id or record.session_id),
        history_entries=entries,
        logged_ordinal=logged.ordinal,
        logged_index=logged.index,
        python=build.python,
        durable=record.durable,
        created_at=timestamp(shared.created_us or record.created_us),  # its clock begins where the journal does
        ancestors=[rpb.Ancestor(session_id=each.session_id, upto_seq=each.upto_seq) for each in shared.ancestors],
        project=record.project,
        environment=await c.builds.environment(record.build_id, record.deployment_id),
        network=build.network.to_proto(c.settings.default_network),
    )


async def _given(c: Coordinator, record: SessionRecord) -> tuple[Given, Mapping[str, str]]:
    """The variables of its project, and those with URLs; none for one that came in a file."""
    if record.origin_id.startswith(IMPORTED):
        return Given({}, ()), {}
    await c.connections.tokens.before_start(record.project, c.clock.now_us())
    given = await c.variables.of(record.project, record.deployment_id)
    return given, await c.dispatcher.urls.of(record.project, record.deployment_id)


async def pages(c: Coordinator, session_id: str, epoch: int, entries: int) -> AsyncIterator[rpb.HistoryPage]:
    """The first `entries` entries of the journal, large payloads put back; at least one page, the last one marked."""
    after = 0
    while after < entries:
        limit = min(c.settings.page_entries, entries - after)
        page, read = await asyncio.to_thread(_read_page, c, session_id, after, limit)
        after += read
        page.session_id, page.epoch, page.last = session_id, epoch, after >= entries or not read
        yield page
        if page.last:
            return
    if not entries:
        yield rpb.HistoryPage(session_id=session_id, epoch=epoch, last=True)


def _read_page(c: Coordinator, session_id: str, after: int, limit: int) -> tuple[rpb.HistoryPage, int]:
    """At most `limit` entries and, but for a single large one, `page_bytes`; and how many rows of the journal that is.

    A STARTED row whose outcome follows at once decides nothing any more, and is left out.
    """
    rows = c.store.entries(session_id, after, limit)
    page = rpb.HistoryPage()
    room = c.settings.page_bytes
    read = 0
    for row in rows:
        room -= len(row)
        if room < 0 and page.entries:
            break
        entry = pb.Entry.FromString(row)
        sealed = may_be_sealed(row)
        if entry.outcome.blob or entry.resolution.payload.blob:
            inline(entry, c.blobs)
            sealed = True  # perhaps: what it says is in the blob
            large = entry.outcome.size or entry.resolution.payload.size
            if page.entries and large > room:
                break
            room -= large
        if sealed:
            unseal(entry, c.vault)
        read += 1
        if page.entries and _settles(entry, page.entries[-1]):
            page.entries[-1].CopyFrom(entry)
        else:
            page.entries.append(entry)
    return page, read


def _settles(entry: pb.Entry, before: pb.Entry) -> bool:
    return (
        entry.kind == pb.ENTRY_KIND_ACTIVITY
        and before.kind == pb.ENTRY_KIND_STARTED
        and (entry.lane, entry.ordinal) == (before.lane, before.ordinal)
    )


def complete(divergence: pb.Divergence, rows: Iterable[pb.Entry]) -> None:
    """Put the recorded side back to what the journal says: runners are sent only what replay decides by."""
    wanted = (divergence.recorded.lane, divergence.recorded.ordinal)
    if divergence.HasField("recorded"):
        for row in rows:
            if (row.lane, row.ordinal) == wanted:
                divergence.recorded.CopyFrom(row)
                if is_sealed(row.outcome.data):
                    divergence.recorded.outcome.ClearField("data")
                return


def journal(c: Coordinator, session_id: str) -> Iterator[pb.Entry]:
    """All rows of a session's journal, from the store."""
    after = 0
    while rows := c.store.entries(session_id, after, c.settings.page_entries):
        yield from map(pb.Entry.FromString, rows)
        after += len(rows)

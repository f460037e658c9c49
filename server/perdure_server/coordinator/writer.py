"""From a session's records to the store: numbered, bounded, batched, written in order, and acknowledged.

This is the path that every durable step takes, so it costs no task, no await and one serialisation per entry. Only
payloads that have to go to the blob store first take a detour through a thread; what follows them waits its turn.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, Protocol

from perdure_proto.v1 import journal_pb2 as pb
from perdure_proto.v1.runner_pb2 import Records

from perdure_server.coordinator.sealing import seal
from perdure_server.core import events as ev
from perdure_server.core import limits
from perdure_server.store import (
    SPILL_BYTES,
    Append,
    Done,
    Failed,
    Fenced,
    Item,
    LogRow,
    Result,
    SessionUpdate,
    Transaction,
    spill,
)

if TYPE_CHECKING:
    from perdure_server.coordinator.actor import Actor

OnDone = Callable[[], None]
OnResult = Callable[[Result], None]

_RESOLVED: Final = pb.ENTRY_KIND_RESOLVED


class Made(Protocol):
    """A row that is made in the transaction that writes it."""

    seq: int
    entry: pb.Entry

    def make(self, transaction: Transaction) -> Sequence[bytes]:
        """The serialised row, which is `entry` afterwards."""

    def durable(self) -> None:
        """It is, whatever became of the session meanwhile."""

    def done(self) -> None:
        """It is durable, and the session is still there."""


@dataclass(slots=True)
class Batch:
    """Records of one runner that are written together."""

    epoch: int
    first_seq: int = 0
    last_no: int = 0
    entries: list[pb.Entry] = field(default_factory=list)
    lines: list[pb.LogLine] = field(default_factory=list)
    large: bool = False  # a payload goes to the blob store


def examine(message: Records, payload_bytes: int) -> ev.OfRunner:
    """The event that a message of records is: numbered without a gap, and nothing that only we may write."""
    records = message.records
    if not records:
        return ev.Misbehaved(message.epoch, "a message of records without one")
    first = expected = records[0].no
    entries = 0
    for record in records:
        if record.no != expected:
            return ev.Misbehaved(message.epoch, f"record {record.no} came where {expected} was due")
        expected += 1
        if record.HasField("entry"):
            entries += 1
            entry = record.entry
            if entry.kind == _RESOLVED or not entry.kind:
                return ev.Misbehaved(message.epoch, f"a runner wrote an entry of kind {entry.kind}")
            if len(entry.outcome.data) > payload_bytes:
                return ev.Misbehaved(message.epoch, f"a runner recorded a value of {len(entry.outcome.data)} bytes")
        elif not record.HasField("log"):
            return ev.Misbehaved(message.epoch, f"record {record.no} holds nothing that is known here")
    return ev.RecordsReceived(message.epoch, first, expected - first, entries)


def cut(message: Records, entries: int) -> None:
    """Leave so many entries of a message, which has more, and the lines before the next one."""
    records = message.records
    places = (place for place, record in enumerate(records) if record.HasField("entry"))
    del records[next(islice(places, max(0, entries), None)) :]


class Writer:
    """Everything that one session writes, in order."""

    def __init__(self, actor: Actor, log_bytes: int) -> None:
        self._actor = actor
        self._c = actor.coordinator
        self._batch: Batch | None = None
        self._log_bytes = log_bytes
        self._in_flight = 0
        self._held: deque[tuple[Callable[[], Awaitable[Item]], OnResult]] | None = None

    @property
    def idle(self) -> bool:
        return not self._in_flight and self._batch is None and self._held is None

    def add(self, message: Records, first_seq: int) -> None:
        """Take the records of `message`; their first entry is number `first_seq`."""
        batch = self._batch
        if batch is None:
            batch = self._batch = Batch(message.epoch, first_seq)
            if not message.sync:
                self._c.linger(self)
        waits = self._actor.waits
        seq = first_seq
        for record in message.records:
            if not record.HasField("entry"):
                self._add_line(batch, record.log)
                continue
            entry = record.entry
            entry.seq = seq
            seq += 1
            waits.note(entry)
            batch.entries.append(entry)
            if len(entry.outcome.data) > SPILL_BYTES:
                batch.large = True
        batch.last_no = message.records[-1].no
        if message.sync:
            self.flush()

    def flush(self) -> None:
        """Submit what lingers."""
        batch, self._batch = self._batch, None
        if batch is None:
            return
        self._submit(lambda: self._append(batch), lambda result: self._written(batch, result), large=batch.large)

    def write(
        self,
        on_done: OnDone,
        *,
        entries: Sequence[pb.Entry] = (),
        update: SessionUpdate | None = None,
        consumes: int | None = None,
        prepare: Callable[[], SessionUpdate] | None = None,
        also: Callable[[Transaction], None] | None = None,
    ) -> None:
        """Write rows of the coordinator's own, after all that came before. `prepare` makes the update in a thread."""
        self.flush()
        epoch, session_id = self._actor.state.epoch, self._actor.session_id

        def append() -> Append:
            return Append(
                session_id,
                epoch,
                entries[0].seq if entries else 0,
                [entry.SerializeToString() for entry in entries],
                update=prepare() if prepare else update,
                consumes=consumes,
                also=also,
            )

        def written(result: Result) -> None:
            if self._survived(result):
                # Our own rows have no acknowledgement to suppress: who dies, dies before `on_done`.
                self._faulty(entries)
                self._publish(entries, ())
                on_done()
                self._actor.settle()

        self._submit(append, written, large=prepare is not None)

    def write_made(self, made: Made, prepare: Callable[[], Awaitable[None]] | None = None) -> None:
        """Write a row of the coordinator's own that is made in the transaction, after all that came before.

        `prepare` is awaited first, and all that comes later waits for it.
        """
        self.flush()
        append = Append(self._actor.session_id, self._actor.state.epoch, made.seq, make=made.make)

        def written(result: Result) -> None:
            if isinstance(result, Done):
                made.durable()
            if self._survived(result):
                self._faulty([made.entry])
                self._publish([made.entry], ())
                made.done()
                self._actor.settle()

        self._submit(lambda: append, written, large=False, prepare=prepare)

    def submit(self, item: Item, on_result: OnResult) -> None:
        """Write anything else, after all that came before."""
        self.flush()

        def written(result: Result) -> None:
            self._in_flight -= 1
            on_result(result)

        self._submit(lambda: item, written, large=False)

    def _append(self, batch: Batch) -> Append:
        if self._actor.knows_secrets:
            for entry in batch.entries:
                if entry.HasField("outcome"):
                    seal(entry.outcome, self._c.vault)
        if batch.large:
            for entry in batch.entries:
                spill(entry, self._c.blobs)
        return Append(
            self._actor.session_id,
            batch.epoch,
            batch.first_seq,
            [entry.SerializeToString() for entry in batch.entries],
            [LogRow(line.ordinal, line.index, line.SerializeToString()) for line in batch.lines],
        )

    def _submit(
        self,
        make: Callable[[], Item],
        on_result: OnResult,
        *,
        large: bool,
        prepare: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._in_flight += 1
        if self._held is None and not large and prepare is None:
            self._c.store.submit(make(), on_result)
            return

        async def made() -> Item:
            if prepare is None:
                return await asyncio.to_thread(make)
            await prepare()
            return make()

        if self._held is not None:
            self._held.append((made, on_result))
        else:
            self._held = deque([(made, on_result)])
            self._c.spawn(self._spool())

    async def _spool(self) -> None:
        """Submit what is held, making each item in a thread or when it is prepared, until nothing is."""
        assert self._held is not None
        while self._held:
            make, on_result = self._held[0]
            try:
                item = await make()
            except Exception as error:  # noqa: BLE001 - it goes back to who submitted this, as the store's own do
                on_result(Failed(error))
            else:
                self._c.store.submit(item, on_result)
            self._held.popleft()
        self._held = None

    def _written(self, batch: Batch, result: Result) -> None:
        if not self._survived(result):
            return
        assert isinstance(result, Done)
        if self._faulty(batch.entries):
            return
        self._publish(batch.entries, batch.lines)
        actor = self._actor
        actor.committed_seq = result.value
        if self._in_flight:
            # More of this session is being written, perhaps by the same transaction: one acknowledgement for all.
            actor.acknowledge_soon(batch.epoch, batch.last_no)
        else:
            actor.handle(ev.Committed(batch.epoch, batch.last_no))
            actor.settle()

    def _survived(self, result: Result) -> bool:
        """Is it durable? If not, the session leaves memory."""
        self._in_flight -= 1
        if self._actor.dropped:
            return False
        match result:
            case Done():
                return True
            case Fenced():
                self._actor.handle(ev.Fenced())
            case Failed(error=error):
                self._actor.handle(ev.StorageFailed(result.code or "P0209", str(error)))
        return False

    def _faulty(self, entries: Sequence[pb.Entry]) -> bool:
        """Ask the fault injection about every entry; a fault suppresses the acknowledgement."""
        faults = self._c.settings.faults
        if faults is None:
            return False
        for entry in entries:
            fault = faults(self._actor.session_id, entry.seq, entry)
            if fault is not None:
                self._c.inject(self._actor, fault)
                return True
        return False

    def _publish(self, entries: Sequence[pb.Entry], lines: Sequence[pb.LogLine]) -> None:
        watched, session_id = self._c.watchers.watched, self._actor.session_id
        if entries and watched(session_id, "entry"):
            self._c.publish_entries(session_id, entries)
        if lines and watched(session_id, "log"):
            self._c.publish_lines(session_id, lines)

    def _add_line(self, batch: Batch, line: pb.LogLine) -> None:
        """Keep a line of output as long as the session's limit allows; the first one beyond it ends the session."""
        most = self._actor.limits.log_bytes or sys.maxsize
        if self._log_bytes > most:
            return
        self._log_bytes += len(line.text) + 32
        if self._log_bytes > most:
            line.stream = pb.STREAM_STDERR
            reason = limits.reached("log", limits.size(most), limits.size(self._log_bytes))
            line.text = f"perdure: P0602: {reason}"
            self._actor.handle(ev.Doomed("P0602", reason))
        batch.lines.append(line)

"""A session from a file, as one that has ended. Whoever made the file may be hostile: it is checked as a build is.

An imported session gets no variables of the project whose name it bears, and its journal is opened only with the key
that came with it: `origin_id` marks it, and names that key.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import tempfile
from collections.abc import AsyncIterable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1.runner_pb2 import BlobChunk

from perdure_server.coordinator import lineage
from perdure_server.coordinator.following import known_session
from perdure_server.coordinator.lifecycle import parcel
from perdure_server.coordinator.messages import session_message
from perdure_server.coordinator.starting import SESSION_ID, UNDEPLOYED, check_entry_point, new_id
from perdure_server.core import ids, jsontext
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Phase
from perdure_server.manifest.build import DEFAULT_LIMITS, extract
from perdure_server.manifest.exports import find_exports
from perdure_server.manifest.manifest import load_manifest
from perdure_server.store import Append, Build, LogRow, Mutation, SessionRecord, SessionUpdate, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_BATCH: Final = 200  # rows in one transaction
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")
_PROJECT: Final = re.compile(rf"([A-Za-z0-9][A-Za-z0-9._-]{{0,62}}({UNDEPLOYED})?)?")
_PYTHON: Final = re.compile(r"(\d{1,2}\.\d{1,3})?")
_MEMO: Final = 64  # entries
_TEXT_CHARS: Final = 1024  # of each, and of an entry point
_HEAD_BYTES: Final = 64 * 1024 * 1024
_MEMBERS: Final = frozenset({parcel.HEAD, parcel.JOURNAL, parcel.OUTPUT, parcel.BUILD, parcel.BLOBS, parcel.KEY})
_ENDED: Final = frozenset(phase.value for phase in Phase if phase.ended)
_ALL: Final = 10**18 - 1  # entries that there may be
_FILES: Final = 100_000
_MOST: Final = (1 << 63) - 1  # that a column holds


@dataclass(frozen=True, slots=True)
class _Parcel:
    """What was unpacked and found to be in order."""

    record: SessionRecord
    build: Build
    journal: bytes
    output: bytes


async def import_session(c: Coordinator, chunks: AsyncIterable[BlobChunk]) -> pb.Session:
    """Under its own id, or a new one if that is taken. Raises P0229 bad file, P0231 too large, P0211 disk full."""
    with tempfile.TemporaryDirectory(prefix="perdure-import-") as scratch:
        file = Path(scratch) / "file"
        await _collect(chunks, file, c.settings.export_bytes)
        found = await asyncio.to_thread(_unpack, c, file, Path(scratch) / "session")
        record = await _insert(c, found)
        try:
            await _fill(c, record, found)
        except BaseException:
            async with c.garbage.busy:
                await c.garbage.remove([record.session_id])
            raise
    return session_message(known_session(c, record.session_id), None)


async def _collect(chunks: AsyncIterable[BlobChunk], path: Path, limit: int) -> None:
    size = 0
    with path.open("wb") as file:
        async for chunk in chunks:
            size += len(chunk.data)
            if size > limit + limit // 4:  # of the archive, which is larger than what is in it
                raise PerdureError("P0231", f"the file has more than {limit} bytes")
            await asyncio.to_thread(file.write, chunk.data)


async def _insert(c: Coordinator, found: _Parcel) -> SessionRecord:
    """The row, which says that the import is not complete, and the build."""
    interrupted = jpb.Error(type="Imported", message="the import was interrupted: only a part of the session is here")
    record = replace(
        found.record, state=Phase.STOPPED.value, result=None, divergence=None, error=interrupted.SerializeToString()
    )

    def write(transaction: Transaction) -> bool:
        transaction.put_build(found.build)
        return transaction.insert_session(record)

    while True:
        done: Any = await c.store.commit(Mutation(write))
        if done.value:
            return record
        known = lineage.parse(record.forked_from)  # its code knew itself under the id in the file
        known = known.of_fork(found.record.session_id, record.created_us, _ALL)
        record = replace(record, session_id=new_id(c, ids.SESSION), forked_from=str(known))


async def _fill(c: Coordinator, record: SessionRecord, found: _Parcel) -> None:
    session_id = record.session_id
    seq = 1
    for batch in _batches(parcel.messages(found.journal)):
        await c.store.commit(Append(session_id, epoch=0, first_seq=seq, entries=batch))
        seq += len(batch)
    for batch in _batches(parcel.messages(found.output)):
        lines = [(jpb.LogLine.FromString(line), line) for line in batch]
        rows = [LogRow(told.ordinal, told.index, line) for told, line in lines]
        await c.store.commit(Append(session_id, epoch=0, logs=rows))
    whole = found.record
    update = SessionUpdate(
        state=whole.state, result=whole.result, error=whole.error, divergence=whole.divergence, status=whole.status
    )
    await c.store.commit(Append(session_id, epoch=0, update=update))


def _batches(messages: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for message in messages:
        batch.append(message)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


# What is in the file.


def _unpack(c: Coordinator, file: Path, folder: Path) -> _Parcel:
    """Check all of it, and store its blobs: they are young, so that they stay until the rows are there."""
    limits = replace(DEFAULT_LIMITS, files=_FILES, total_bytes=c.settings.export_bytes + parcel.KEY_BYTES)
    try:
        with file.open("rb") as packed:
            extract(packed, folder, limits)
    except PerdureError as error:
        raise parcel.bad(error.message) from None
    if unknown := {path.name for path in folder.iterdir()} - _MEMBERS:
        raise parcel.bad(f"it holds {min(unknown)[:80]!r}")
    head = parcel.Head.of_json(_member(folder, parcel.HEAD))
    journal, output = _member(folder, parcel.JOURNAL), _member(folder, parcel.OUTPUT)
    payloads = [*_checked_entries(journal)]
    _check_lines(output)
    record = _record(c, head, payloads)
    needed = {payload.blob for payload in payloads if payload.blob}
    needed |= {head.environment} if head.environment else set()
    build = _build(c, head, folder)
    _store_blobs(c, folder, needed)
    c.blobs.put(_member(folder, parcel.BUILD))
    return _Parcel(replace(record, origin_id=c.keys.put_import(_key(c, head, folder))), build, journal, output)


def _member(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise parcel.bad(f"{name} is missing")
    if name == parcel.HEAD and path.stat().st_size > _HEAD_BYTES:
        raise parcel.bad(f"{name} is too large")
    return path.read_bytes()


def _checked_entries(journal: bytes) -> Iterator[jpb.Payload]:
    """The values that they hold."""
    for seq, data in enumerate(parcel.messages(journal), 1):
        entry = _parsed(jpb.Entry, data)
        if entry.seq != seq or entry.ordinal > _MOST or min(entry.at_us, entry.wait.fires_at_us) < 0:
            raise parcel.bad(f"entry {seq} of its journal makes no sense")
        yield entry.outcome
        yield entry.resolution.payload


def _check_lines(output: bytes) -> None:
    before = (-1, -1)
    for data in parcel.messages(output):
        line = _parsed(jpb.LogLine, data)
        place = (line.ordinal, line.index)
        if not before < place or max(place) > _MOST or line.at_us < 0:
            raise parcel.bad("its output is in no order")
        before = place


def _parsed(kind: Any, data: bytes) -> Any:
    try:
        return kind.FromString(data)
    except DecodeError:
        raise parcel.bad(f"a message is no {kind.__name__}") from None


def _record(c: Coordinator, head: parcel.Head, payloads: list[jpb.Payload]) -> SessionRecord:
    """The row that it becomes. The value of its result is noted in `payloads`."""
    row = dict(head.row)
    _check_row(c, row)
    if row["result"] is not None:
        payloads.append(_parsed(jpb.Payload, row["result"]))
    for name, kind in (("error", jpb.Error), ("divergence", jpb.Divergence)):
        if row[name] is not None:
            _parsed(kind, row[name])
    if row["state"] not in _ENDED:
        was = jpb.Error(type="Imported", message=f"it was {row['state'][:20]!r} when it was exported")
        row |= {"state": Phase.STOPPED.value, "error": was.SerializeToString()}
    # It counts as ended now: so it is kept as long as the home's own.
    fixed = {"ended_us": c.clock.now_us(), "build_id": head.build_id, "deployment_id": "", "event": row["event"] or b""}
    return SessionRecord(**row | fixed)


def _check_row(c: Coordinator, row: dict[str, Any]) -> None:
    """Texts, JSON and sizes; what is no message of protobuf."""
    for text, form in (("session_id", SESSION_ID), ("project", _PROJECT)):
        if not form.fullmatch(row[text]):
            raise parcel.bad(f"{row[text][:80]!r} is no {text}")
    try:
        check_entry_point(row["entry_point"])
        for name, most in (("event", c.settings.event_bytes), ("status", c.settings.status_bytes)):
            if row[name] is not None:
                jsontext.parse(row[name][: most + 1])
        memo = row["memo"] or {}
        "".join((row["entry_point"], *memo.keys(), *memo.values())).encode()  # half of a character has no UTF-8
    except (PerdureError, ValueError) as error:
        raise parcel.bad(str(error)) from None
    if len(row["entry_point"]) > _TEXT_CHARS:
        raise parcel.bad("its entry point is too long")
    if len(memo) > _MEMO or any(len(name) + len(text) > _TEXT_CHARS for name, text in memo.items()):
        raise parcel.bad("its memo is too large")
    if row["forked_from"] and not lineage.is_text(row["forked_from"]):
        raise parcel.bad("what it was forked from makes no sense")


def _build(c: Coordinator, head: parcel.Head, folder: Path) -> Build:
    """Its row, from what is in its tarball."""
    tarball = _member(folder, parcel.BUILD)
    if hashlib.sha256(tarball).hexdigest() != head.build_id:
        raise parcel.bad("its build is not the one of the session")
    if not _PYTHON.fullmatch(head.python) or (head.environment and not _DIGEST.fullmatch(head.environment)):
        raise parcel.bad("what it says of its build makes no sense")
    with tempfile.TemporaryDirectory(prefix="perdure-build-") as scratch:
        root = Path(scratch) / "project"
        try:
            extract(tarball, root)
            manifest = load_manifest(root).to_json()
            exports = find_exports(root, isolated=c.settings.isolate_scan).exports
        except PerdureError as error:
            raise parcel.bad(f"its build is refused: {error.message}") from None
    manifest |= {"variables": [], "python": head.python, "environment": head.environment}
    return Build(head.build_id, len(tarball), c.clock.now_us(), [asdict(each) for each in exports], manifest)


def _store_blobs(c: Coordinator, folder: Path, needed: set[str]) -> None:
    there = {path.name for path in (folder / parcel.BLOBS).glob("*")}
    if there != needed:
        raise parcel.bad("its values are not complete" if needed - there else "it holds values that nothing refers to")
    for digest in sorted(needed):
        data = _member(folder, f"{parcel.BLOBS}/{digest}")
        if hashlib.sha256(data).hexdigest() != digest:
            raise parcel.bad(f"value {digest[:12]} is damaged")
        c.blobs.put(data)


def _key(c: Coordinator, head: parcel.Head, folder: Path) -> bytes | None:
    """Of the journal: as it came, or our own where this home has exported it."""
    if (folder / parcel.KEY).exists():
        key = _member(folder, parcel.KEY)
        if len(key) != parcel.KEY_BYTES:
            raise parcel.bad("its key is none")
        return key
    if head.coordinator_id != c.store.coordinator_id:
        return None
    try:
        return c.keys.session_key(head.origin_id)
    except PerdureError:
        return None

"""A session as one file. What its home has sealed stays sealed, and no variable is in it."""

from __future__ import annotations

import asyncio
import io
import tarfile
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Final

from perdure._version import __version__
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1.runner_pb2 import BlobChunk

from perdure_server.coordinator.following import known_session
from perdure_server.coordinator.lifecycle import parcel
from perdure_server.core.errors import PerdureError
from perdure_server.secrets import is_sealed
from perdure_server.store import BlobStore, LogPosition, SessionRecord

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_CHUNK: Final = 256 * 1024
_PAGE: Final = 1_000
_IN_MEMORY: Final = 4 * 1024 * 1024


async def export_session(c: Coordinator, session_id: str) -> AsyncIterator[BlobChunk]:
    """The file in pieces. P0204, P0231 larger than `export_bytes`; of a living session what it is now."""
    record = known_session(c, session_id)
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        await asyncio.to_thread(_write, c, record, file)
        file.seek(0)
        while chunk := await asyncio.to_thread(file.read, _CHUNK):
            yield BlobChunk(data=chunk)


def _write(c: Coordinator, record: SessionRecord, file: IO[bytes]) -> None:
    build = c.store.build(record.build_id)
    if build is None:
        raise PerdureError("P0212", f"the build of session {record.session_id} is gone")
    with (
        tempfile.SpooledTemporaryFile(_IN_MEMORY) as journal,
        tempfile.SpooledTemporaryFile(_IN_MEMORY) as output,
        tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        values = _journal(c, record, journal)
        output.writelines(parcel.framed(_lines(c, record)))
        head = parcel.Head(
            coordinator_id=c.store.coordinator_id,
            version=__version__,
            origin_id=record.origin_id or record.session_id,
            sealed=values.sealed,
            row=parcel.row_of(record),
            build_id=build.digest,
            python=str(build.manifest.get("python", "")),
            environment=str(build.manifest.get("environment", "")),
        )
        room = _add(tar, parcel.HEAD, io.BytesIO(head.to_json()), c.settings.export_bytes)
        room = _add(tar, parcel.JOURNAL, journal, room)
        room = _add(tar, parcel.OUTPUT, output, room)
        room = _add_blob(tar, parcel.BUILD, c.blobs, build.digest, room)
        for digest in sorted(values.blobs | ({head.environment} if head.environment else set())):
            room = _add_blob(tar, f"{parcel.BLOBS}/{digest}", c.blobs, digest, room)


@dataclass(slots=True)
class _Values:
    """What is known of the recorded values that were noted."""

    blobs: set[str] = field(default_factory=set)
    sealed: bool = False

    def note(self, payload: jpb.Payload, blobs: BlobStore) -> None:
        if payload.blob:
            self.blobs.add(payload.blob)
        self.sealed |= is_sealed(blobs.head(payload.blob) if payload.blob else payload.data)


def _journal(c: Coordinator, record: SessionRecord, file: IO[bytes]) -> _Values:
    """Write the entries."""
    found = _Values()
    if record.result is not None:
        found.note(jpb.Payload.FromString(record.result), c.blobs)
    after = 0
    while after < record.entries:  # it may have grown since
        rows = c.store.entries(record.session_id, after, min(_PAGE, record.entries - after))
        if not rows:
            raise PerdureError("P0204", f"session {record.session_id!r} is gone: its time of retention is over")
        after += len(rows)
        file.writelines(parcel.framed(rows))
        for entry in map(jpb.Entry.FromString, rows):
            found.note(entry.outcome, c.blobs)
            found.note(entry.resolution.payload, c.blobs)
    return found


def _lines(c: Coordinator, record: SessionRecord) -> Iterator[bytes]:
    place = LogPosition()
    while rows := c.store.logs(record.session_id, place, _PAGE):
        yield from (row.line for row in rows)
        place = rows[-1].position


def _add(tar: tarfile.TarFile, name: str, file: IO[bytes], room: int) -> int:
    info = tarfile.TarInfo(name)
    info.size = file.seek(0, io.SEEK_END)
    file.seek(0)
    if info.size > room:
        raise PerdureError("P0231", "the session is larger than what can be exported")
    tar.addfile(info, file)
    return room - info.size


def _add_blob(tar: tarfile.TarFile, name: str, blobs: BlobStore, digest: str, room: int) -> int:
    with tempfile.SpooledTemporaryFile(_IN_MEMORY) as file:
        file.writelines(blobs.chunks(digest))
        return _add(tar, name, file, room)

"""`perdure sessions export` and `import`: a session as a file."""

from __future__ import annotations

import io
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1.runner_pb2 import BlobChunk

from perdure_server.app.writing import writing
from perdure_server.cli import connect, documents, fetch, options, render
from perdure_server.cli.settings import Settings
from perdure_server.coordinator.lifecycle import parcel
from perdure_server.core.errors import PerdureError
from perdure_server.store import SessionKeys
from perdure_server.store.sqlite import SqliteStore

_CHUNK = 256 * 1024


@click.command("export")
@options.SESSION
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to [default: ID.perdure].")
@click.option(
    "--with-key",
    is_flag=True,
    help="Add the key of its journal, so that others can replay and fork it. Needs the home.",
)
@options.where
@options.JSON
@connect.waits
async def export(
    session_id: str, output: Path | None, with_key: bool, server: str | None, home: str | None, as_json: bool
) -> None:
    """Write session ID to a file: its journal, output, recorded values and build, without any variable."""
    settings = Settings.load()
    place = Path(settings.text("home", home))
    if with_key and settings.text("server", server):
        raise click.UsageError("--with-key reads the key from the home: neither --server nor PERDURE_SERVER")
    async with connect.reading(settings, server, home) as remote:
        session_id = await fetch.named(remote, session_id)
        target = output or Path(f"{session_id}.perdure")
        with writing(target) as file:
            async for chunk in remote.export_session(control.GetSessionRequest(session_id=session_id)):
                file.write(chunk.data)
            if with_key:
                file.seek(0)
                _add_key(file, _key(place, session_id))
    if as_json:
        documents.emit({"session_id": session_id, "file": str(target), "key": with_key})
    else:
        render.say(f"wrote {target}" + (": whoever has it can forge records of this session" if with_key else ""))


def _key(home: Path, session_id: str) -> bytes:
    """Raises `PerdureError` P0234 when it came without one itself."""
    store = SqliteStore.open(home, read_only=True)
    try:
        record = store.load_session(session_id)
    finally:
        store.close()
    if record is None:
        raise PerdureError("P0204", f"unknown session {session_id!r}")
    return SessionKeys.of(home).session_key(record.origin_id or session_id)


def _add_key(file: io.BufferedRandom, key: bytes) -> None:
    with tarfile.open(fileobj=file, mode="a:") as tar:
        info = tarfile.TarInfo(parcel.KEY)
        info.size = len(key)
        tar.addfile(info, io.BytesIO(key))


@click.command("import")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
@options.where
@options.JSON
@connect.waits
async def import_(file: Path, server: str | None, home: str | None, as_json: bool) -> None:
    """Take a session from a file, as one that has ended, to look at, replay and fork it.

    Replaying it runs the code in the file, in the sandbox: do so only if you would run that code.
    """
    try:
        opened = file.open("rb")
    except OSError as wrong:
        raise PerdureError("P0110", f"cannot read {file}: {wrong.strerror}") from None

    async def chunks() -> AsyncIterator[BlobChunk]:
        while data := opened.read(_CHUNK):
            yield BlobChunk(data=data)

    with opened:
        async with connect.writing(Settings.load(), server, home) as remote:
            session = await remote.import_session(chunks())
    if as_json:
        documents.emit({"session_id": session.session_id, "project": session.project, "state": session.state})
    else:
        render.show(f"{session.session_id} {render.state(session.state)}")

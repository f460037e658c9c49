"""`sessions replay --pdb`: a runner in the foreground, at this terminal, fed with a session's history from the home."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.frames import FrameError, Stream
from perdure_runner.host import convert, launch
from perdure_runner.host.config import HostConfig
from perdure_runner.host.fields import ProtocolError
from perdure_runner.host.masking import Masker
from perdure_runner.host.pythons import InterpreterNotFoundError, Interpreters

from perdure_server.coordinator import history
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.following import known_session
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.build import extract, pack
from perdure_server.secrets import Vault
from perdure_server.store import BlobStore, SessionKeys
from perdure_server.store.sqlite import SqliteStore

_DEBUGGER = "perdure_runner.child.debugger:main"
_EPOCH = 1 << 62  # as read-only replays by a host: never that of a real runner


@dataclass(frozen=True, slots=True)
class _Replay:
    """All that the runner is sent, and how it is started."""

    command: list[str]
    environment: dict[str, str]
    frames: list[bytes]
    masker: Masker | None


async def replay(home: Path, session_id: str, folder: Path | None) -> tuple[runner.Done, int]:
    """Replay a session of `home` at this terminal, with its own code or that of `folder`; nothing is stored.

    Returns how it ended and how many entries the journal has.
    Raises `PerdureError`: P0204 unknown session, P0213 no such Python, P0604 the runner died.
    """
    with tempfile.TemporaryDirectory(prefix="perdure-replay-") as scratch:
        store = SqliteStore.open(home, read_only=True)
        try:
            vault = Vault.open(home)
            coordinator = Coordinator(store, BlobStore(home / "blobs"), SessionKeys.of(home), vault=vault)
            entries = known_session(coordinator, session_id).entries
            prepared = await _prepare(coordinator, session_id, folder, Path(scratch))
            done = await asyncio.to_thread(_converse, prepared, _start(prepared))
            history.complete(done.divergence, history.journal(coordinator, session_id))
            return done, entries
        finally:
            store.close()


async def _prepare(c: Coordinator, session_id: str, folder: Path | None, scratch: Path) -> _Replay:
    record = known_session(c, session_id)
    tarball = pack(folder) if folder else b"".join([chunk async for chunk in c.fetch_blob(record.build_id)])
    code, cache = scratch / "code", scratch / "cache"
    extract(tarball, code)
    cache.mkdir()
    start = await history.start_message(c, record, _EPOCH, record.entries)
    start.replay_only, start.logged_ordinal, start.logged_index = True, 0, -1
    frames = [convert.start_frame(start, str(code), str(cache))]
    async for page in history.pages(c, session_id, _EPOCH, record.entries):
        frames.extend(convert.history_frames(page.entries, page.last))
    try:
        python = (await Interpreters().resolve(start.python)).path
    except InterpreterNotFoundError as missing:
        raise PerdureError("P0213", str(missing)) from None
    config = HostConfig(state_dir=scratch)
    command = launch.command(config, python, "attach", "--main", _DEBUGGER)
    return _Replay(command, launch.environment(config, start.hash_seed), frames, Masker.of(start))


def _start(prepared: _Replay) -> tuple[subprocess.Popen[bytes], socket.socket]:
    ours, theirs = socket.socketpair()
    with theirs:
        arguments = [*prepared.command, "--fd", str(theirs.fileno())]
        process = subprocess.Popen(arguments, env=prepared.environment, pass_fds=[theirs.fileno()])
    # From here on Ctrl-C is for the debugger; the runner was born before, with Python's own handler.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return process, ours


def _converse(prepared: _Replay, started: tuple[subprocess.Popen[bytes], socket.socket]) -> runner.Done:
    process, sock = started
    done: runner.Done | None = None
    with sock:
        stream = Stream(sock)
        try:
            for frame in prepared.frames:
                stream.write(frame)
            while done is None:
                header, payload = stream.recv()
                if prepared.masker is not None:
                    header = prepared.masker.header(header)
                match header["t"]:
                    case "log":
                        print(header["x"], flush=True)
                    case "done":
                        done = convert.done(header, bytes(payload))
        except (EOFError, FrameError, OSError, ProtocolError) as error:
            process.kill()
            raise PerdureError("P0604", f"the replaying runner died: {error}") from None
        finally:
            process.wait()
    return done

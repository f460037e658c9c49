"""Journals that were recorded once and are replayed by every later version: to and from text, and read-only replays.

The functions run in the fork server's children. A golden file holds all that a replay needs: the home's key, the
session's row and its entries as protobuf's own JSON.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.app.engine import Engine
from perdure_server.cli import builds, fetch
from perdure_server.core.errors import PerdureError
from perdure_server.store import Append, Mutation, SessionRecord, Store

from support.embedded import Job, Runs

PROJECT = "golden"


def record(home: str, folder: str, entry: str, url: str, signals: list[tuple[str, str, Any]]) -> dict[str, Any]:
    """Run a program in a new home; the golden file's content."""
    return asyncio.run(_record(Path(home), Path(folder), entry, url, signals))


async def _record(
    home: Path, folder: Path, entry: str, url: str, signals: list[tuple[str, str, Any]]
) -> dict[str, Any]:
    session = "golden-" + entry.partition(".")[0]
    async with Engine.embedded(home) as engine:
        runs = Runs(engine, home)
        await runs.deploy(folder)
        await runs.follow_all([Job(session, entry, {"url": url, "dir": "/nowhere"}, signals)])
        whole = await fetch.whole(engine.control, session)
        stored = engine.coordinator.store.load_session(session)
        assert stored is not None
    return {
        "key": (home / "key").read_bytes().hex(),
        "session": session,
        "entry_point": entry,
        "event": stored.event.decode(),
        "created_us": stored.created_us,
        "hash_seed": stored.hash_seed,
        "state": whole.session.state,
        "outcome": _outcome(whole.session.result, whole.session.error),
        "entries": [json_format.MessageToDict(entry) for entry in whole.entries],
    }


def replay(home: str, folder: str, golden: dict[str, Any], entries: int) -> dict[str, Any]:
    """Replay the first so many entries of a golden journal, read-only, against the programs in `folder`.

    {"state": DoneState in lower case, "divergence": text for people or "", "outcome": see `record`}
    """
    return asyncio.run(_replay(Path(home), Path(folder), golden, entries))


async def _replay(home: Path, folder: Path, golden: dict[str, Any], entries: int) -> dict[str, Any]:
    home.mkdir(parents=True)
    (home / "key").touch(mode=0o600)
    (home / "key").write_bytes(bytes.fromhex(golden["key"]))
    store = Store.open(home)
    store.close()
    async with Engine.embedded(home, recover=False) as engine:
        built = await builds.send(engine.control, builds.folder(folder, PROJECT), build_only=True)
        await _insert(engine, golden, built.build_id, entries)
        request = pb.ReplaySessionRequest(session_id=golden["session"], build_id=built.build_id)
        try:
            done = (await engine.control.replay_session(request)).done
        except PerdureError as error:
            return {"state": error.code, "divergence": str(error), "outcome": ""}
    return {
        "state": rpb.DoneState.Name(done.state).removeprefix("DONE_STATE_").lower(),
        "divergence": _divergence(done.divergence) if done.HasField("divergence") else "",
        "outcome": _outcome(done.result, done.error),
    }


async def _insert(engine: Engine, golden: dict[str, Any], build_id: str, entries: int) -> None:
    session = SessionRecord(
        session_id=golden["session"],
        project=PROJECT,
        build_id=build_id,
        deployment_id="",
        entry_point=golden["entry_point"],
        event=golden["event"].encode(),
        created_us=golden["created_us"],
        hash_seed=golden["hash_seed"],
        epoch=1,
        state="running",
    )
    rows = [json_format.ParseDict(row, jpb.Entry()).SerializeToString() for row in golden["entries"][:entries]]
    store = engine.coordinator.store
    await store.commit(Mutation(lambda transaction: transaction.insert_session(session)))
    await store.commit(Append(golden["session"], 1, 1, rows))


def _outcome(result: jpb.Payload, error: jpb.Error) -> str:
    """How a session ended, in a form that is the same in every replay."""
    return f"{error.type}: {error.message}" if error.type else result.preview


def _divergence(divergence: jpb.Divergence) -> str:
    sides = (divergence.recorded, divergence.called)
    return f"{divergence.reason}: " + " / ".join(f"{e.function} {e.site.file}:{e.site.line}" for e in sides)


def write(path: Path, golden: dict[str, Any]) -> None:
    """As text that can be compared line by line."""
    path.write_text(json.dumps(golden, indent=1, sort_keys=True) + "\n")


def load(path: Path) -> dict[str, Any]:
    """The inverse of `write`."""
    golden: dict[str, Any] = json.loads(path.read_text())
    return golden

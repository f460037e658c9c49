"""Many sessions of one racy program, each of which is replayed read-only: what it did, and what its replay found."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.app.engine import Engine
from perdure_server.cli import builds, fetch
from perdure_server.coordinator.settings import Settings

AT_ONCE = 6


def run(home: str, folder: str, entry: str, times: int) -> list[dict[str, Any]]:
    """Run `entry` so often. Each answer: the session's state, result and lines, and its replay's state and result."""
    return asyncio.run(_run(Path(home), Path(folder), entry, times))


async def _run(home: Path, folder: Path, entry: str, times: int) -> list[dict[str, Any]]:
    async with Engine.embedded(home, settings=Settings()) as engine:
        build = await builds.send(engine.control, builds.folder(folder, None), build_only=True)
        gate = asyncio.Semaphore(AT_ONCE)

        async def one() -> dict[str, Any]:
            async with gate:
                return await _one(engine, build, entry)

        return await asyncio.gather(*(one() for _ in range(times)))


def stop(home: str, folder: str, entry: str, rows: int) -> dict[str, Any]:
    """Run `entry`, and stop it politely as soon as its journal has so many rows."""
    return asyncio.run(_stop(Path(home), Path(folder), entry, rows))


async def _stop(home: Path, folder: Path, entry: str, rows: int) -> dict[str, Any]:
    async with Engine.embedded(home, settings=Settings()) as engine:
        build = await builds.send(engine.control, builds.folder(folder, None), build_only=True)
        return await _one(engine, build, entry, stop_after=rows)


async def _one(engine: Engine, build: pb.DeployResponse, entry: str, stop_after: int = 0) -> dict[str, Any]:
    request = pb.StartSessionRequest(project=build.project, build_id=build.build_id, entry_point=entry)
    session = (await engine.control.start_session(request)).session_id
    seen = 0
    async for update in engine.control.watch_session(pb.WatchSessionRequest(session_id=session, until_done=True)):
        if update.WhichOneof("update") == "entry":
            seen += 1
            if seen == stop_after:
                await engine.control.stop_session(
                    pb.StopSessionRequest(session_id=session, reason="enough", grace_s=20)
                )
    whole = await fetch.whole(engine.control, session)
    replayed = await engine.control.replay_session(pb.ReplaySessionRequest(session_id=session))
    return {
        "state": whole.session.state,
        "result": whole.session.result.preview,
        "lines": [line.text for line in whole.logs],
        "error": whole.session.error.message,
        "replay": rpb.DoneState.Name(replayed.done.state).removeprefix("DONE_STATE_").lower(),
        "replayed": replayed.done.result.preview,
        "divergence": replayed.done.divergence.reason,
    }

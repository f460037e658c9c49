"""The recorded runs of many probes in one engine: live, replayed, killed after every entry. In a fork of its own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.app.engine import Engine
from perdure_server.cli import documents
from perdure_server.coordinator.settings import Settings
from perdure_server.core import divergence
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Rules
from support.embedded import AT_ONCE, Faults, Job, Runs

PATIENCE_S = 60.0
"""How long one run may take."""


def run(
    home: str, folder: str, files: str, server: str, prefix: str, probes: dict[str, str]
) -> dict[str, dict[str, Any]]:
    """Run these probes, name -> entry point; what each run was, by probe and mode ("live", "replayed", "1", "2", ...).

    Each run asks below `server/PREFIXNAME.MODE` and writes below `files/NAME.MODE`.
    """
    return asyncio.run(_run(Path(home), Path(folder), _Place(Path(files), f"{server}/{prefix}"), probes))


class _Place:
    def __init__(self, files: Path, server: str) -> None:
        self._files = files
        self._server = server

    def event(self, run: str) -> dict[str, Any]:
        """The event of this run; its folder is made."""
        folder = self._files / run
        folder.mkdir(parents=True)
        return {"url": f"{self._server}{run}", "dir": str(folder)}


async def _run(home: Path, folder: Path, place: _Place, probes: dict[str, str]) -> dict[str, dict[str, Any]]:
    faults = Faults({})
    settings = Settings(rules=Rules(suspend_after_s=5.0), faults=faults)
    async with Engine.embedded(home, settings=settings) as engine:
        runs = Runs(engine, home)
        await runs.deploy(folder)
        modes = _Modes(engine, runs, faults, place)
        return dict(zip(probes, await asyncio.gather(*(modes.all(*probe) for probe in probes.items())), strict=True))


class _Modes:
    def __init__(self, engine: Engine, runs: Runs, faults: Faults, place: _Place) -> None:
        self._engine = engine
        self._runs = runs
        self._faults = faults
        self._place = place
        self._gate = asyncio.Semaphore(AT_ONCE)

    async def all(self, name: str, entry: str) -> dict[str, Any]:
        """One probe in every mode."""
        live = await self._session(name, entry, "live")
        if live["state"] not in {"completed", "failed"}:
            return {"live": live}
        kills = range(1, len(live["rows"]) + 1)
        others = await asyncio.gather(
            self._replayed(name, entry), *(self._session(name, entry, str(after), after) for after in kills)
        )
        return {"live": live, "replayed": others[0]} | {str(k): told for k, told in zip(kills, others[1:], strict=True)}

    async def _session(self, name: str, entry: str, mode: str, after: int = 0) -> dict[str, Any]:
        job = Job(f"{name}.{mode}", entry, self._place.event(f"{name}.{mode}"))
        if after:
            self._faults.planned[job.session, after] = "kill-runner"
        async with self._gate:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    told = await self._runs._follow(job)
            except TimeoutError:
                return {"state": "hanging"}
        return told if "state" in told else {"state": f"refused: {told['message']}"}

    async def _replayed(self, name: str, entry: str) -> dict[str, Any]:
        """Another session, so that its ledger tells what the replay did; then its whole journal again, read-only."""
        told = await self._session(name, entry, "replayed")
        if told["state"] not in {"completed", "failed"}:
            return told
        async with self._gate:
            try:
                async with asyncio.timeout(PATIENCE_S):
                    request = pb.ReplaySessionRequest(session_id=f"{name}.replayed")
                    done = (await self._engine.control.replay_session(request)).done
            except (PerdureError, TimeoutError) as error:
                return told | {"state": f"no replay: {error or 'hanging'}"}
        return told | {
            "state": rpb.DoneState.Name(done.state).removeprefix("DONE_STATE_").lower(),
            "result": documents.value(done.result) if done.HasField("result") else None,
            "divergence": divergence.sentence(done.divergence),
        }

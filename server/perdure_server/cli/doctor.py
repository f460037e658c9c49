"""`perdure doctor`: what this machine has and lacks, each with the remedy."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
import time
from pathlib import Path

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import builds, connect, containers, documents, options, render, sandboxes
from perdure_server.cli.probes import Finding, Verdict, probe
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError

_HANDLER = "def main(event):\n    return event\n"
SLOW_START_S = 5.0


@click.command()
@options.HOME
@options.JSON
@connect.waits
async def doctor(home: str | None, as_json: bool) -> int:
    """Say what this machine has and lacks, with the remedies. Exit code 1 when something fails."""
    settings = Settings.load()
    findings = list(probe(settings, Path(settings.text("home", home))))
    findings += await sandboxes.look()
    findings.append(await asyncio.to_thread(containers.look, settings))
    findings.append(await _session())
    if as_json:
        documents.emit([dataclasses.asdict(found) | {"verdict": found.verdict.value} for found in findings])
    else:
        render.table(("", "WHAT", "FOUND"), ((f.verdict.value, f.name, f.detail) for f in findings))
        for found in findings:
            if found.remedy:
                render.say(f"{found.name}: {found.remedy}")
    return int(any(found.verdict is Verdict.FAIL for found in findings))


async def _session() -> Finding:
    """Run a session for real: coordinator, host, zygote, fork, journal."""
    began = time.perf_counter()
    try:
        with tempfile.TemporaryDirectory(prefix="perdure-doctor-") as scratch:
            file = Path(scratch) / "code" / "main.py"
            file.parent.mkdir()
            file.write_text(_HANDLER)
            async with connect.embedded(Path(scratch) / "home") as remote:
                state = await _run(remote, file)
    except (PerdureError, OSError) as error:
        return Finding("session", Verdict.FAIL, f"cannot run one: {error}", getattr(error, "help", None) or "")
    took = time.perf_counter() - began
    if state != "completed":
        return Finding("session", Verdict.FAIL, f"a trivial handler ended as {state}", "perdure explain P0604")
    detail = f"coordinator, host and runner work: a trivial session took {render.duration(took)}, all included"
    return Finding("session", Verdict.OK if took < SLOW_START_S else Verdict.WARN, detail)


async def _run(remote: connect.Control, file: Path) -> str:
    source = builds.resolve(f"{file}:main", None)
    built = await builds.send(remote, source, build_only=True)
    started = await remote.start_session(
        control.StartSessionRequest(
            project=built.project, build_id=built.build_id, entry_point=source.entry_point, event=b"null"
        )
    )
    request = control.WatchSessionRequest(
        session_id=started.session_id, until_done=True, without_entries=True, without_logs=True
    )
    state = started.state
    async for update in remote.watch_session(request):
        if update.WhichOneof("update") == "session":
            state = update.session.state
    return state

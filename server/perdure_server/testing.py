"""Behind `perdure.testing`: one session, or a whole check, on a coordinator in memory."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from perdure_proto.v1 import control_pb2 as control

from perdure_server.app.engine import Engine
from perdure_server.app.twins import Twins
from perdure_server.cli import builds, documents, fetch
from perdure_server.cli.laboratory import Kills, Laboratory

SESSION = "test"


@asynccontextmanager
async def _laboratory(
    target: str, event: bytes, signals: Mapping[str, bytes], variables: Mapping[str, str], timeout_s: float
) -> AsyncIterator[Laboratory]:
    source = builds.resolve(target, None, variables)
    kills = Kills()
    with tempfile.TemporaryDirectory(prefix="perdure-test-") as scratch:
        async with Engine.in_memory(Path(scratch), faults=kills.fault) as engine, asyncio.timeout(timeout_s):
            built = await builds.send(engine.control, source, build_only=True)
            template = control.StartSessionRequest(
                project=built.project, build_id=built.build_id, entry_point=source.entry_point, event=event
            )
            yield Laboratory(engine.control, Twins(engine.coordinator), kills, template, signals)


async def run(
    target: str,
    event: bytes,
    signals: Mapping[str, bytes],
    variables: Mapping[str, str],
    timeout_s: float,
    *,
    crash_after: int | None = None,
) -> documents.Document:
    """One session, as the document of `perdure run --json`; its runner is killed after entry `crash_after`."""
    async with _laboratory(target, event, signals, variables, timeout_s) as laboratory:
        await laboratory.run(SESSION, kill_after=crash_after)
        return await _document(laboratory, SESSION)


async def check(
    target: str, event: bytes, signals: Mapping[str, bytes], variables: Mapping[str, str], timeout_s: float
) -> tuple[documents.Document, list[str]]:
    """The undisturbed session's document, and every difference that a crash has made, as a line of text."""
    async with _laboratory(target, event, signals, variables, timeout_s) as laboratory:
        reference = await laboratory.undisturbed()
        found = await laboratory.replayed(reference)
        for after in range(1, max((call.seq for call in reference.calls), default=0) + 1):
            found += await laboratory.killed(after, reference)
        texts = [
            f"{each.difference.file}:{each.difference.line} {each.difference.what} "
            f"(crash after entry {each.after}): expected {each.difference.expected}, found {each.difference.found}"
            for each in found
        ]
        return await _document(laboratory, reference.session_id), texts


async def _document(laboratory: Laboratory, session_id: str) -> documents.Document:
    whole = await fetch.whole(laboratory.remote, session_id)
    return documents.session(whole.session, whole.entries, whole.logs, whole.sides)

"""A schedule of every second with real processes, while the coordinator is killed: each second once."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from perdure_server.store import Store

sys.path.append(str(Path(__file__).parents[2]))

from bench.place import PERDURE
from bench.webhooks import Server

PATIENCE_S = 60
MANIFEST = 'triggers:\n  pulse: {schedule: "*/1 * * * * *", call: main.py:on_pulse}\n'
CODE = "def on_pulse(event):\n    return event.data.scheduled_at\n"


def scheduled(home: Path) -> list[datetime]:
    """The times of all events, in order."""
    store = Store.open(home, read_only=True)
    try:
        rows = store.events_after("clock", "pulse", 0, 10_000)
    finally:
        store.close()
    return [datetime.fromisoformat(json.loads(row.data)["scheduled_at"]) for row in rows]


def completed(home: Path) -> Counter[str]:
    """How many completed sessions each event has."""
    store = Store.open(home, read_only=True)
    try:
        return Counter(record.event_id for record in store.list_sessions("clock", ["completed"], limit=10_000))
    finally:
        store.close()


async def until_events(home: Path, count: int) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while len(scheduled(home)) < count:
            await asyncio.sleep(0.05)


@pytest.mark.slow
async def test_each_second_is_one_session_whatever_dies(tmp_path: Path) -> None:
    project, home = tmp_path / "clock", tmp_path / "home"
    project.mkdir()
    (project / "perdure.yaml").write_text(MANIFEST)
    (project / "main.py").write_text(CODE)
    with (tmp_path / "log").open("w") as log:
        server = Server(home, log)
        server.start()
        try:
            await server.ready()
            deploy = [*PERDURE, "deploy", str(project), "--home", str(home)]
            await asyncio.to_thread(subprocess.run, deploy, check=True, stdout=log, stderr=log)
            await until_events(home, 4)
            server.kill()  # its gateway starts the next one
            before = len(scheduled(home))
            await server.ready()
            await until_events(home, before + 6)
            async with asyncio.timeout(PATIENCE_S):
                while len(completed(home)) < before + 6:
                    await asyncio.sleep(0.1)
        finally:
            server.end()
    times = scheduled(home)
    assert times == [times[0] + timedelta(seconds=n) for n in range(len(times))], "none is missing, none is twice"
    assert set(completed(home).values()) == {1}

"""Forks from everywhere: what is shared is repeated as it was recorded, by code that knows its id and the time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from perdure_proto.v1 import control_pb2 as pb
from perdure_server.app.engine import Engine
from perdure_server.cli import builds, documents, fetch
from perdure_server.cli.fetch import Whole
from perdure_server.cli.laboratory import Kills
from perdure_server.coordinator.starting import LAST_ROWS, fork_session

PROGRAM = '''
import asyncio
import threading
import time

import perdure


@perdure.activity
def note(n, who):
    return [n, who, perdure.session_id(), perdure.activity_key().rpartition("-")[0]]


@perdure.activity
def slow():
    time.sleep(0.4)


def knows(event):
    seen = [perdure.session_id()]
    for n in range(3):
        seen.append(note(n, perdure.session_id()))
    return [*seen, perdure.session_id()]


def hands_on(event):
    """What one lane says of the id another one records."""
    told = []

    def ask():
        told.append(perdure.session_id())
        note("thread", "")

    thread = threading.Thread(target=ask)
    note("first", "")
    thread.start()
    while not told:
        perdure.sleep(0.001)
    note("main", told[0])
    thread.join()
    return told


async def ticks(event):
    """The longer of two timers fires first, because it was set earlier."""

    async def late():
        await asyncio.sleep(0.5)
        return note("late", "")

    async def soon():
        slow()
        await asyncio.sleep(0.3)
        return note("soon", "")

    return [row[0] for row in await asyncio.gather(late(), soon())]
'''


class Home:
    """A coordinator in memory, and a build of the program above."""

    def __init__(self, engine: Engine, kills: Kills, project: str, build_id: str) -> None:
        self.engine = engine
        self.kills = kills
        self._template = pb.StartSessionRequest(project=project, build_id=build_id)

    async def ran(self, handler: str) -> Whole:
        self._template.entry_point = f"main.py:{handler}"
        self._template.event = b"null"
        return await self.ended((await self.engine.control.start_session(self._template)).session_id)

    async def fork(self, session_id: str, seq: int, kill_after: int = 0) -> Whole:
        request = pb.ForkSessionRequest(session_id=session_id, from_seq=seq)
        name = f"{session_id}-{seq}-{kill_after}"
        self.kills.planned[name] = kill_after
        return await self.ended((await fork_session(self.engine.coordinator, request, name)).session_id)

    async def ended(self, session_id: str) -> Whole:
        watching = pb.WatchSessionRequest(session_id=session_id, until_done=True)
        async for _ in self.engine.control.watch_session(watching):
            pass
        whole = await fetch.whole(self.engine.control, session_id)
        assert whole.session.state == "completed", whole.session
        return whole


@pytest.fixture(name="home")
async def home_fixture(tmp_path: Path) -> AsyncIterator[Home]:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "main.py").write_text(PROGRAM)
    kills = Kills()
    async with Engine.in_memory(tmp_path / "scratch", faults=kills.fault) as engine:
        source = builds.resolve(f"{tmp_path / 'p'}:main.py:knows", None, {})
        built = await builds.send(engine.control, source, build_only=True)
        yield Home(engine, kills, built.project, built.build_id)


def result(whole: Whole) -> Any:
    return documents.value(whole.session.result)


def ends(whole: Whole) -> list[int]:
    """Where it can be forked: after the last row of each call."""
    last = {(row.lane, row.ordinal): row.seq for row in whole.entries}
    return [0, *(row.seq for row in whole.entries if row.kind in LAST_ROWS and last[row.lane, row.ordinal] == row.seq)]


def said(whole: Whole, *recorded_by: str) -> list[Any]:
    """What `knows` returns, when these have recorded its calls."""
    own = whole.session.session_id
    notes = [[n, name, name, name] for n, name in enumerate(recorded_by)]
    return [recorded_by[0], *notes, own]


async def test_calls_before_the_fork_keep_the_id_that_was_recorded_and_those_after_have_the_new_one(
    home: Home,
) -> None:
    first = await home.ran("knows")
    a = first.session.session_id
    assert result(first) == said(first, a, a, a)
    for shared, seq in enumerate(ends(first)):
        fork = await home.fork(a, seq)
        b = fork.session.session_id
        assert result(fork) == said(fork, *[a] * shared, *[b] * (3 - shared))
        assert fork.session.forked_from == a
        replayed = await home.engine.control.replay_session(pb.ReplaySessionRequest(session_id=b))
        assert not replayed.done.HasField("divergence"), replayed


async def test_a_fork_whose_runner_dies_goes_on_as_the_same(home: Home) -> None:
    a = (await home.ran("knows")).session.session_id
    for kill_after in (3, 4):  # after the last call's start it may have ended before the kill comes
        fork = await home.fork(a, 2, kill_after)
        b = fork.session.session_id
        assert fork.session.epoch > 1
        assert result(fork) == said(fork, a, b, b)


async def test_a_fork_of_a_fork_knows_all_three(home: Home) -> None:
    a = (await home.ran("knows")).session.session_id
    b = (await home.fork(a, 2)).session.session_id
    fork = await home.fork(b, 4, kill_after=5)
    assert result(fork) == said(fork, a, b, fork.session.session_id)
    fork = await home.fork(b, 2)
    assert result(fork) == said(fork, a, *[fork.session.session_id] * 2)


async def test_an_id_that_one_lane_has_told_another_is_repeated(home: Home) -> None:
    first = await home.ran("hands_on")
    for seq in ends(first):
        await home.fork(first.session.session_id, seq)


async def test_time_goes_on_from_where_the_journal_begins(home: Home) -> None:
    first = await home.ran("ticks")
    order = [row.args_preview for row in first.entries if row.function.endswith("note")]
    assert "late" in order[0], order
    for seq in ends(first):
        await home.fork(first.session.session_id, seq)


async def test_a_session_that_got_another_id_when_it_was_imported_is_replayed(home: Home) -> None:
    first = await home.ran("knows")
    control, name = home.engine.control, pb.GetSessionRequest(session_id=first.session.session_id)
    parcel = [chunk async for chunk in home.engine.control.export_session(name)]

    async def chunks() -> AsyncIterator[Any]:
        for chunk in parcel:
            yield chunk

    copy = await control.import_session(chunks())
    assert copy.session_id != name.session_id
    replayed = await control.replay_session(pb.ReplaySessionRequest(session_id=copy.session_id))
    assert not replayed.done.HasField("divergence"), replayed

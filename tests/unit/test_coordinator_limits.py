"""Limits that the coordinator holds: each ends the session, or refuses a new one, with its name and what was used."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from coordinator_support import FakeHost, Step, World
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.coordinator.settings import Settings
from perdure_server.core import limits
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Rules
from perdure_server.manifest.limits import Limits, parse_limits

Make = Callable[..., Awaitable[World]]
WAITS: list[Step] = [("signal", "go")]


@pytest.fixture(name="make")
async def make_fixture(tmp_path: Path) -> AsyncIterator[Make]:
    worlds: list[World] = []

    async def make(
        program: list[Step],
        suspend_after_s: float = 1e6,
        ceiling: Limits | None = None,
        queue_limit: int = 100,
        **limits: float,
    ) -> World:
        rules = Rules(suspend_after_s=suspend_after_s)
        world = World(
            tmp_path, program, Settings(host_timeout_s=1e9, rules=rules, ceiling=ceiling, queue_limit=queue_limit)
        )
        world.limits = limits
        worlds.append(world)
        await world.begin()
        return world

    yield make
    for world in worlds:
        await world.coordinator.close()
        world.store.close()


def test_how_sizes_and_times_are_told() -> None:
    assert [limits.size(n) for n in (0, 1000, 1536, 512 << 20, 3 << 50)] == [
        "0 B",
        "1000 B",
        "1.5 KiB",
        "512 MiB",
        "3072 TiB",
    ]
    assert limits.seconds(90.5) == "90.5 s"


async def test_too_many_entries(make: Make) -> None:
    world = await make([("activity", f"a{n}") for n in range(30)], journal_entries=50)
    FakeHost(world)
    await world.start("s")
    session = await world.completed("s")
    assert (session.state, session.error.code) == ("failed", "P0601")
    assert session.error.message == "journal_entries: limit 50, used 51"
    assert len(world.kinds("s")) == 50


async def test_a_message_of_many_entries_is_cut_at_the_limit(make: Make) -> None:
    """Markers come by the hundred: what is above the limit is not kept, nor what was printed after that."""
    world = await make([("activity", "a"), ("hang",)], journal_entries=50)
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.kinds("s") == "SA")
    runner = host.runners["s"]
    records = [rpb.Record(no=runner.no, log=jpb.LogLine(ordinal=1, index=0, text="first", stream=jpb.STREAM_STDOUT))]
    for n in range(256):
        marker = jpb.Entry(ordinal=2 + n, kind=jpb.ENTRY_KIND_MARKER, function="m")
        records.append(rpb.Record(no=runner.no + len(records), entry=marker))
    line = jpb.LogLine(ordinal=300, index=0, text="last", stream=jpb.STREAM_STDOUT)
    records.append(rpb.Record(no=runner.no + len(records), log=line))
    host.send(records=rpb.Records(records=records, sync=True, **runner.name))
    session = await world.completed("s")
    assert (session.state, session.error.code) == ("failed", "P0601")
    assert session.error.message == "journal_entries: limit 50, used 51"
    assert world.kinds("s") == "SA" + "M" * 48
    lines = [line.text async for line in world.control.get_logs(cpb.GetLogsRequest(session_id="s"))]
    assert "first" in lines
    assert "last" not in lines


async def test_too_much_output_keeps_what_came_before_and_says_so_in_the_log(make: Make) -> None:
    world = await make([("log", "x" * 900), ("log", "y" * 900), ("log", "z"), ("hang",)], log_bytes=1000)
    FakeHost(world)
    await world.start("s")
    session = await world.completed("s")
    assert (session.state, session.error.code) == ("failed", "P0602")
    assert session.error.message == "log: limit 1000 B, used 1.82 KiB"
    lines = [line.text async for line in world.control.get_logs(cpb.GetLogsRequest(session_id="s"))]
    assert lines == ["x" * 900, "perdure: P0602: log: limit 1000 B, used 1.82 KiB"]


async def test_a_runner_that_takes_too_long(make: Make) -> None:
    world = await make([("activity", "a"), ("hang",)], run_s=60)
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.kinds("s") == "SA")
    world.clock.advance(59.9)
    assert world.state("s") == "running"
    world.clock.advance(0.1)
    session = await world.completed("s")
    assert (session.state, session.error.code) == ("failed", "P0608")
    assert session.error.message == "run_time: limit 60 s, used 60 s"
    assert not host.connection.sessions


async def test_the_time_of_a_suspended_session_does_not_count(make: Make) -> None:
    world = await make([("activity", "a"), ("sleep", 30.0), ("activity", "b")], suspend_after_s=1.0, run_s=10)
    FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "waiting")
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s"))
    world.clock.advance(29.0)
    assert (await world.completed("s")).state == "completed"


async def test_one_that_only_waits_leaves_when_its_time_is_over(make: Make) -> None:
    world = await make(WAITS, run_s=60)
    FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "waiting")
    world.clock.advance(60.0)
    await world.until(lambda: world.suspended("s"))


async def test_sessions_at_once_of_a_deployment(make: Make) -> None:
    world = await make(WAITS, sessions=2)
    host = FakeHost(world, capacity=10)
    for name in "stuv":
        await world.start(name)
    await world.until(lambda: [world.state(name) for name in "st"] == ["waiting", "waiting"])
    assert [world.state(name) for name in "uv"] == ["created", "created"]
    assert len(host.connection.sessions) == 2
    await world.control.stop_session(cpb.StopSessionRequest(session_id="u", force=True))
    await world.control.stop_session(cpb.StopSessionRequest(session_id="s", force=True))
    await world.until(lambda: world.state("v") == "waiting")
    assert len(host.connection.sessions) == 2


async def test_places_are_free_again_when_a_host_is_gone(make: Make) -> None:
    world = await make(WAITS, sessions=1)
    first = FakeHost(world)
    for name in "st":
        await world.start(name)
    await world.until(lambda: world.state("s") == "waiting")
    second = FakeHost(world, "second")
    first.connection.close("cut")
    await world.until(lambda: world.state("t") == "waiting")
    assert [session_id for session_id, _ in second.connection.sessions] == ["t"]
    assert world.suspended("s")


async def test_the_coordinators_queue_holds_those_that_wait_for_their_deployment_too(make: Make) -> None:
    world = await make(WAITS, queue_limit=2, sessions=1)
    FakeHost(world, capacity=10)
    for name in "stu":
        await world.start(name)
    with pytest.raises(PerdureError) as caught:
        await world.start("v")
    assert (caught.value.code, caught.value.message) == ("P0610", "queue: limit 2 of all projects, used 2")


async def test_those_that_were_stopped_fill_no_queue(make: Make) -> None:
    world = await make(WAITS, queue_limit=2, sessions=1)
    FakeHost(world, capacity=10)
    for name in "stu":
        await world.start(name)
    for name in "tu":
        await world.control.stop_session(cpb.StopSessionRequest(session_id=name, force=True))
    await world.start("v")
    await world.control.stop_session(cpb.StopSessionRequest(session_id="s", force=True))
    await world.until(lambda: world.state("v") == "waiting")


async def test_a_place_that_was_kept_for_one_that_is_stopped_goes_to_the_next(make: Make) -> None:
    world = await make(WAITS, sessions=1)
    first = FakeHost(world)
    for name in "stu":
        await world.start(name)
    await world.until(lambda: world.state("s") == "waiting")
    first.connection.close("cut")
    await world.until(lambda: world.suspended("s"))
    assert len(world.coordinator.placement) == 2, "the place is kept for t, and no host is there"
    await world.control.stop_session(cpb.StopSessionRequest(session_id="t", force=True))
    FakeHost(world, "second")
    await world.until(lambda: world.state("u") == "waiting")


async def test_the_queue_of_a_deployment(make: Make) -> None:
    world = await make(WAITS, sessions=1, queue=2)
    FakeHost(world, capacity=10)
    for name in "stu":
        await world.start(name)
    with pytest.raises(PerdureError) as caught:
        await world.start("v")
    assert (caught.value.code, caught.value.message) == ("P0610", "queue: limit 2, used 2")
    assert world.state("v") == "unknown"
    await world.control.stop_session(cpb.StopSessionRequest(session_id="t", force=True))
    await world.start("v")
    await world.control.stop_session(cpb.StopSessionRequest(session_id="s", force=True))
    await world.until(lambda: world.state("u") == "waiting")
    await world.start("w")


async def test_no_project_gets_more_than_the_operators_ceiling(make: Make) -> None:
    ceiling = parse_limits("memory=1GiB,journal_entries=10", "--limits")
    world = await make([("activity", f"a{n}") for n in range(30)], ceiling=ceiling, journal_entries=500)
    host = FakeHost(world)
    await world.start("s")
    session = await world.completed("s")
    assert session.error.message.startswith("journal_entries: limit 10, used 1")
    assert host.runner("s").start.limits.memory_bytes == 1 << 30


async def test_a_session_goes_where_it_can_be_held_to_its_network_policy(make: Make) -> None:
    world = await make(WAITS)
    plain, held = FakeHost(world, "plain"), FakeHost(world, "held", capacity=1)
    plain.connection.hello.isolation, held.connection.hello.isolation = "plain", "namespaces"
    for name in "st":
        await world.start(name)
    await world.until(lambda: world.state("s") == "waiting")
    assert [len(host.connection.sessions) for host in (plain, held)] == [0, 1]
    assert world.state("t") == "created", "it waits for room there"
    held.connection.close("cut")
    await world.start("u")
    await world.until(lambda: world.state("u") == "waiting")
    assert plain.connection.sessions, "where no host can hold it, one has to refuse it"

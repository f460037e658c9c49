"""What a project cannot do to others of its coordinator: hold its threads, fill its memory, its queues and its disk."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import BUILD, FakeHost, FakeRunner, Step, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_server.coordinator.requests import OPERATIONS
from perdure_server.coordinator.requests.operations import Asker
from perdure_server.coordinator.settings import Settings
from perdure_server.coordinator.subscriptions import Subscriptions
from perdure_server.coordinator.triggering.lines import Line, Pending
from perdure_server.coordinator.triggering.live import Group
from perdure_server.coordinator.turns import Turns
from perdure_server.core.incoming import Accepted, Incoming
from perdure_server.manifest.triggers import Concurrency
from perdure_server.store import Deployment, DispatchRow, Mutation, Transaction
from triggering_support import HANG, Triggered, hook

Make = Callable[..., Awaitable[World]]
SOURCES = ("hook", "other")
HOOK: Step = ("request", "event.subscribe", {"source": "hook"})


@pytest.fixture(name="make")
async def make_fixture(tmp_path: Path) -> AsyncIterator[Make]:
    """Makes coordinators with two projects, `loud` and `quiet`."""
    worlds: list[World] = []

    async def make(program: list[Step], **changes: Any) -> World:
        world = World(tmp_path, program, Settings(**{"host_timeout_s": 1e9} | changes))
        worlds.append(world)
        await world.begin()

        def write(tx: Transaction) -> None:
            for project in ("loud", "quiet"):
                tx.put_project(project, 1)
                settings = {"connections": [{"name": name} for name in SOURCES]}
                tx.activate(Deployment(f"dep_{project}", project, BUILD, 1, {}, settings))

        await world.store.commit(Mutation(write))
        return world

    yield make
    for world in worlds:
        await world.coordinator.close()
        world.store.close()


async def send(world: World, project: str, source: str = "hook", data: Any = None) -> Accepted:
    incoming = Incoming(project, source, "manual", "test", json.dumps(data).encode())
    return await world.coordinator.dispatcher.accept(incoming)


async def test_a_project_has_one_thread_at_a_time() -> None:
    turns, gate, order = Turns(2, "test"), threading.Event(), []
    loud = [asyncio.create_task(turns.run("loud", gate.wait)) for _ in range(50)]
    for number in range(3):
        await turns.run("quiet", order.append, number)
    assert (order, any(task.done() for task in loud)) == ([0, 1, 2], False)
    gate.set()
    await asyncio.gather(*loud)


def waits(world: World, session_id: str) -> bool:
    """For an event that has not come yet."""
    kinds, looks = world.kinds(session_id), world.coordinator.subscriptions.looks(session_id)
    return kinds == "WXW" and world.state(session_id) == "waiting" and not looks


async def test_filters_of_one_project_do_not_keep_events_from_another(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    meant = Subscriptions._meant

    def slow(self: Subscriptions, source: tuple[str, str], first: int, last: int) -> list[str]:
        if source[0] == "loud":
            gate.wait()
        return meant(self, source, first, last)

    monkeypatch.setattr(Subscriptions, "_meant", slow)
    world = await make([HOOK, ("event", None, ".1")])
    FakeHost(world)
    try:
        for project in ("loud", "quiet"):
            await world.start(project, project=project)
            await world.until(lambda project=project: waits(world, project))
        for source in SOURCES * 20:
            await send(world, "loud", source)
        await send(world, "quiet")
        await world.completed("quiet")
        assert world.kinds("loud") == "WXW"
    finally:
        gate.set()
    await world.completed("loud")


async def test_what_waits_for_a_session_is_not_in_memory(make: Make) -> None:
    """A parent of ten thousand children, each of which returns a MiB, holds their names."""
    long = json.dumps("x" * 100_000).encode()
    world = await make([("signal", "go"), ("signal", "long"), ("signal", "after")])
    FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.kinds("s") == "W")
    for name, payload in (("long", long), ("after", b"1")):
        await world.control.signal_session(cpb.SignalSessionRequest(session_id="s", name=name, payload=payload))

    def held() -> list[tuple[str, bytes | None]]:
        return [(signal.name, signal.payload) for signal in world.coordinator.actors["s"].signals]

    assert held() == [("long", None), ("after", b"1")]
    await world.restart()
    FakeHost(world)
    await world.until(lambda: "s" in world.coordinator.actors and world.state("s") == "waiting")
    assert held() == [("long", None), ("after", b"1")]
    await world.control.signal_session(cpb.SignalSessionRequest(session_id="s", name="go", payload=b"0"))
    await world.completed("s")
    given = [row.resolution.payload.data for row in world.journal("s") if row.kind == jpb.ENTRY_KIND_RESOLVED]
    assert given == [b"0", long, b"1"]


def codes(world: World, session_id: str) -> list[str]:
    """What the requests of a session were refused with."""
    ends = (row.resolution for row in world.journal(session_id) if row.kind == jpb.ENTRY_KIND_RESOLVED)
    return [json.loads(end.payload.data)["code"] for end in ends if end.kind == jpb.RESOLUTION_KIND_REFUSED]


async def used(world: World, project: str) -> int:
    """Bytes that the project stores."""
    usage = world.coordinator.usage
    usage.check(project)
    await world.until(lambda: project in usage._bytes and project not in usage._counting)
    return usage._bytes[project]


async def test_a_project_stores_no_more_than_its_share(make: Make) -> None:
    """Others go on, after a restart, too; and so does it, when old events are deleted."""
    world = await make([("activity", "work")], project_bytes=2_000, event_retention_s=60.0)
    FakeHost(world)
    assert await used(world, "loud") == 0
    await send(world, "loud", data="x" * 1_900)
    await world.start("s", project="loud")
    assert await used(world, "loud") == world.store.project_bytes("loud") == 1_902 + len(b"null")
    with refused("P0614"):
        await send(world, "loud", data="x" * 100)
    with refused("P0614"):
        await world.start("t", project="loud", event=json.dumps("x" * 100).encode())
    await world.restart()
    FakeHost(world)
    assert await used(world, "loud") > 1_900
    with refused("P0614"):
        await send(world, "loud", data="x" * 100)
    await send(world, "quiet", data="x" * 1_900)
    world.clock.advance(61)
    await world.coordinator.garbage.collect()
    assert await used(world, "loud") == len(b"null")
    await send(world, "loud", data="x" * 1_900)


async def test_sessions_of_a_project_that_is_full_are_refused_what_would_be_stored(make: Make) -> None:
    child: Step = ("request", "session.start", {"entry": "main.py:run", "data": "x"})
    world = await make([("signal", "go"), child, ("request", "outcome", {"value": 1})], project_bytes=2_000)
    FakeHost(world)
    assert await used(world, "loud") == 0
    await world.start("s", project="loud")
    await world.until(lambda: world.kinds("s") == "W")
    await send(world, "loud", data="x" * 1_900)
    world.coordinator.usage.add("loud", 100)
    await world.control.signal_session(cpb.SignalSessionRequest(session_id="s", name="go"))
    await world.completed("s")
    assert codes(world, "s") == ["P0614", "P0614"]


async def test_answers_and_what_children_are_started_with_are_counted(make: Make) -> None:
    world = await make([("signal", "go")])
    assert await used(world, "loud") == 0
    accepted = await send(world, "loud", data="x" * 100)
    await world.start("s", project="loud")
    before = await used(world, "loud")
    record = world.store.load_session("s")
    assert record is not None
    asker = Asker("s", "loud", record.deployment_id, BUILD, accepted.event_id, durable=True, now_us=1, place="main.1")
    asked = {"outcome": {"value": "y" * 300}, "session.start": {"entry": "main.py:run", "data": "z" * 500}}
    for operation, body in asked.items():
        entry = OPERATIONS[operation]
        assert entry.prepare is not None
        ready = await entry.prepare(world.coordinator, asker, body)
        done: Any = await world.store.commit(Mutation(lambda tx: entry.run(tx, asker, ready)))  # noqa: B023
        done.value.then(world.coordinator)
    assert await used(world, "loud") == world.store.project_bytes("loud") == before + 302 + 502


async def test_a_project_takes_only_its_share_of_the_queue(make: Make) -> None:
    """The coordinator has no host yet."""
    world = await make([], queue_limit=200, project_queue=150)
    for number in range(150):
        await world.start(f"l{number}", project="loud")
    with refused("P0610"):
        await world.start("extra", project="loud")
    placement = world.coordinator.placement
    assert (placement.crowded, placement.has_room("loud"), placement.has_room("quiet")) == (True, False, True)
    await world.start("q", project="quiet")
    placed: list[str] = []
    host = FakeHost(world, capacity=1, join=False)
    told = host.tell

    def tell(runner: FakeRunner, kind: str, body: Any) -> None:
        if kind == "history":
            placed.append(runner.start.session_id)
        told(runner, kind, body)

    host.tell = tell  # type: ignore[method-assign]
    host.join()
    await world.completed("q")
    assert placed.index("q") <= 2
    for number in range(150):
        await world.completed(f"l{number}")
    assert placed[-1] == "l149"
    await world.start("again", project="loud")


async def test_events_that_wait_to_start_sessions_have_a_limit(tmp_path: Path) -> None:
    world = Triggered(tmp_path, HANG, Settings(project_pending=3))
    await world.begin()
    try:
        await world.deploy(hook(concurrency=Concurrency(1)), hook("free"))
        first = await world.send()
        (session_id,) = await world.running(1)
        waiting = [await world.send() for _ in range(3)]
        with refused("P0614"):
            await world.send()
        assert len(world.store.events()) == 4
        assert world.dispatch(await world.send("free"), "free").state == "started"
        await world.restart()
        with refused("P0614"):
            await world.send()
        await world.until(lambda: session_id in world.alive())
        world.end(session_id)
        await world.in_state(first, "completed")
        await world.in_state(waiting[0], "started", turning=0.1)
        await world.until(lambda: world.coordinator.dispatcher.waiting._of_project["shop"] == 2)
        assert world.dispatch(await world.send()).state == "pending"
    finally:
        await world.coordinator.close()
        world.store.close()


def test_keys_that_have_to_wait_are_not_asked_again_and_again() -> None:
    """Each event of a stranger may have a key of its own: an event costs the same however many wait."""
    line, asked, now_us = Line(), list[str](), 0
    busy_until = {f"k{n}": 1_000 + n for n in range(2_000)}

    def pending(seq: int, pace: str) -> Pending:
        return Pending(DispatchRow(seq, "hook", "pending"), Group("loud", pace=pace))

    def free_at(head: Pending) -> int:
        asked.append(head.group.pace)
        free_us = busy_until.get(head.group.pace, 0)
        return free_us if free_us > now_us else 0

    for seq, pace in enumerate(busy_until, 1):
        line.append(pending(seq, pace))
        assert line.first(free_at, now_us) is None
    assert len(asked) == 2_000
    line.append(pending(9_999, "new"))
    now_us, order = 1_002, []
    while (found := line.first(free_at, now_us)) is not None:
        order.append(found.group.pace)
        line.take(found)
    assert order == ["k0", "k1", "k2", "new"]
    assert len(asked) == 2_004
    assert line.later[0] == (1_003, "k3")

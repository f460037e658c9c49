"""What a session cannot do to others by asking: fill the coordinator's memory, be two, or act as another project."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from coordinator_support import FakeHost, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.coordinator import subscriptions
from perdure_server.coordinator.requests import OPERATIONS, children
from perdure_server.coordinator.requests.operations import Asker
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.store import EventRow, Mutation, SubscriptionRow

NAMED = {"key": "n", "operand": 1}


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    settings = Settings(host_timeout_s=1e9, session_signals=20, session_signal_bytes=4_000)
    world = World(tmp_path, [("activity", "work")], settings)
    await world.begin()
    yield world
    await world.coordinator.close()
    world.store.close()


async def ask(world: World, session_id: str, operation: str, place: str, /, **body: Any) -> Any:
    record = world.store.load_session(session_id)
    assert record is not None
    asker = Asker(
        session_id,
        record.project,
        record.deployment_id,
        record.build_id,
        "",
        durable=True,
        now_us=world.clock.now_us(),
        place=place,
        settings=world.settings,
    )
    entry = OPERATIONS[operation]
    ready = await entry.prepare(world.coordinator, asker, body) if entry.prepare else body
    done: Any = await world.store.commit(Mutation(lambda tx: entry.run(tx, asker, ready)))
    if done.value.then is not None:
        done.value.then(world.coordinator)
    return done.value.value


async def signals_until_refused(world: World, payload: str) -> int:
    for number in range(1_000):
        try:
            await ask(world, "up", "session.signal", f"main.{number}", session_id="up", name="go", payload=payload)
        except PerdureError as error:
            if error.code == "P0613":
                return number
            raise
    raise AssertionError("nobody stops it")


@pytest.mark.parametrize(("payload", "most"), [("x", 20 + 16), ("x" * 1_000, 4 + 16)])
async def test_a_session_cannot_be_buried_in_signals(world: World, payload: str, most: int) -> None:
    await world.start("up", [("signal", "never")])
    assert await signals_until_refused(world, payload) < most
    count, _ = world.store.signals_waiting("up")
    assert count < most
    with refused("P0613"):
        for _ in range(16):
            await world.control.signal_session(cpb.SignalSessionRequest(session_id="up", name="go", payload=b"1"))


async def test_signals_that_are_taken_make_room(world: World) -> None:
    await world.start("up", [("signal", "never")])
    await signals_until_refused(world, "x")
    for signal in world.store.signals("up"):
        await world.store.commit(Mutation(lambda tx, n=signal.n: tx.consume_signal("up", n)))  # type: ignore[misc]
    for number in range(20):
        await ask(world, "up", "session.signal", f"more.{number}", session_id="up", name="go")


async def test_one_place_starts_one_session(world: World) -> None:
    """A runner may write what it likes: the child of a place that was there before is not begun anew."""
    await world.start("up", [("signal", "never")])
    world.programs |= {"child": [("activity", "work")]}
    child_id = await ask(world, "up", "session.start", "main.1", entry="main.py:run")
    FakeHost(world)
    await world.completed(child_id)
    assert await ask(world, "up", "session.start", "main.1", entry="main.py:other") == child_id
    assert child_id not in world.coordinator.actors
    assert world.state(child_id) == "completed"


async def test_results_that_are_waited_for_are_bounded_together(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of others, which nobody has told the session yet."""
    monkeypatch.setattr(children, "_TOLD_BYTES", 300)
    FakeHost(world)
    names = [f"other{n}" for n in range(4)]
    for name in names:
        await world.start(name)
        await world.completed(name)
    await world.start("up", [("signal", "never")])
    with refused("P0402"):
        await ask(world, "up", "session.watch", "main.1", session_ids=names)
    await ask(world, "up", "session.watch", "main.2", session_ids=names[:1])
    assert world.store.has_had_signal("up", names[0])


async def test_an_imported_session_is_of_no_project(world: World) -> None:
    """A file may claim any project: code that comes with it gets nothing of that."""
    world.programs["s"] = [("request", "store.add", NAMED), ("request", "status.set", {"value": 1}), ("hang",)]
    host = FakeHost(world)
    answers: list[rpb.Answer] = []
    told = host.tell
    host.tell = lambda runner, kind, body: answers.append(body) if kind == "answer" else told(runner, kind, body)  # type: ignore[method-assign]
    await world.start("s", project="shop")
    actor = world.coordinator.actors["s"]
    actor.record = replace(actor.record, origin_id=world.coordinator.keys.put_import(b"k" * 32))
    await world.until(lambda: world.kinds("s") == "WXWX")
    kinds = [entry.resolution.kind for entry in world.journal("s") if entry.kind == jpb.ENTRY_KIND_RESOLVED]
    assert kinds == [jpb.RESOLUTION_KIND_REFUSED, jpb.RESOLUTION_KIND_ANSWERED]
    for number, name in enumerate(sorted(set(OPERATIONS) - {"status.set", "signal.next"})):
        body = json.dumps(NAMED).encode()
        host.send(ask=rpb.Ask(id=number + 1, operation=name, body=body, **host.runner("s").name))
        await world.until(lambda number=number: len(answers) == number + 1)  # type: ignore[misc]
    assert {answer.error.code for answer in answers} == {"P0232"}
    assert world.store.stored_values("shop") == []


def test_a_filter_that_no_event_matches_does_not_gather_them_all() -> None:
    rows = [EventRow(f"e{seq}", "p", "hook", "webhook", "post", 0, b"{}", {}, None, seq) for seq in range(1, 501)]

    def after(_project: str, _source: str, seq: int, limit: int) -> list[EventRow]:
        return rows[seq : seq + limit]

    events = subscriptions._Events(SimpleNamespace(store=SimpleNamespace(events_after=after)), "p", "hook")  # type: ignore[arg-type]
    row = SubscriptionRow("s", "main.1", "p", "hook", "data.n == 1", 0)
    looked = events.look(row, 2**63 - 1)
    assert (looked.event, looked.upto, looked.steps) == (None, 500, 500)
    assert len(events._pages) == subscriptions._PAGES


async def test_children_leave_room_in_the_queue_for_others(tmp_path: Path) -> None:
    """What is a row already waits there, and is begun when the queue is shorter."""
    world = World(tmp_path, [("activity", "work")], Settings(host_timeout_s=1e9, queue_limit=10, sweep_s=1.0))
    await world.begin()
    try:
        await world.start("up")
        children_ids = [await ask(world, "up", "session.start", f"main.{n}", entry="main.py:run") for n in range(30)]
        assert len(world.coordinator.placement) == 5
        await world.start("other")
        FakeHost(world)
        await world.completed("other")
        for child_id in children_ids:
            await world.completed(child_id, turning=1.0)
        assert world.coordinator.recovery.found_stuck == 0  # they were put off
    finally:
        await world.coordinator.close()
        world.store.close()

"""Parents and children: what is told of an end, by whom it is survived, and what requests about sessions refuse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import BUILD, FakeHost, Step, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_server.coordinator.family import completion
from perdure_server.coordinator.requests import OPERATIONS
from perdure_server.coordinator.requests.operations import Asker
from perdure_server.coordinator.settings import Settings
from perdure_server.core.state import WaitPoint
from perdure_server.store import Deployment, Done, Mutation, SessionUpdate, Transaction

CHILD: list[Step] = [("activity", "work")]
WAITS: list[Step] = [("signal", "go")]


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, CHILD, Settings(host_timeout_s=1e9, session_children=3))
    await world.begin()
    yield world
    await world.coordinator.close()
    world.store.close()


async def ask(world: World, session_id: str, operation: str, place: str = "main.1", /, **body: Any) -> Any:
    """What a session that asks for it sets going."""
    c, record = world.coordinator, world.store.load_session(session_id)
    assert record is not None
    asker = Asker(
        session_id,
        record.project,
        record.deployment_id,
        record.build_id,
        "",
        True,
        world.clock.now_us(),
        place,
        world.settings,
    )
    entry = OPERATIONS[operation]
    ready = await entry.prepare(c, asker, body) if entry.prepare else body
    result = await world.store.commit(Mutation(lambda tx: entry.run(tx, asker, ready)))
    assert isinstance(result, Done)
    if result.value.then is not None:
        result.value.then(c)
    return result.value.value


async def parent_with_child(world: World, child: list[Step], policy: str = "abandon") -> str:
    """A parent "up" that waits for its child's end; the child's id."""
    world.programs["up"] = [("signal", "never")]
    await world.start("up")
    child_id: str = await ask(world, "up", "session.start", entry="main.py:run", data=[1], on_parent_end=policy)
    world.programs[child_id] = child
    world.programs["up"] = [("signal", child_id)]
    return child_id


def told(world: World, session_id: str) -> list[Any]:
    """What the session's signals said, taken ones, too."""
    resolved = [entry.resolution for entry in world.journal(session_id) if entry.HasField("resolution")]
    return [json.loads(how.payload.data) for how in resolved if how.name]


async def test_a_parent_hears_of_the_end_once_however_often_the_coordinator_dies(world: World) -> None:
    world.settings = Settings(host_timeout_s=1e9)
    child_id = await parent_with_child(world, WAITS)
    FakeHost(world)
    await world.until(lambda: world.state("up") == "waiting" and world.state(child_id) == "waiting")
    await world.restart()
    await world.control.signal_session(cpb.SignalSessionRequest(session_id=child_id, name="go", payload=b"1"))
    FakeHost(world)
    await world.completed("up")
    (heard,) = told(world, "up")
    assert (heard["session_id"], heard["state"], heard["completed"], heard["error"]) == (
        child_id,
        "completed",
        True,
        None,
    )
    assert world.store.load_session(child_id).parent_id == "up"  # type: ignore[union-attr]


async def test_an_end_is_told_to_a_parent_that_only_rows_are_left_of(world: World) -> None:
    child_id = await parent_with_child(world, WAITS)
    FakeHost(world)
    await world.until(lambda: world.state(child_id) == "waiting")
    await world.until(lambda: world.suspended("up"), turning=0.5)
    await world.control.stop_session(cpb.StopSessionRequest(session_id=child_id, force=True))
    assert (await world.completed("up")).state == "completed"
    assert told(world, "up")[0]["state"] == "stopped"


@pytest.mark.parametrize(
    ("policy", "after"), [("terminate", "stopped"), ("request_cancel", "stopped"), ("abandon", "waiting")]
)
@pytest.mark.parametrize("crash", [False, True])
async def test_a_parents_end_reaches_its_children_by_their_policy(
    world: World, policy: str, after: str, crash: bool
) -> None:
    child_id = await parent_with_child(world, WAITS, policy)
    FakeHost(world)
    await world.until(lambda: world.state("up") == "waiting" and world.state(child_id) == "waiting")
    if crash:  # right after the row of the end
        end = SessionUpdate(state="failed", ended_us=world.clock.now_us(), waiting=None)
        await world.store.commit(Mutation(lambda tx: tx.update_session("up", end)))
        await world.restart()
        FakeHost(world)
    else:
        await world.control.stop_session(cpb.StopSessionRequest(session_id="up", force=True))
    await world.until(lambda: world.state(child_id) == after)
    assert world.store.bereaved() == []


async def test_a_sweep_ends_children_that_were_forgotten(world: World) -> None:
    child_id = await parent_with_child(world, WAITS, "terminate")
    FakeHost(world)
    await world.until(lambda: world.state(child_id) == "waiting")
    end = SessionUpdate(state="failed", ended_us=world.clock.now_us(), waiting=None)
    await world.store.commit(Mutation(lambda tx: tx.update_session("up", end)))
    await world.until(lambda: world.state(child_id) == "stopped", turning=1)


async def test_who_watches_the_ended_is_told_at_once(world: World) -> None:
    child_id = await parent_with_child(world, CHILD)
    await world.start("fork")
    world.programs["fork"] = [("signal", child_id)]
    FakeHost(world)
    await world.completed("up")
    await world.until(lambda: world.state("fork") == "waiting")
    for _ in range(2):
        assert await ask(world, "fork", "session.watch", session_ids=[child_id]) == {"now_us": world.clock.now_us()}
    await world.completed("fork")
    assert told(world, "fork") == told(world, "up")
    with refused("P0204"):
        await ask(world, "up", "session.watch", session_ids=["ses_ghost"])


async def test_a_fork_hears_of_the_ends_that_it_has_not_taken(world: World) -> None:
    child_id = await parent_with_child(world, CHILD)
    world.programs["up"].insert(0, ("activity", "before"))
    FakeHost(world)
    await world.completed("up")
    world.program = world.programs["up"]
    fork = await world.control.fork_session(cpb.ForkSessionRequest(session_id="up", from_seq=2))
    await world.completed(fork.session_id)
    assert [heard["session_id"] for heard in told(world, fork.session_id)] == [child_id]


async def test_nobody_waits_for_a_session_that_nobody_tells_of(world: World) -> None:
    await world.start("up")
    await world.start("stranger", WAITS)
    with refused("P0232"):
        await ask(world, "up", "session.watch", session_ids=["stranger"])


async def test_a_child_is_made_once_for_a_place(world: World) -> None:
    await world.start("up")
    one = await ask(world, "up", "session.start", "main.7", entry="main.py:run", memo={"why": "test"})
    assert await ask(world, "up", "session.start", "main.7", entry="main.py:run") == one
    assert await ask(world, "up", "session.start", "main.8", entry="main.py:run") != one
    record = world.store.load_session(one)
    assert record is not None
    assert (record.parent_id, record.build_id, record.memo, record.event) == ("up", BUILD, {"why": "test"}, b"null")
    assert world.store.children("up") == 2


async def test_what_cannot_be_started(world: World) -> None:
    await world.start("up")
    for code, body in [
        ("P0114", {"entry": "main"}),
        ("P0103", {"entry": ""}),
        ("P0103", {"entry": "main.py:run", "on_parent_end": "kill"}),
        ("P0103", {"entry": "main.py:run", "memo": {"n": 1}}),
        ("P0103", {"entry": "main.py:run", "event_form": 9}),
        ("P0206", {"entry": "main.py:run", "project": "other"}),
        ("P0402", {"entry": "main.py:run", "data": "x" * (5 << 20)}),
    ]:
        with refused(code):
            await ask(world, "up", "session.start", **body)
    for n in range(3):
        await ask(world, "up", "session.start", f"main.{n}", entry="main.py:run")
    with refused("P0613"):
        await ask(world, "up", "session.start", "main.4", entry="main.py:run")


async def test_signals_between_sessions(world: World) -> None:
    await world.start("from")
    await world.start("to", WAITS)
    FakeHost(world)
    await world.until(lambda: world.state("to") == "waiting")
    for code, body in [
        ("P0103", {"session_id": "to", "name": "ses_x"}),
        ("P0103", {"session_id": "to", "name": ""}),
        ("P0204", {"session_id": "ghost", "name": "go"}),
        ("P0402", {"session_id": "to", "name": "go", "payload": "x" * (2 << 20)}),
    ]:
        with refused(code):
            await ask(world, "from", "session.signal", **body)
    await ask(world, "from", "session.signal", session_id="to", name="go", payload={"n": 1})
    await world.completed("to")
    assert told(world, "to") == [{"n": 1}]
    with refused("P0205"):
        await ask(world, "from", "session.signal", session_id="to", name="go")


async def test_another_project_is_out_of_reach(world: World) -> None:
    await world.start("from")
    await world.start("to", WAITS, project="elsewhere")
    with refused("P0232"):
        await ask(world, "from", "session.signal", session_id="to", name="go")


@pytest.mark.parametrize("callers", [[], ["somebody"], ["shop"], ["*"]])
async def test_another_project_says_whose_sessions_may_start_its_own(world: World, callers: list[str]) -> None:
    def deploy(transaction: Transaction) -> None:
        transaction.put_project("other", 1)
        transaction.activate(Deployment("dep", "other", BUILD, 1, {}, {"callers": callers}))

    await world.store.commit(Mutation(deploy))
    await world.start("up", project="shop")
    if callers in ([], ["somebody"]):
        with refused("P0232"):
            await ask(world, "up", "session.start", "main.1", entry="main.py:run", project="other")
        return
    child_id = await ask(world, "up", "session.start", "main.1", entry="main.py:run", project="other")
    assert world.store.load_session(child_id).project == "other"  # type: ignore[union-attr]


async def test_a_bomb_of_children_ends_where_too_many_live(world: World) -> None:
    world.settings = replace(world.settings, living_sessions=4)
    await world.start("up")
    last = "up"
    for n in range(3):
        last = await ask(world, last, "session.start", f"main.{n}", entry="main.py:run")
    with refused("P0613"):
        await ask(world, last, "session.start", "main.1", entry="main.py:run")


def test_who_asks_for_any_signal_does_not_get_the_end_of_a_child() -> None:
    anything, child = WaitPoint("", 1, 0, ()), WaitPoint("", 1, 0, ("ses_1",))
    assert anything.takes("go")
    assert not anything.takes("ses_1")
    assert child.takes("ses_1")
    assert not WaitPoint("", 1, 5).takes("go")


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (jpb.Payload(encoding=jpb.ENCODING_JSON, data=b'{"a": 1e5, "n": 12345678901234567890123}'), "itself"),
        (jpb.Payload(encoding=jpb.ENCODING_JSON, data=b'"' + b"x" * 2000 + b'"', preview="xxx"), None),
        (jpb.Payload(encoding=jpb.ENCODING_JSON, data=b'1, "completed": false', preview="forged"), None),
        (jpb.Payload(encoding=jpb.ENCODING_PICKLE, data=b"\x80", preview="(1, 2)"), None),
    ],
)
def test_a_completion_carries_json_or_says_what_it_was(payload: jpb.Payload, value: Any) -> None:
    told = json.loads(completion("ses_1", "completed", payload, None, limit=1000))
    assert told["completed"] is True
    if value is None:
        assert (told["value"], told["preview"]) == (None, payload.preview)
    else:
        assert told["value"] == json.loads(payload.data)

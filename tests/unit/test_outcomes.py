"""Answers to an event: who may give them, how many, and how they are followed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import FakeHost, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_server.coordinator.requests import OPERATIONS
from perdure_server.coordinator.requests.operations import Asker
from perdure_server.coordinator.settings import Settings
from perdure_server.coordinator.subscriptions import Heard
from perdure_server.store import Done, Mutation, SessionRecord
from perdure_server.store.events import EventRow
from perdure_server.store.subscriptions import SubscriptionRow

ASKER = Asker("s", "p", "", "b" * 64, "evt_1", durable=True, now_us=5)
EVENT = EventRow("evt_1", "p", "hook", "webhook", "post", 1, b"{}")


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    settings = Settings(host_timeout_s=1e9, outcome_bytes=40, event_outcomes=3, status_bytes=20)
    world = World(tmp_path, [("signal", "go")], settings)
    await world.begin()
    for event in (EVENT, replace(EVENT, event_id="evt_2"), replace(EVENT, event_id="evt_3", project="other")):
        await world.store.commit(Mutation(lambda tx, event=event: tx.insert_event(event)))
    yield world
    await world.coordinator.close()
    world.store.close()


async def tell(world: World, value: Any, asker: Asker = ASKER, operation: str = "outcome", **body: Any) -> Any:
    asker, asked = replace(asker, settings=world.settings), {"value": value, **body}
    result = await world.store.commit(Mutation(lambda tx: OPERATIONS[operation].run(tx, asker, asked)))
    assert isinstance(result, Done)
    if result.value.then is not None:
        result.value.then(world.coordinator)
    return result.value.value


async def session_of(world: World, event_id: str) -> None:
    record = SessionRecord("s", "p", "b" * 64, "", "main.py:run", b"{}", 1, 7, event_id=event_id)
    await world.store.commit(Mutation(lambda tx: tx.insert_session(record)))
    world.coordinator.adopt(record)


async def followed(world: World, event_id: str = "evt_1") -> list[Any]:
    return [value async for value in world.coordinator.outcomes.follow(event_id)]


async def test_who_follows_gets_every_piece_and_the_last_one_ends_it(world: World) -> None:
    await session_of(world, "evt_1")
    following = asyncio.create_task(followed(world))
    for piece in ({"body": "a", "more": True}, {"body": "b", "more": True}, {"body": "c"}):
        await tell(world, piece)
        await asyncio.sleep(0)
    assert [piece["body"] for piece in await following] == ["a", "b", "c"]
    assert len(await followed(world)) == 3


async def test_who_follows_is_told_when_nobody_is_left_to_answer(world: World) -> None:
    await session_of(world, "evt_1")
    following = asyncio.create_task(followed(world))
    FakeHost(world)
    await world.until(lambda: world.state("s") == "waiting")
    assert not following.done()
    await world.control.signal_session(_go())
    async with asyncio.timeout(60):
        assert await following == []


async def test_an_answer_just_before_the_end_is_not_missed(world: World) -> None:
    await session_of(world, "evt_1")
    await tell(world, {"body": "a", "more": True})
    await tell(world, {"body": "b", "more": True})
    FakeHost(world)
    await world.until(lambda: world.state("s") == "waiting")
    await world.control.signal_session(_go())
    await world.completed("s")
    assert [piece["body"] for piece in await followed(world)] == ["a", "b"]


async def test_listeners_may_still_answer_if_the_event_is_meant_for_them(world: World) -> None:
    """Who listens to the source for other events keeps nobody waiting."""
    await session_of(world, "")
    other = SubscriptionRow("s", "main.1", "p", "hook", "data.n == 1", 0)
    meant = SubscriptionRow("s", "main.2", "p", "hook", "event_type == 'post'", 0)
    await world.store.commit(Mutation(lambda tx: tx.put_subscription(other)))
    async with asyncio.timeout(60):
        assert await followed(world) == []
    await world.store.commit(Mutation(lambda tx: tx.put_subscription(meant)))
    assert await world.coordinator.subscriptions.listened("evt_1", Heard())
    assert not await world.coordinator.subscriptions.listened("evt_3", Heard())
    following = asyncio.create_task(followed(world))
    await tell(world, {"body": "a", "more": True})
    await world.store.commit(Mutation(lambda tx: tx.delete_subscription("s", "main.2")))
    async with asyncio.timeout(60):
        assert [piece["body"] for piece in await following] == ["a"]


async def test_who_had_the_event_may_answer_as_long_as_it_lives(world: World) -> None:
    """Its subscription may be over, and nobody need have looked while there was one."""
    await session_of(world, "")
    row = SubscriptionRow("s", "main.1", "p", "hook", "", 0)
    await world.store.commit(Mutation(lambda tx: tx.put_subscription(row)))
    assert (await world.store.commit(Mutation(lambda tx: tx.deliver("s", "main.1", 1, 9)))).value
    await world.store.commit(Mutation(lambda tx: tx.delete_subscription("s", "main.1")))
    listened = world.coordinator.subscriptions.listened
    assert (await listened("evt_1", Heard()), await listened("evt_2", Heard())) == (True, False)
    following = asyncio.create_task(followed(world))
    await tell(world, {"body": "a", "more": True}, replace(ASKER, event_id=""), event_id="evt_1")
    FakeHost(world)
    await world.until(lambda: world.state("s") == "waiting")
    assert not following.done()
    await world.control.signal_session(_go())
    await world.completed("s")
    assert not await listened("evt_1", Heard())
    async with asyncio.timeout(60):
        assert [piece["body"] for piece in await following] == ["a"]


async def test_a_session_answers_events_of_its_project_only(world: World) -> None:
    assert await tell(world, 1, event_id="evt_2") == 1
    assert await tell(world, 2) == 1
    assert await tell(world, 3, replace(ASKER, event_id="")) == 0
    for event_id in ("evt_3", "evt_ghost"):
        with refused("P0222"):
            await tell(world, 1, event_id=event_id)


async def test_answers_have_limits(world: World) -> None:
    with refused("P0402"):
        await tell(world, "x" * 40)
    for number in (1, 2, 3):
        assert await tell(world, number) == number
    with refused("P0613"):
        await tell(world, 4)
    assert [json.loads(row.value) for row in world.store.outcomes("evt_1")] == [1, 2, 3]


async def test_the_last_status_is_what_people_see(world: World) -> None:
    await session_of(world, "")
    await tell(world, {"step": 1}, operation="status.set")
    await tell(world, {"step": 2}, operation="status.set")
    assert (await world.session("s")).status == b'{"step":2}'
    with refused("P0402"):
        await tell(world, "x" * 20, operation="status.set")


def _go() -> cpb.SignalSessionRequest:
    return cpb.SignalSessionRequest(session_id="s", name="go")

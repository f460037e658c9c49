"""A coordinator that takes up many sessions answers before all of them are in memory, and forgets none."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from coordinator_support import FakeHost, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_server.coordinator import recovery
from perdure_server.coordinator.settings import Settings

IDS = [f"s{number}" for number in range(23)]


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(recovery, "_BEFORE_DOORS", 3)
    monkeypatch.setattr(recovery, "_TOGETHER", 4)
    world = World(tmp_path, [("activity", "a"), ("signal", "go")], Settings(host_timeout_s=1e9))
    await world.begin()
    yield world
    await world.coordinator.close()
    world.store.close()


async def test_all_are_taken_up_and_none_is_found_stuck(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for session_id in IDS:
        await world.start(session_id)
    in_memory: list[int] = []
    watch_over = recovery.Recovery.watch_over

    def count(self: recovery.Recovery) -> None:
        in_memory.append(len(world.coordinator.actors))
        watch_over(self)

    monkeypatch.setattr(recovery.Recovery, "watch_over", count)
    await world.restart()
    assert in_memory == [3]  # before it answers; the others come while it does
    await world.until(lambda: len(world.coordinator.actors) == len(IDS))
    FakeHost(world)
    for session_id in IDS:
        await world.control.signal_session(cpb.SignalSessionRequest(session_id=session_id, name="go", payload=b"1"))
    for session_id in IDS:
        assert (await world.completed(session_id)).state == "completed"
    assert world.effects["a"] == len(IDS)
    assert world.coordinator.recovery.found_stuck == 0


async def test_who_asks_for_one_meanwhile_gets_it(world: World) -> None:
    for session_id in IDS:
        await world.start(session_id)
    await world.restart()
    request = cpb.StopSessionRequest(session_id=IDS[-1], force=True)
    await world.control.stop_session(request)
    await world.until(lambda: world.state(IDS[-1]) == "stopped")
    await world.until(lambda: len(world.coordinator.actors) == len(IDS) - 1)


async def test_one_that_cannot_be_read_is_said_to_be_so_to_who_asks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from perdure_server.core.errors import PerdureError

    await world.start("s0")
    await world.restart()
    world.coordinator.actors["s0"].drop()

    def damaged(_: str) -> None:
        raise PerdureError("P0209", "it is damaged")

    monkeypatch.setattr(world.coordinator.loading, "_read", damaged)
    ahead = asyncio.create_task(world.coordinator.loading.ahead(["s0"]))
    await asyncio.sleep(0)
    asks = asyncio.create_task(world.coordinator.loading.actor("s0"))
    with refused("P0209"):
        await ahead
    with refused("P0209"):
        await asks

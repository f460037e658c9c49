"""What hosts are told to get ready for, and what becomes of their answers."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import FakeHost, World
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.app.logs import OneLine
from perdure_server.coordinator import preparing
from perdure_server.coordinator.deploying import make_live
from perdure_server.coordinator.starting import UNDEPLOYED
from perdure_server.store import Build, Deployment

LOCK = "e" * 64


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, [("hang",)])
    await world.begin()
    yield world
    await world.coordinator.close()


async def deploy(world: World, project: str, number: int = 1, **manifest: Any) -> str:
    """Make a deployment live; its id."""
    digest = world.blobs.put(f"{project} {number}".encode())
    settings = {"environment": LOCK, **manifest}
    world.clock.advance(1)
    now_us = world.clock.now_us()
    deployment = Deployment(f"{project}{number}", project, digest, now_us, {}, settings)
    await make_live(world.coordinator, deployment, Build(digest, 1, now_us, [], settings))
    await world.settled()
    return deployment.deployment_id


async def join(world: World, host_id: str = "h1") -> FakeHost:
    """A host that has been told what it is to hear when it dials in."""
    host = FakeHost(world, host_id)
    await world.settled()
    return host


def told(host: FakeHost) -> list[str]:
    return [prepare.deployment_id for prepare in host.prepares]


async def answer(world: World, host: FakeHost, deployment_id: str, **fault: str) -> None:
    host.send(prepared=rpb.Prepared(deployment_id=deployment_id, **fault))
    await world.settled()


async def test_a_deployment_is_told_to_the_hosts_that_its_sessions_can_get(world: World) -> None:
    one, two, leaves = [await join(world, name) for name in ("one", "two", "leaves")]
    leaves.send(leaving=rpb.Leaving(reason="it ends"))
    await world.settled()
    await deploy(world, "shop", python="3.11")
    await deploy(world, "other", python="3.99")
    await deploy(world, "shop" + UNDEPLOYED)
    (told_one,), (told_two,) = one.prepares, two.prepares
    assert told_one == told_two
    assert told_one.deployment_id == "shop1"
    assert (told_one.python, told_one.environment) == ("3.11", LOCK)
    assert told_one.hash_seed == world.coordinator.hash_seed
    assert world.blobs.root.joinpath(told_one.build[:2], told_one.build).exists()
    assert leaves.prepares == []


async def test_not_more_hosts_than_its_sessions_get_first(world: World) -> None:
    hosts = [await join(world, f"h{number:02}") for number in range(preparing.HOSTS + 1)]
    await deploy(world, "shop")
    assert [len(host.prepares) for host in hosts] == [1] * preparing.HOSTS + [0]


async def test_a_project_that_deploys_again_and_again_has_a_turn_in_each_round(world: World) -> None:
    host = await join(world)
    for number in range(1, 5):
        await deploy(world, "loop", number)
    await deploy(world, "shop")
    await deploy(world, "loop", 5)
    assert told(host) == ["loop1"]
    await answer(world, host, "loop1")
    await deploy(world, "loop", 6)
    assert told(host) == ["loop1", "loop5"]
    await answer(world, host, "loop5")
    await answer(world, host, "shop1")
    await answer(world, host, "loop6")
    assert told(host) == ["loop1", "loop5", "shop1", "loop6"]


async def test_the_newest_counts_in_whatever_order_builds_are_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = await join(world)
    read, goes_on = world.store.build, threading.Event()
    old = world.blobs.put(b"shop 1")

    def slow(digest: str) -> Build | None:
        if digest == old:
            goes_on.wait(60)
        return read(digest)

    monkeypatch.setattr(world.store, "build", slow)
    for number, digest in enumerate((old, world.blobs.put(b"shop 2")), 1):
        deployment = Deployment(f"shop{number}", "shop", digest, number, {}, {})
        await make_live(world.coordinator, deployment, Build(digest, 1, 1, [], {}))
    await world.until(lambda: host.prepares)
    goes_on.set()
    await world.settled()
    await answer(world, host, "shop2")
    assert told(host) == ["shop2"]


async def test_a_rollback_is_a_deployment(world: World) -> None:
    host = await join(world)
    for number in (1, 2):
        await answer(world, host, await deploy(world, "shop", number))
    rolled = await world.control.roll_back(cpb.RollBackRequest(project="shop"))
    await world.settled()
    assert told(host) == ["shop1", "shop2", rolled.deployment_id]
    assert host.prepares[2].build == host.prepares[0].build


async def test_only_so_many_wait_for_a_host(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "WAITING", 2)
    host = await join(world)
    for project in ("a", "b", "c", "d"):
        await deploy(world, project)
    for deployment_id in ("a1", "c1", "d1"):
        assert told(host)[-1] == deployment_id
        await answer(world, host, deployment_id)
    assert told(host) == ["a1", "c1", "d1"]


async def test_a_host_that_dials_in_gets_ready_for_what_was_deployed_last(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "PROJECTS", 2)
    for project in ("a", "b", "c"):
        await deploy(world, project)
    await deploy(world, "b" + UNDEPLOYED)
    await world.control.deactivate(cpb.DeactivateRequest(project="c"))
    await world.restart()
    host = await join(world)
    assert told(host) == ["b1"]
    assert host.connection is not None
    world.coordinator.disconnect(host.connection, "it died")
    host.join()  # it asks for everything anew, and what the old link was told counts no more
    await world.settled()
    await answer(world, host, "b1")
    assert told(host) == ["b1", "b1", "a1"]
    assert len(world.coordinator.preparing._lines) == 1


async def test_a_host_that_drains_is_told_nothing_more(world: World) -> None:
    host = await join(world)
    for project in ("a", "b"):
        await deploy(world, project)
    host.send(leaving=rpb.Leaving(reason="it ends"))
    await world.settled()
    await answer(world, host, "a1")
    assert told(host) == ["a1"]


async def test_what_went_wrong_is_logged_once_in_one_short_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    host = await join(world)
    await deploy(world, "shop")
    said = "cannot be installed:\nCRITICAL forged\x1b[2J " + "x" * 100_000
    await answer(world, host, "another", message="nobody asked")
    for _ in range(2):
        await answer(world, host, "shop1", code="P0304" * 100, message=said)
    (record,) = [each for each in caplog.records if each.levelno >= logging.WARNING]
    line = OneLine("%(levelname)s %(message)s").format(record)
    assert line.startswith(
        "WARNING host h1 cannot get ready for project shop: P0304P03 cannot be installed:\\nCRITICAL"
    )
    assert len(line) < 2_200
    assert line.isprintable()


async def test_a_coordinator_that_has_sessions_at_once_asks_for_nothing(tmp_path: Path) -> None:
    world = World(tmp_path, [("hang",)])
    world.settings = replace(world.settings, prepare=False)
    world.coordinator = world._coordinator()
    await world.begin()
    host = await join(world)
    await deploy(world, "shop")
    await answer(world, host, "shop1")
    assert told(host) == []
    await world.coordinator.close()

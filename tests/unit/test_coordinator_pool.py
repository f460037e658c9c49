"""A coordinator with several hosts: who gets a session, how hosts are emptied, how runners are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import FakeHost, Step, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_proto.v1.runner_pb2 import FromHost, ToHost
from perdure_server.coordinator import history
from perdure_server.coordinator.settings import Settings
from perdure_server.core.state import Rules
from perdure_server.store import Build, Mutation

Make = Callable[..., Awaitable[World]]


@pytest.fixture(name="make")
async def make_fixture(tmp_path: Path) -> AsyncIterator[Make]:
    worlds: list[World] = []

    async def make(program: list[Step], **settings: Any) -> World:
        rules = Rules(suspend_after_s=1e6, backoff_s=1e6)  # a crash that counted would never be tried again
        world = World(tmp_path / str(len(worlds)), program, Settings(host_timeout_s=1e9, rules=rules, **settings))
        worlds.append(world)
        await world.begin()
        return world

    yield make
    for world in worlds:
        await world.coordinator.close()
        world.store.close()


class PoolHost(FakeHost):
    """Says when a runner that it killed is gone, what it is asked about health, and has labels."""

    labels: dict[str, str]

    def __init__(self, world: World, host_id: str, answers: bool = True, join: bool = True, **labels: str) -> None:
        self.labels, self.answers = labels, answers
        super().__init__(world, host_id, join=join)

    def join(self) -> None:
        self.runners.clear()
        self.connection = self.world.coordinator.connect(self)
        hello = rpb.HostHello(
            protocol_version=1, host_id=self.host_id, capacity=10, pythons=["3.11"], labels=self.labels, pid=7
        )
        self.connection.receive(FromHost(hello=hello))

    def receive(self, message: ToHost) -> None:
        match message.WhichOneof("message"):
            case "drain":
                self.received.append("drain")
            case "ask_runner_health" if self.answers:
                asked = message.ask_runner_health
                health = rpb.RunnerHealth(session_id=asked.session_id, epoch=asked.epoch, state="running", pid=9)
                self.send(runner_health=health)
            case "ask_runner_health":
                pass
            case _:
                before = len(self.killed)
                super().receive(message)
                for session_id, epoch in self.killed[before:]:
                    self.send(lost=rpb.Lost(session_id=session_id, epoch=epoch, reason="killed", exit_code=-9))


async def drain(world: World, host_id: str, *, move: bool = False) -> int:
    return (await world.control.drain_host(cpb.DrainHostRequest(host_id=host_id, move=move))).sessions


async def start_on_gpu(world: World, session_id: str) -> None:
    """A session of a project whose manifest asks for a label."""
    build = Build("c" * 64, 1, 1, [], {"runs_on": {"gpu": "yes"}})
    await world.store.commit(Mutation(lambda transaction: transaction.put_build(build)))
    request = cpb.StartSessionRequest(session_id=session_id, build_id=build.digest, entry_point="main.py:run")
    await world.control.start_session(request)


async def states(world: World) -> dict[str, str]:
    hosts = (await world.control.list_hosts(cpb.ListHostsRequest())).hosts
    return {host.host_id: host.state for host in hosts}


async def test_a_draining_host_gets_nothing_and_keeps_what_it_has(make: Make) -> None:
    world = await make([("hang",)])
    first, second = PoolHost(world, "first"), PoolHost(world, "second")
    await world.start("a")
    await world.until(lambda: "a" in first.runners)
    assert await drain(world, "first") == 1
    assert await states(world) == {"first": "draining", "second": "ready"}
    assert first.received[-1] == "drain"
    for name in "bcd":
        await world.start(name)
    await world.until(lambda: second.runners.keys() >= {"b", "c", "d"})
    assert first.runners.keys() == {"a"}
    assert world.state("a") == "running"
    assert not first.killed
    with refused("P0218"):
        await drain(world, "frist")


async def test_sessions_of_a_drained_host_move_by_replay_and_nobody_counts_that(make: Make) -> None:
    world = await make([("activity", "once"), ("hang",)])
    first, second = PoolHost(world, "first"), PoolHost(world, "second")
    await drain(world, "second")
    for name in "ab":
        await world.start(name)
        await world.until(lambda name=name: world.kinds(name) == "SA")
    second.connection.close("to be ready again")
    second.join()
    assert await drain(world, "first", move=True) == 2
    await world.until(lambda: second.runners.keys() == {"a", "b"} and world.state("a") == world.state("b") == "running")
    assert world.effects["once"] == 2, "one for each session"
    assert [world.coordinator.actors[name].state.crashes for name in "ab"] == [0, 0]
    assert sorted(first.killed) == [("a", 1), ("b", 1)]


async def test_a_session_is_placed_anew_only_when_its_old_runner_is_gone(make: Make) -> None:
    world = await make([("hang",)])
    first, second = FakeHost(world, "first"), PoolHost(world, "second")  # the first one does not say Lost
    await drain(world, "second")
    await world.start("a")
    await world.until(lambda: world.state("a") == "running")
    second.connection.close("to be ready again")
    second.join()
    world.coordinator.pool.leaving(first.connection, "told to end")
    await world.until(lambda: first.killed == [("a", 1)])
    assert not second.runners, "its runner may still live"
    first.send(lost=rpb.Lost(session_id="a", epoch=1, reason="killed"))
    await world.until(lambda: "a" in second.runners)
    assert second.runner("a").start.epoch == 2


async def test_a_session_that_is_on_its_way_to_a_host_turns_round_when_that_is_emptied(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make([("hang",)])
    ready, message = asyncio.Event(), history.start_message

    async def late(*arguments: Any) -> rpb.Start:
        await ready.wait()
        return await message(*arguments)

    monkeypatch.setattr(history, "start_message", late)
    first = PoolHost(world, "first")
    await world.start("a")
    await world.until(lambda: first.connection.sessions)
    await drain(world, "first", move=True)
    second = PoolHost(world, "second")
    ready.set()
    await world.until(lambda: "a" in second.runners)
    assert not first.runners
    assert not first.connection.sessions


async def test_a_host_that_leaves_gives_its_sessions_away(make: Make) -> None:
    world = await make([("activity", "once"), ("hang",)])
    first = PoolHost(world, "first")
    await world.start("a")
    await world.start("b", not_durable=True)
    await world.until(lambda: first.runners.keys() == {"a", "b"} and world.effects["once"] == 2)
    first.send(leaving=rpb.Leaving(reason="SIGTERM"))
    await world.until(lambda: first.killed)
    second = PoolHost(world, "second")
    await world.until(lambda: "a" in second.runners)
    assert await states(world) == {"first": "draining", "second": "ready"}
    assert world.state("b") == "running", "without a journal there is nothing to move"
    assert world.effects["once"] == 2
    first.connection.close("it has ended")
    assert (await world.completed("b")).state == "failed"


async def test_a_limit_reached_on_a_leaving_host_is_still_the_session_s_own_fault(make: Make) -> None:
    world = await make([("hang",)])
    host = FakeHost(world, "first")
    await world.start("a")
    await world.until(lambda: world.state("a") == "running")
    world.coordinator.pool.leaving(host.connection, "told to end")
    host.runner("a").die("memory: limit 1 MiB", code="P0603")
    assert (await world.completed("a")).error.code == "P0603"


async def test_labels_load_and_warmth_choose_the_host(make: Make) -> None:
    world = await make([("hang",)])
    plain, gpu = PoolHost(world, "a-plain"), PoolHost(world, "b-gpu", gpu="yes")
    gpu.send(heartbeat=rpb.Heartbeat(health=rpb.HostHealth(load=3, memory_available_bytes=1 << 40, disk_free_bytes=9)))
    await world.until(lambda: gpu.received[-1] == "heartbeat")
    await world.start("p")
    await start_on_gpu(world, "g")
    await world.until(lambda: plain.runners.keys() == {"p"} and gpu.runners.keys() == {"g"})
    host = next(h for h in (await world.control.list_hosts(cpb.ListHostsRequest())).hosts if h.host_id == "b-gpu")
    assert (host.health.load, host.labels["gpu"], host.pid, host.sessions) == (3.0, "yes", 7, 1)


async def test_a_host_that_has_the_environment_is_worth_a_detour(make: Make) -> None:
    world = await make([("hang",)])
    build = Build("d" * 64, 1, 1, [], {"environment": "e" * 64})
    await world.store.commit(Mutation(lambda transaction: transaction.put_build(build)))
    cold, warm = PoolHost(world, "a-cold"), PoolHost(world, "b-warm")
    room = {"memory_available_bytes": 1 << 40, "disk_free_bytes": 1 << 40}
    warm.send(heartbeat=rpb.Heartbeat(health=rpb.HostHealth(environments=["e" * 64], **room)))
    await world.until(lambda: warm.received[-1] == "heartbeat")
    for name in "st":
        request = cpb.StartSessionRequest(session_id=name, build_id=build.digest, entry_point="main.py:run")
        await world.control.start_session(request)
    await world.until(lambda: warm.runners.keys() == {"s", "t"})
    await world.start("p")
    await world.until(lambda: cold.runners.keys() == {"p"})


async def test_a_session_waits_for_a_host_with_its_labels(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    world = await make([("hang",)])
    plain = PoolHost(world, "plain")
    await start_on_gpu(world, "g")
    await world.start("p")
    await world.until(lambda: "p" in plain.runners)
    assert world.state("g") == "created"
    assert "sessions wait for a host with gpu='yes'" in caplog.messages
    gpu = PoolHost(world, "gpu", gpu="yes")
    await world.until(lambda: "g" in gpu.runners)


async def test_an_only_host_s_labels_mean_nothing(make: Make) -> None:
    world = await make([("hang",)], hosts_are_all=True)
    host = PoolHost(world, "embedded")
    await start_on_gpu(world, "g")
    await world.until(lambda: "g" in host.runners)


async def test_how_a_runner_is(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    world = await make([("hang",)])
    host = PoolHost(world, "first")
    await world.start("a")
    await world.until(lambda: world.state("a") == "running")
    asked = cpb.GetRunnerHealthRequest(session_id="a")
    both = await asyncio.gather(world.control.get_runner_health(asked), world.control.get_runner_health(asked))
    assert {(health.pid, health.state) for health in both} == {(9, "running")}
    host.answers = False
    gone = asyncio.ensure_future(world.control.get_runner_health(asked))
    await world.until(lambda: world.coordinator.pool.asked)
    gone.cancel()
    await world.until(lambda: not world.coordinator.pool.asked)
    asking = asyncio.ensure_future(world.control.get_runner_health(asked))
    await world.until(lambda: world.coordinator.pool.asked)
    host.connection.close("gone")
    assert (await asking).state == "", "it has no runner any more"
    with refused("P0204"):
        await world.control.get_runner_health(cpb.GetRunnerHealthRequest(session_id="nobody"))
    silent = PoolHost(world, "silent", answers=False)
    await world.until(lambda: "a" in silent.runners and world.state("a") == "running")
    monkeypatch.setattr("perdure_server.coordinator.pool.HEALTH_TIMEOUT_S", 0.01)
    with refused("P0213"):
        await world.control.get_runner_health(asked)


async def test_a_host_that_fails_over_its_welcome_is_removed_and_its_error_told(make: Make) -> None:
    """The link of an embedded host is a call: what the host raises comes out where it said hello."""

    class Unwell(PoolHost):
        def receive(self, message: ToHost) -> None:
            raise OSError("no health today")

    world = await make([("activity", "a")])
    host = Unwell(world, "unwell", join=False)
    with pytest.raises(OSError, match="no health today"):
        host.join()
    assert host.connection is not None
    host.connection.close("the engine is closing")
    assert world.coordinator.hosts.get("unwell") is None

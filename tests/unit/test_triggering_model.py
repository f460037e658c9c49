"""Limits of triggers against what they promise, through random events, ends, failures, deaths and times."""

from __future__ import annotations

import json
import random
from collections import defaultdict
from pathlib import Path

import pytest
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.manifest.triggers import Concurrency, Rate, Trigger
from triggering_support import HANG, PROJECT, Triggered, hook

LIMIT = 2
PER_S = 30
LEAP_S = 0.5  # time passes so much at once


class Play:
    """Does things at random, and looks after each whether the promises hold."""

    def __init__(self, world: Triggered, chance: random.Random, *, may_fail: bool) -> None:
        self.world = world
        self.chance = chance
        self.may_fail = may_fail
        self.sent: list[cpb.Event] = []

    async def step(self) -> None:
        do = self.chance.choice([self.send, self.send, self.send, self.end, self.end, self.pass_time, self.die])
        await do()

    async def send(self) -> None:
        key = self.chance.choice("ab")
        mark = self.chance.choice(["", "", f"d{self.chance.randrange(5)}"])
        self.sent.append(await self.world.send(data=json.dumps({"k": key}).encode(), dedup=mark))
        await self.world.settled()

    async def end(self) -> None:
        if alive := self.world.alive():
            failed = self.may_fail and self.chance.random() < 0.3
            session_id = self.chance.choice(alive)
            self.world.end(session_id, rpb.DONE_STATE_FAILED if failed else rpb.DONE_STATE_COMPLETED)
        await self.world.settled()

    async def pass_time(self) -> None:
        for _ in range(self.chance.choice([1, 6, 20])):
            self.world.clock.advance(LEAP_S)
            await self.world.settled()

    async def die(self) -> None:
        if self.chance.random() < 0.3:
            await self.world.restart()
            await self.world.settled()

    def events(self) -> dict[str, cpb.Event]:
        return {event.event_id: event for event in self.sent}

    async def finish(self, trigger: str) -> None:
        """End all that runs, until nothing is left to do."""
        open_states = {"pending", "started"}
        for _ in range(2000):
            if not any(self.world.dispatch(event, trigger).state in open_states for event in self.sent):
                return
            await self.end()
            await self.pass_time()
        raise AssertionError("events are left")

    def check_order(self) -> None:
        """Of each key, what waits came after what was started."""
        states: dict[str, list[str]] = defaultdict(list)
        for event in sorted(self.events().values(), key=lambda each: each.seq):
            states[json.loads(event.data)["k"]].append(self.world.dispatch(event).state)
        for of_key in states.values():
            first = of_key.index("pending") if "pending" in of_key else len(of_key)
            assert set(of_key[first:]) <= {"pending"}, of_key


async def play(tmp_path: Path, seed: int, trigger: Trigger, *, may_fail: bool = False, steps: int = 60) -> Play:
    world = Triggered(tmp_path, HANG)
    await world.begin()
    await world.deploy(trigger)
    game = Play(world, random.Random(seed), may_fail=may_fail)
    for _ in range(steps):
        await game.step()
        running: dict[str, int] = defaultdict(int)
        for session_id in world.alive():
            record = world.store.load_session(session_id)
            assert record is not None
            running[json.loads(record.event)["data"]["k"]] += 1
        if trigger.concurrency is not None:
            assert all(count <= trigger.concurrency.limit for count in running.values())
        if not trigger.retry:
            game.check_order()
    await game.finish(trigger.name)
    await world.coordinator.close()
    return game


@pytest.mark.parametrize("seed", range(8))
async def test_concurrency(tmp_path: Path, seed: int) -> None:
    """Never more at once of a key, each event once, in order."""
    game = await play(tmp_path, seed, hook(concurrency=Concurrency(limit=LIMIT, key="data.k")))
    started = [record.event_id for record in game.world.store.list_sessions(limit=1000)]
    assert sorted(started) == sorted(game.events()), "each event has one session"


@pytest.mark.parametrize("seed", range(4))
async def test_retries(tmp_path: Path, seed: int) -> None:
    """An event has sessions until one completes, three at most, one at a time."""
    game = await play(tmp_path, seed, hook(retry=2, concurrency=Concurrency(limit=LIMIT, key="data.k")), may_fail=True)
    records = game.world.store.list_sessions(limit=1000)
    for event in game.events().values():
        states = [record.state for record in records if record.event_id == event.event_id]
        row = game.world.dispatch(event)
        assert row.attempt == len(states) <= 3
        assert row.state == ("completed" if "completed" in states else "dead")
        assert states.count("completed") <= 1
        assert row.state == "completed" or len(states) == 3


@pytest.mark.parametrize("seed", range(4))
async def test_rates(tmp_path: Path, seed: int) -> None:
    """No more starts of a key in any `per_s`. (A death begins a new count: here is none.)"""
    world = Triggered(tmp_path, HANG)
    await world.begin()
    await world.deploy(hook(rate=Rate(limit=LIMIT, per_s=PER_S, key="data.k")))
    game = Play(world, random.Random(seed), may_fail=False)
    for _ in range(40):
        await game.chance.choice([game.send, game.send, game.end, game.pass_time])()
    await game.finish("hook")
    starts: dict[str, list[int]] = defaultdict(list)
    for record in world.store.list_sessions(PROJECT, limit=1000):
        starts[json.loads(record.event)["data"]["k"]].append(record.created_us)
    assert sum(map(len, starts.values())) == len(game.events())
    for times in starts.values():
        times.sort()
        assert all(later - first >= (PER_S - LEAP_S) * 1e6 for first, later in zip(times, times[LIMIT:], strict=False))
    await world.coordinator.close()

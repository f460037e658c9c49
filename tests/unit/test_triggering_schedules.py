"""Schedules make each event once: in virtual time, across restarts, outages and both changes of the clock."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import refused
from hypothesis import given
from hypothesis import strategies as st
from perdure_proto.v1 import control_pb2 as cpb
from perdure_server.coordinator.deploying import make_live
from perdure_server.coordinator.triggering.schedules import CAUGHT_UP, check_ticks, due_times
from perdure_server.manifest.triggers import Schedule, Trigger
from triggering_support import HANG, PROJECT, Triggered, hook

SECOND_US = 1_000_000


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[Triggered]:
    world = Triggered(tmp_path)
    await world.begin()
    yield world
    await world.coordinator.close()


@pytest.fixture
async def hanging(tmp_path: Path) -> AsyncIterator[Triggered]:
    world = Triggered(tmp_path, HANG)
    await world.begin()
    yield world
    await world.coordinator.close()


def timed(text: str, **fields: Any) -> Trigger:
    return Trigger(name="clock", type="schedule", call="main.py:run", schedule=Schedule(text, **fields))


def at(world: Triggered, moment: str) -> None:
    """Set the clock: it was never earlier."""
    world.clock._now_us = int(datetime.fromisoformat(moment).timestamp()) * SECOND_US


def due(world: Triggered) -> list[str]:
    """The times of all events, in order of their making."""
    rows = world.store.events_after(PROJECT, "clock", 0, 10_000)
    return [json.loads(row.data)["scheduled_at"] for row in rows]


async def passes(world: Triggered, seconds: float, step: float) -> None:
    """Time passes in steps, and what it brings is dealt with."""
    for _ in range(round(seconds / step)):
        world.clock.advance(step)
        await world.settled()


async def test_a_minute_of_seconds_across_a_restart(world: Triggered) -> None:
    """`*/1 * * * * *` for a minute, with a restart after 20 s and an outage of 5 s: 60 sessions, none twice."""
    at(world, "2026-05-01T12:00:00+00:00")
    await world.deploy(timed("*/1 * * * * *"))
    await passes(world, 20, 1)
    await world.coordinator.close()
    world.clock.advance(5)
    await world.restart()
    await passes(world, 35, 1)
    await world.until(lambda: len(world.store.list_sessions(states=["completed"])) == 60)
    times = due(world)
    assert len(times) == len(set(times)) == 60
    assert (times[0], times[-1]) == ("2026-05-01T12:00:01.000Z", "2026-05-01T12:01:00.000Z")
    assert times == sorted(times)


async def test_the_event_of_a_schedule(world: Triggered) -> None:
    at(world, "2026-05-01T12:00:00+00:00")
    await world.deploy(timed("30 14 * * *", timezone="Europe/Berlin"))
    await passes(world, 3600, 1800)
    (row,) = world.store.events_after(PROJECT, "clock", 0)
    assert (row.event_type, row.source_type) == ("tick", "schedule")
    assert json.loads(row.data) == {
        "scheduled_at": "2026-05-01T12:30:00.000Z",
        "schedule": "30 14 * * *",
        "timezone": "Europe/Berlin",
    }
    listed = await world.control.list_triggers(cpb.ListTriggersRequest(project=PROJECT))
    assert listed.triggers[0].last_us == int(row.dedup or 0)
    assert listed.triggers[0].next_us == int(row.dedup or 0) + 86_400 * SECOND_US


@pytest.mark.parametrize(
    ("begin", "expected"),
    [
        ("2026-03-28T00:00:00+00:00", ["2026-03-28T01:30", "2026-03-29T01:00", "2026-03-30T00:30"]),
        ("2026-10-24T00:00:00+00:00", ["2026-10-24T00:30", "2026-10-25T00:30", "2026-10-26T01:30"]),
    ],
)
async def test_both_changes_of_the_clock(world: Triggered, begin: str, expected: list[str]) -> None:
    """Each night once: at 3:00 where 2:30 is skipped, at the first 2:30 where there are two."""
    at(world, begin)
    await world.deploy(timed("30 2 * * *", timezone="Europe/Berlin"))
    await passes(world, 3 * 86_400, 1800)
    assert [moment[:16] for moment in due(world)] == expected


@pytest.mark.parametrize(("policy", "count"), [("none", 0), ("last", 1), ("all", 12)])
async def test_an_hour_down(world: Triggered, policy: str, count: int) -> None:
    at(world, "2026-05-01T12:00:00+00:00")
    await world.deploy(timed("*/5 * * * *", catch_up=policy))
    await world.coordinator.close()
    world.clock.advance(3600 + 120)
    await world.restart()
    await passes(world, 60, 30)
    times = due(world)
    assert len(times) == count
    assert times[-1:] == (["2026-05-01T13:00:00.000Z"] if count else [])
    await passes(world, 240, 60)
    assert due(world)[count:] == ["2026-05-01T13:05:00.000Z"]


async def test_what_is_made_up_for_is_bounded(world: Triggered) -> None:
    at(world, "2026-05-01T12:00:00+00:00")
    await world.deploy(replace(timed("* * * * * *", catch_up="all"), call=""))
    await world.coordinator.close()
    world.clock.advance(3600)
    await world.restart()
    await world.until(lambda: len(due(world)) >= CAUGHT_UP)
    times = due(world)
    assert len(times) == CAUGHT_UP
    assert times[-1] == "2026-05-01T13:00:00.000Z"


async def test_a_crash_after_the_event_makes_no_second_one(world: Triggered) -> None:
    """It dies before the answer of the store: the next coordinator finds the time dealt with."""
    at(world, "2026-05-01T12:00:00+00:00")
    await world.deploy(timed("*/5 * * * *"))
    world.coordinator.adopt = lambda record: None  # type: ignore[method-assign]
    world.clock.advance(300)
    await world.until(lambda: due(world))
    await world.restart()
    await world.restart()
    await passes(world, 30, 10)
    await world.until(lambda: world.store.list_sessions(states=["completed"]))
    assert due(world) == ["2026-05-01T12:05:00.000Z"]
    assert len(world.store.list_sessions()) == 1


async def test_deploying_again_neither_repeats_nor_skips(world: Triggered) -> None:
    at(world, "2026-05-01T12:00:00+00:00")
    for n in range(6):
        await world.deploy(timed("*/5 * * * *"))
        await passes(world, 150, 75)
        assert len(due(world)) == (n + 1) // 2
    await world.deploy()
    await passes(world, 600, 100)
    assert len(due(world)) == 3


async def test_a_clock_that_is_set_back_repeats_nothing(world: Triggered) -> None:
    at(world, "2026-05-01T12:00:00+00:00")
    await world.deploy(timed("*/5 * * * *"))
    await passes(world, 600, 100)
    assert len(due(world)) == 2
    world.clock.set(-600)
    await world.restart()
    await passes(world, 500, 100)
    assert len(due(world)) == 2
    await passes(world, 500, 100)
    assert due(world)[2:] == ["2026-05-01T12:15:00.000Z"]


async def test_a_clock_that_is_set_ahead_is_noticed_within_a_minute(world: Triggered) -> None:
    at(world, "2026-05-01T12:00:00+00:00")
    await world.deploy(timed("0 14 * * *"))
    world.clock.set(2 * 3600)
    await passes(world, 61, 1)
    assert due(world) == ["2026-05-01T14:00:00.000Z"]


async def test_jitter_is_the_same_for_the_same_time(world: Triggered) -> None:
    at(world, "2026-05-01T12:00:00+00:00")
    await world.deploy(timed("*/5 * * * *", jitter_s=60))
    expected = world.coordinator.dispatcher.schedules.next_us(PROJECT, "clock")
    late_us = expected - int(datetime.fromisoformat("2026-05-01T12:05:00+00:00").timestamp()) * SECOND_US
    assert 0 <= late_us <= 60 * SECOND_US
    await world.restart()
    assert world.coordinator.dispatcher.schedules.next_us(PROJECT, "clock") == expected
    world.clock.advance((expected - world.clock.now_us()) / SECOND_US - 0.001)
    assert due(world) == []
    world.clock.advance(0.002)
    await world.until(lambda: due(world) == ["2026-05-01T12:05:00.000Z"])


# What happens while the session before still runs.


async def overlapping(world: Triggered, policy: str) -> list[str]:
    """The states of three events, five minutes apart, while every session hangs that is not stopped."""
    at(world, "2026-05-01T12:00:00+00:00")
    await world.deploy(timed("*/5 * * * *", overlap=policy))
    for n in range(3):
        world.clock.advance(300)
        await world.until(lambda n=n: len(due(world)) == n + 1)  # type: ignore[misc]
        await world.settled()
    return states(world)


def states(world: Triggered) -> list[str]:
    rows = world.store.events_after(PROJECT, "clock", 0)
    return [dispatch.state for row in rows for dispatch in world.store.dispatches(row.seq)]


async def test_overlap_allowed(hanging: Triggered) -> None:
    assert await overlapping(hanging, "allow") == ["started"] * 3


async def test_overlap_skipped(hanging: Triggered) -> None:
    await overlapping(hanging, "skip")
    await hanging.until(lambda: states(hanging) == ["started", "dropped", "dropped"])
    hanging.end((await hanging.running(1))[0])
    await hanging.until(lambda: states(hanging)[0] == "completed")
    hanging.clock.advance(300)
    await hanging.until(lambda: states(hanging)[3:] == ["started"])


async def test_overlap_queued(hanging: Triggered) -> None:
    assert await overlapping(hanging, "queue") == ["started", "pending", "pending"]
    hanging.end((await hanging.running(1))[0])
    await hanging.until(lambda: states(hanging) == ["completed", "started", "pending"])


async def test_overlap_cancels_the_old(hanging: Triggered) -> None:
    await overlapping(hanging, "cancel_old")
    await hanging.until(lambda: states(hanging) == ["failed", "failed", "started"])
    assert len(await hanging.running(1)) == 1


async def test_overlap_cancels_what_is_being_started(hanging: Triggered, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next time comes before the session of the one before is durable."""
    variables, written = hanging.coordinator.variables, asyncio.Event()
    check, checks = variables.check, itertools.count(1)

    async def held(project: str, deployment: str) -> None:
        if next(checks) == 2:  # the first one lets the event in, the second one its session
            await written.wait()
        await check(project, deployment)

    monkeypatch.setattr(variables, "check", held)
    at(hanging, "2026-05-01T12:00:00+00:00")
    await hanging.deploy(timed("*/5 * * * *", overlap="cancel_old"))
    for n in range(2):
        hanging.clock.advance(300)
        await hanging.until(lambda n=n: states(hanging) == ["pending"] * (n + 1))  # type: ignore[misc]
    written.set()
    await hanging.until(lambda: states(hanging) == ["failed", "started"])


@given(st.sampled_from(["none", "last", "all"]), st.lists(st.integers(1, 200), max_size=20))
def test_policies(policy: Any, ages_s: list[int]) -> None:
    """Only times that have passed, in order, none twice; the latest one unless none is wanted."""
    now_us = 10_000 * SECOND_US
    passed = sorted({now_us - age_s * SECOND_US for age_s in ages_s})
    chosen = list(due_times(policy, passed, now_us))
    assert chosen == sorted(set(chosen) & set(passed))
    if policy == "all":
        assert chosen == passed
    if policy == "last":
        assert chosen[-1:] == passed[-1:]
    if policy == "none":
        assert all(now_us - at_us <= 5 * SECOND_US for at_us in chosen)


@pytest.mark.parametrize(
    ("texts", "fits"),
    [
        (["* * * * * *"] * 10, True),
        (["* * * * * *"] * 10 + ["@daily"], False),
        (["@every 1s"] * 500, False),
        (["0 * * * *"] * 600, True),
        (["0 3 29 2 *"] * 601, False),
        (["0-9 59 23 31 12 *"] * 60, True),
        (["0 0 0 1 1 * 1999"] * 700, True),
        (["0,59 * * * * *"] * 300, True),
    ],
)
def test_what_the_schedules_of_a_project_make_in_a_minute_is_limited(texts: list[str], fits: bool) -> None:
    triggers = [Trigger(f"t{n}", "schedule", "m.py:f", schedule=Schedule(text)) for n, text in enumerate(texts)]
    if fits:
        check_ticks(triggers, 600, 1_700_000_000 * SECOND_US)
    else:
        with refused("P0614"):
            check_ticks(triggers, 600, 1_700_000_000 * SECOND_US)


async def test_schedules_that_come_too_often_are_not_deployed(world: Triggered) -> None:
    """The deployment before stays."""
    before = await world.deploy(hook())
    settings = {"triggers": [Trigger("tick", "schedule", schedule=Schedule("@every 1s")).to_json()]}
    world.coordinator.settings = replace(world.settings, project_ticks=59)
    after = replace(before, deployment_id="after", settings=settings)
    with refused("P0614"):
        await make_live(world.coordinator, after)
    active = world.store.active_deployment(PROJECT)
    assert active is not None
    assert active.deployment_id == before.deployment_id
    world.coordinator.settings = world.settings
    await make_live(world.coordinator, after)

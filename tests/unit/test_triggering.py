"""Events start sessions: once each, as their triggers say, and across crashes."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import FakeHost, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.coordinator.settings import Settings
from perdure_server.core.incoming import Incoming
from perdure_server.manifest.triggers import Concurrency, Debounce, Rate, Trigger
from perdure_server.store import Mutation
from triggering_support import HANG, PROJECT, Triggered, hook

FAILED = rpb.DONE_STATE_FAILED


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


def listener(name: str, **fields: Any) -> Trigger:
    return Trigger(name=name, type="connection", connection="octo", call="main.py:run", **fields)


async def test_an_event_starts_a_session_that_gets_it(world: Triggered) -> None:
    await world.deploy(hook(durable=False))
    event = await world.send(data=b'{"n": 1}', memo={"by": "test"})
    row = await world.in_state(event, "completed")
    record = world.store.load_session(row.session_id)
    assert record is not None
    assert (record.event_id, record.durable, record.event_form) == (event.event_id, False, rpb.EVENT_FORM_EVENT)
    seen = json.loads(record.event)
    assert seen.pop("created_at").endswith("Z")
    assert seen == {
        "event_id": event.event_id,
        "event_type": "post",
        "source": "hook",
        "source_type": "manual",
        "data": {"n": 1},
        "memo": {"by": "test"},
        "session_id": row.session_id,
    }


async def test_sessions_of_autokittehs_projects_get_their_form(world: Triggered) -> None:
    await world.deploy(hook(), form="autokitteh")
    row = world.dispatch(await world.send())
    record = world.store.load_session(row.session_id)
    assert record is not None
    assert record.event_form == rpb.EVENT_FORM_AUTOKITTEH


async def test_an_event_meets_triggers_by_source_type_and_filter(world: Triggered) -> None:
    await world.deploy(
        listener("all"),
        listener("pushes", event_type="push"),
        listener("opened", filter="data.action == 'opened'"),
        Trigger(name="silent", type="connection", connection="octo"),
        hook(),
        connections=[{"name": "octo"}],
    )
    event = await world.send("octo", b'{"action": "closed"}', "push")
    assert [(d.trigger, d.state) for d in event.dispatches] == [("all", "started"), ("pushes", "started")]
    event = await world.send("octo", b'{"action": "opened"}', "issue")
    assert [d.trigger for d in event.dispatches] == ["all", "opened"]


async def test_the_same_mark_makes_one_event(world: Triggered) -> None:
    await world.deploy(hook())
    first = await world.send(dedup="d1")
    again = await world.send(dedup="d1", data=b"[]")
    other = await world.send(dedup="d2")
    assert first.event_id == again.event_id != other.event_id
    assert again.data == b"{}"
    assert len(world.store.list_sessions()) == 2


async def test_what_cannot_be_sent(world: Triggered) -> None:
    with refused("P0206"):
        await world.send()
    await world.deploy(hook())
    with refused("P0223"):
        await world.send("hok")
    with refused("P0201"):
        await world.send(data=b"{")
    with refused("P0231"):
        await world.send(data=b'"' + b"x" * world.settings.event_bytes + b'"')
    with refused("P0103"):
        await world.send(dedup="x" * 300)
    with refused("P0103"):
        await world.control.list_events(cpb.ListEventsRequest(state="odd"))
    with refused("P0222"):
        await world.event("evt_none")
    assert world.store.last_event_seq() == 0


async def test_a_store_that_fails_leaves_nothing(world: Triggered) -> None:
    """The transaction is one: no event without its sessions."""
    await world.deploy(hook())

    def fail(_: object) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        await world.coordinator.dispatcher.accept(Incoming(PROJECT, "hook", "webhook", "post", b"{}"), also=fail)
    assert world.store.last_event_seq() == 0
    assert world.store.list_sessions() == []


async def test_a_crash_between_the_transaction_and_the_start_loses_nothing(world: Triggered) -> None:
    await world.deploy(hook())
    world.coordinator.adopt = lambda record: None  # type: ignore[method-assign]  # it dies here
    event = await world.send()
    session_id = event.dispatches[0].session_id
    assert world.dispatch(event).state == "started"
    await world.restart()
    await world.in_state(event, "completed")
    assert [record.session_id for record in world.store.list_sessions()] == [session_id]


async def test_an_end_that_nobody_noted_is_found(world: Triggered) -> None:
    await world.deploy(hook())
    world.coordinator.dispatcher.ended = lambda record: None  # type: ignore[method-assign]  # it dies here
    event = await world.send()
    await world.completed(event.dispatches[0].session_id)
    assert world.dispatch(event).state == "started"
    await world.restart()
    await world.in_state(event, "completed")


# Limits.


async def test_concurrency_holds_by_key_and_keeps_the_order(hanging: Triggered) -> None:
    world = hanging
    await world.deploy(hook(concurrency=Concurrency(limit=2, key="data.user")))
    events = [await world.send(data=json.dumps({"user": user}).encode()) for user in "aaaabb"]
    first = await world.running(4)
    assert [world.dispatch(event).state for event in events] == [*["started"] * 2, *["pending"] * 2, *["started"] * 2]
    world.end(world.dispatch(events[1]).session_id)
    await world.in_state(events[2], "started")
    assert world.dispatch(events[3]).state == "pending"
    assert len(first) == 4


async def test_concurrency_survives_a_crash(hanging: Triggered) -> None:
    world = hanging
    await world.deploy(hook(concurrency=Concurrency(limit=1)))
    events = [await world.send() for _ in range(3)]
    await world.in_state(events[0], "started")
    await world.restart()
    (alive,) = await world.running(1)
    assert [world.dispatch(event).state for event in events] == ["started", "pending", "pending"]
    world.end(alive)
    row = await world.in_state(events[1], "started")
    assert await world.running(1) == [row.session_id]
    assert world.dispatch(events[2]).state == "pending"


async def test_a_rate_delays(world: Triggered) -> None:
    await world.deploy(hook(rate=Rate(limit=2, per_s=10)))
    began = world.clock.now_us()
    events = [await world.send() for _ in range(5)]
    await world.in_state(events[4], "completed", turning=0.5)
    starts = sorted(record.created_us - began for record in world.store.list_sessions())
    assert [us // 10_000_000 for us in starts] == [0, 0, 1, 1, 2]


async def test_a_rate_drops(world: Triggered) -> None:
    await world.deploy(hook(rate=Rate(limit=2, per_s=10, over="drop", key="data.k")))
    events = [await world.send(data=json.dumps({"k": key}).encode()) for key in "aaab"]
    await world.in_state(events[3], "completed")
    row = await world.in_state(events[2], "dropped")
    assert "more than 2 in 10 s" in row.reason
    world.clock.advance(10)
    await world.in_state(await world.send(data=b'{"k": "a"}'), "completed")


async def test_debounce_takes_the_last_of_a_burst(world: Triggered) -> None:
    await world.deploy(hook(debounce=Debounce(for_s=5, key="data.k")))
    burst = []
    for _ in range(3):
        burst.append(await world.send(data=b'{"k": 1}'))
        world.clock.advance(3)
        await world.settled()
    other = await world.send(data=b'{"k": 2}')
    assert world.dispatch(burst[2]).state == "pending"
    await world.in_state(burst[2], "completed", turning=0.5)
    await world.in_state(other, "completed", turning=0.5)
    assert [world.dispatch(event).state for event in burst] == ["dropped", "dropped", "completed"]
    assert world.clock.now_us() - burst[2].created_us >= 5_000_000


async def test_debounce_waits_no_longer_than_its_most(world: Triggered) -> None:
    await world.deploy(hook(debounce=Debounce(for_s=5, max_s=12)))
    events = []
    for _ in range(5):
        events.append(await world.send())
        world.clock.advance(3)
        await world.settled()
    await world.in_state(events[3], "completed")
    assert [world.dispatch(event).state for event in events[:3]] == ["dropped"] * 3
    record = world.store.load_session(world.dispatch(events[3]).session_id)
    assert record is not None
    assert record.created_us - events[0].created_us == 12_000_000
    await world.in_state(events[4], "completed", turning=0.5)


async def test_debounced_events_survive_a_crash(world: Triggered) -> None:
    await world.deploy(hook(debounce=Debounce(for_s=5)))
    events = [await world.send() for _ in range(3)]
    await world.restart()
    await world.in_state(events[2], "completed", turning=1)
    assert [world.dispatch(event).state for event in events] == ["dropped", "dropped", "completed"]


async def test_a_failed_event_is_tried_again_and_then_dead(hanging: Triggered) -> None:
    world = hanging
    await world.deploy(hook(retry=2))
    event = await world.send()
    sessions = []
    for attempt in (1, 2, 3):
        await world.until(lambda n=attempt: world.dispatch(event).attempt == n, turning=0.1)  # type: ignore[misc]
        (session_id,) = await world.running(1)
        sessions.append(session_id)
        world.end(session_id, FAILED)
        await world.until(lambda: world.dispatch(event).state in {"pending", "dead"})
    row = world.dispatch(event)
    assert (row.state, row.attempt, len(set(sessions))) == ("dead", 3, 3)
    assert "session failed" in row.reason
    assert {json.loads(record.event)["event_id"] for record in world.store.list_sessions()} == {event.event_id}
    dead = await world.control.list_events(cpb.ListEventsRequest(project=PROJECT, state="dead"))
    assert [each.event_id for each in dead.events] == [event.event_id]

    again = await world.control.redispatch_event(cpb.RedispatchEventRequest(event_id=event.event_id))
    assert again.event_id != event.event_id
    assert again.memo["redispatch_of"] == event.event_id
    assert world.dispatch(event).state == "failed"
    (session_id,) = await world.running(1)
    world.end(session_id)
    await world.in_state(again, "completed")


async def test_a_retry_survives_a_crash(hanging: Triggered) -> None:
    world = hanging
    await world.deploy(hook(retry=1))
    event = await world.send()
    (session_id,) = await world.running(1)
    world.end(session_id, FAILED)
    await world.in_state(event, "pending")
    await world.restart()
    await world.until(lambda: world.dispatch(event).attempt == 2, turning=0.2)


async def test_without_retry_a_failure_is_a_failure_and_a_stop_is_never_retried(hanging: Triggered) -> None:
    world = hanging
    await world.deploy(hook(), hook("patient", retry=5))
    event = await world.send()
    (session_id,) = await world.running(1)
    world.end(session_id, FAILED)
    assert (await world.in_state(event, "failed")).attempt == 1
    event = await world.send("patient")
    (session_id,) = await world.running(1)
    await world.control.stop_session(cpb.StopSessionRequest(session_id=session_id))
    assert (await world.in_state(event, "failed", "patient")).attempt == 1


async def test_a_full_queue_holds_events_back_and_loses_none(tmp_path: Path) -> None:
    world = Triggered(tmp_path, HANG, Settings(queue_limit=6))  # of which events may take half
    await world.begin()
    world.host.capacity = 1
    await world.deploy(hook())
    world.coordinator.disconnect(world.host.connection, "gone")  # type: ignore[arg-type]
    events = [await world.send() for _ in range(8)]
    states = [world.dispatch(event).state for event in events]
    assert states[:3] == ["started"] * 3
    assert "pending" in states
    world.host = FakeHost(world)
    ended: set[str] = set()
    while len(ended) < 8:
        await world.until(lambda: set(world.alive()) - ended, turning=0.05)
        for session_id in set(world.alive()) - ended:
            ended.add(session_id)
            world.end(session_id)
    for event in events:
        await world.in_state(event, "completed")
    assert len(world.store.list_sessions()) == 8
    await world.coordinator.close()


async def test_a_deployments_own_queue_holds_events_back(tmp_path: Path) -> None:
    world = Triggered(tmp_path, HANG)
    await world.begin(sessions=1, queue=2)
    await world.deploy(hook())
    events = []
    for _ in range(6):
        events.append(await world.send())
        await world.settled()
    assert [world.dispatch(event).state for event in events] == [*["started"] * 3, *["pending"] * 3]
    for n in range(6):
        (session_id,) = await world.running(1)
        assert world.dispatch(events[n]).session_id == session_id
        world.end(session_id)
        await world.in_state(events[n], "completed")
        await world.until(lambda: world.alive() or n == 5, turning=0.1)  # noqa: B023
    await world.coordinator.close()


async def test_what_waits_for_a_trigger_that_is_gone_is_dropped(hanging: Triggered) -> None:
    world = hanging
    await world.deploy(hook(concurrency=Concurrency(limit=1)))
    first, second = await world.send(), await world.send()
    (alive,) = await world.running(1)
    await world.deploy(hook("another"))
    row = await world.in_state(second, "dropped")
    assert "no such trigger" in row.reason
    world.end(alive)
    await world.in_state(first, "completed")


# Asking.


async def test_trying_a_trigger_says_why_not(world: Triggered) -> None:
    await world.deploy(
        hook(filter="data.a.b == 1"),
        listener("pushes", event_type="push"),
        Trigger(name="source", type="webhook"),
        connections=[{"name": "octo"}],
    )

    async def verdicts(data: bytes, event_type: str, trigger: str = "") -> dict[str, tuple[bool, str]]:
        request = cpb.TestTriggerRequest(project=PROJECT, data=data, event_type=event_type, trigger=trigger)
        return {v.trigger: (v.starts, v.reason) for v in (await world.control.test_trigger(request)).verdicts}

    found = await verdicts(b'{"a": 1}', "pull")
    assert found["hook"] == (False, "the filter does not hold: int has no field 'b'")
    assert found["pushes"] == (False, "it takes events of type 'push'")
    assert found["source"][0] is False
    assert await verdicts(b'{"a": {"b": 1}}', "push", "hook") == {"hook": (True, "")}
    assert world.store.last_event_seq() == 0
    with refused("P0223"):
        await verdicts(b"{}", "", "nope")


async def test_triggers_keep_their_addresses(world: Triggered) -> None:
    async def listed() -> dict[str, cpb.Trigger]:
        found = await world.control.list_triggers(cpb.ListTriggersRequest(project=PROJECT))
        return {trigger.name: trigger for trigger in found.triggers}

    await world.deploy(hook(), hook("other"))
    before = await listed()
    assert before["hook"].url != before["other"].url
    assert len(before["hook"].url.removeprefix("/webhooks/")) == 22
    await world.deploy(hook("other"))
    assert set(await listed()) == {"other"}
    await world.deploy(hook(), hook("other"))
    assert {name: trigger.url for name, trigger in (await listed()).items()} == {
        name: trigger.url for name, trigger in before.items()
    }
    world.coordinator.public_url = "https://here.example"
    assert (await listed())["hook"].url == "https://here.example" + before["hook"].url
    urls = await world.coordinator.dispatcher.urls.of(PROJECT, "dep3")
    assert urls["hook__webhook_url"] == "https://here.example" + before["hook"].url


async def test_old_events_go_but_not_those_that_are_needed(hanging: Triggered) -> None:
    world = hanging
    await world.deploy(hook(), hook("slow", concurrency=Concurrency(limit=1)))
    done = await world.send()
    (session_id,) = await world.running(1)
    world.end(session_id)
    await world.in_state(done, "completed")
    running, pending = await world.send("slow"), await world.send("slow")
    await world.in_state(running, "started", "slow")
    later_us = world.clock.now_us() + 1

    def delete(before_us: int) -> Mutation[int]:
        return Mutation(lambda tx: tx.delete_events_before(before_us))

    assert (await world.store.commit(delete(done.created_us))).value == 0  # type: ignore[union-attr]
    assert (await world.store.commit(delete(later_us))).value == 1  # type: ignore[union-attr]
    assert world.store.event(done.event_id) is None
    assert world.store.event(running.event_id) is not None
    assert world.store.event(pending.event_id) is not None


async def test_events_come_in_pages(world: Triggered) -> None:
    await world.deploy(hook())
    sent = [(await world.send()).event_id for _ in range(5)]
    page = await world.control.list_events(cpb.ListEventsRequest(project=PROJECT, limit=3))
    rest = await world.control.list_events(cpb.ListEventsRequest(project=PROJECT, limit=3, before_seq=page.next))
    assert [event.event_id for event in (*page.events, *rest.events)] == sent[::-1]
    assert rest.next == 0
    assert not page.events[0].data

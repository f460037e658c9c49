"""Events of running sessions: each once for every subscription, in order, whoever dies or is suspended meanwhile."""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import BUILD, FakeHost, Step, World
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.coordinator.settings import Settings
from perdure_server.core.incoming import Incoming
from perdure_server.store import ConnectionRow, Deployment, Mutation, Transaction

Make = Callable[..., Awaitable[World]]
HOOK: Step = ("request", "event.subscribe", {"source": "hook"})
ODD: Step = ("request", "event.subscribe", {"source": "hook", "filter": "data.n % 2 == 1"})
OTHER: Step = ("request", "event.subscribe", {"source": "other"})


@pytest.fixture(name="make")
async def make_fixture(tmp_path: Path) -> AsyncIterator[Make]:
    worlds: list[World] = []

    async def make(program: list[Step], **changes: Any) -> World:
        world = World(tmp_path, program, Settings(**{"host_timeout_s": 1e9} | changes))
        worlds.append(world)
        await world.begin()
        await deploy(world)
        return world

    yield make
    for world in worlds:
        await world.coordinator.close()
        world.store.close()


async def deploy(world: World) -> None:
    """Two projects that take events."""

    def write(tx: Transaction) -> None:
        for project in ("shop", "else"):
            tx.put_project(project, 1)
            sources = [{"name": name} for name in ("hook", "other")]
            tx.activate(Deployment(f"dep_{project}", project, BUILD, 1, {}, {"connections": sources}))

    await world.store.commit(Mutation(write))


async def send(world: World, n: int, source: str = "hook", project: str = "shop") -> int:
    """An event that brings the number `n`. How many subscriptions its source has."""
    data = json.dumps({"n": n}).encode()
    return (await world.coordinator.dispatcher.accept(Incoming(project, source, "manual", "test", data))).subscribed


def got(world: World, session_id: str = "s") -> list[Any]:
    """What the waits for events of a session were ended by: (subscription, number), or None."""
    ends: list[Any] = []
    waits = {
        (entry.lane, entry.ordinal)
        for entry in world.journal(session_id)
        if entry.wait.kind == jpb.WAIT_KIND_EVENT and entry.kind == jpb.ENTRY_KIND_WAIT
    }
    for entry in world.journal(session_id):
        if entry.kind == jpb.ENTRY_KIND_RESOLVED and (entry.lane, entry.ordinal) in waits:
            how = entry.resolution
            data = how.payload.data or (world.blobs.get(how.payload.blob) if how.payload.blob else b"")
            event = how.kind == jpb.RESOLUTION_KIND_EVENT
            ends.append((how.name, json.loads(data)["data"]["n"]) if event else None)
    return ends


async def begun(world: World, session_id: str, subscriptions: int) -> None:
    await world.until(lambda: world.store.subscriptions_counted(session_id) == subscriptions)


async def test_events_between_subscribe_and_next_event_are_not_lost(make: Make) -> None:
    world = await make([HOOK, ("sleep", 30.0), ("event", None, ".1"), ("event", None, ".1"), ("event", 5.0, ".1")])
    FakeHost(world)
    await send(world, 1)
    await world.start("s", project="shop")
    await begun(world, "s", 1)
    assert [await send(world, n) for n in (2, 3)] == [1, 1]
    assert await send(world, 4, project="else") == 0
    await world.completed("s", turning=1.0)
    assert got(world) == [(".1", 2), (".1", 3), None]
    assert not world.store.subscriptions("s")


async def test_a_suspended_session_is_woken_by_what_it_waits_for_alone(make: Make) -> None:
    world = await make([ODD, ("event", None, ".1")])
    host = FakeHost(world)
    await world.start("s", project="shop")
    await world.until(lambda: world.state("s") == "waiting")
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s"))
    starts = host.received.count("start")
    await send(world, 2)
    await send(world, 4)
    await send(world, 5)
    await world.completed("s")
    assert got(world) == [(".1", 5)]
    assert host.received.count("start") == starts + 1


async def test_a_session_that_leaves_hears_of_an_event(make: Make) -> None:
    world = await make([HOOK, ("event", None, ".1"), ("activity", "a")])
    host = FakeHost(world)
    await world.start("s", project="shop")
    await world.until(lambda: world.state("s") == "waiting")
    told = host.tell
    host.tell = lambda runner, kind, body: None if kind == "stop" else told(runner, kind, body)  # type: ignore[method-assign]
    world.clock.advance(1.0)  # it is asked to leave, and takes its time
    await send(world, 1)
    await world.until(lambda: world.kinds("s").endswith("X"))
    host.tell = told  # type: ignore[method-assign]
    await world.completed("s", turning=1.0)
    assert got(world) == [(".1", 1)]
    assert world.effects == {"a": 1}


async def test_an_event_that_nobody_was_told_of_before_a_crash_is_found(make: Make) -> None:
    world = await make([HOOK, ("event", None, ".1")])
    FakeHost(world)
    await world.start("s", project="shop")
    await world.until(lambda: world.state("s") == "waiting")
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s"))
    world.coordinator.subscriptions.arrived = lambda *_: 0  # type: ignore[method-assign]  # it dies before
    await send(world, 1)
    await world.restart()
    FakeHost(world)
    await world.completed("s")
    assert got(world) == [(".1", 1)]


async def test_of_several_subscriptions_the_first_event_comes_first(make: Make) -> None:
    world = await make([HOOK, OTHER, ODD, ("sleep", 5.0), *[("event", 1.0, ".2", ".3", ".1")] * 6])
    FakeHost(world)
    await world.start("s", project="shop")
    await begun(world, "s", 3)
    for n, source in ((1, "other"), (2, "hook"), (3, "hook"), (4, "other")):
        await send(world, n, source)
    await world.completed("s", turning=0.5)
    assert got(world) == [(".2", 1), (".1", 2), (".3", 3), (".1", 3), (".2", 4), None]


async def test_an_event_that_is_there_counts_even_if_there_is_no_time(make: Make) -> None:
    world = await make([HOOK, ("sleep", 5.0), ("event", 0.0, ".1"), ("event", 0.0, ".1")])
    FakeHost(world)
    await world.start("s", project="shop")
    await begun(world, "s", 1)
    await send(world, 1)
    await world.completed("s", turning=1.0)
    assert got(world) == [(".1", 1), None]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("size", [1, 100_000])
async def test_what_a_cancelled_task_did_not_get_is_for_the_next(make: Make, restart: bool, size: int) -> None:
    program: list[Step] = [HOOK, ("lose", ".1"), ("sleep", 30.0), *[("event", 5.0, ".1")] * 3]
    world = await make(program)
    FakeHost(world)
    await world.start("s", project="shop")
    await world.until(lambda: world.kinds("s") == "WXW")
    for n in (1, 2):
        data = json.dumps({"n": n, "x": "x" * size}).encode()
        await world.coordinator.dispatcher.accept(Incoming("shop", "hook", "manual", "test", data))
    await world.until(lambda: world.kinds("s").startswith("WXWXY") or "W" in world.kinds("s")[4:])
    if restart:
        await world.restart()
        FakeHost(world)
    await world.completed("s", turning=1.0)
    assert got(world) == [(".1", 1), (".1", 1), (".1", 2), None]


async def test_what_is_no_subscription_is_refused(make: Make) -> None:
    world = await make([HOOK, ("request", "event.unsubscribe", {"subscription": ".1"}), ("event", None, ".1", ".9")])
    host = FakeHost(world)
    await world.start("s", project="shop")
    await world.completed("s")
    refused = [e.resolution for e in world.journal("s") if e.resolution.kind == jpb.RESOLUTION_KIND_REFUSED]
    assert [json.loads(how.payload.data)["code"] for how in refused] == ["P0223"]
    assert host.runner("s").outcome[1] == b'{"subscription":".1","ended":true}'


async def test_bad_filters_and_too_many_subscriptions_are_refused(make: Make) -> None:
    bad: Step = ("request", "event.subscribe", {"source": "hook", "filter": "data.("})
    empty: Step = ("request", "event.subscribe", {"source": ""})
    world = await make([bad, empty, HOOK])
    host = FakeHost(world)
    await world.start("s", project="shop")
    await world.completed("s")
    answers = [json.loads(answer) for answer in host.runner("s").outcome]
    assert [answer.get("code") for answer in answers] == ["P0105", "P0103", None]
    assert answers[0]["message"] == "the filter is none, at its column 6: '(' is unexpected"


async def test_sources_that_do_not_exist_are_refused(make: Make) -> None:
    """Nothing would ever come of them. What an older deployment has, or somebody has added, is one."""
    wrong: Step = ("request", "event.subscribe", {"source": "hok"})
    added: Step = ("request", "event.subscribe", {"source": "team"})
    world = await make([wrong, HOOK, added, ("hang",)])
    await world.start("s", project="shop")
    newer = Deployment("dep_2", "shop", BUILD, 2, {}, {"triggers": [{"name": "hock", "connection": ""}]})
    await world.store.commit(Mutation(lambda tx: tx.activate(newer)))
    world.coordinator.builds.deployed(newer)
    row = ConnectionRow("shop", "team", "slack", "slug", 1)
    await world.store.commit(Mutation(lambda tx: tx.put_connection(row)))
    host = FakeHost(world)
    await world.until(lambda: "s" in host.runners and len(host.runner("s").outcome) == 3)
    refused, *others = (json.loads(answer) for answer in host.runner("s").outcome)
    assert (refused["code"], refused["help"]) == ("P0223", "did you mean 'hook'?")
    assert [other["source"] for other in others] == ["hook", "team"]


async def test_large_events_are_kept_once_as_blobs(make: Make) -> None:
    world = await make([HOOK, ("sleep", 5.0), ("event", None, ".1"), ("sleep", 60.0)])
    host = FakeHost(world)
    await world.start("s", project="shop")
    await begun(world, "s", 1)
    data = json.dumps({"n": 1, "x": "y" * 200_000}).encode()
    await world.coordinator.dispatcher.accept(Incoming("shop", "hook", "manual", "test", data))
    await world.completed("s", turning=1.0)
    assert len(host.runner("s").outcome[2]) > 200_000
    assert got(world) == [(".1", 1)]
    assert all(len(row) < 10_000 for row in world.store.entries("s"))


async def test_a_fork_has_the_subscriptions_of_its_history(make: Make) -> None:
    gone: Step = ("request", "event.unsubscribe", {"subscription": ".2"})
    program: list[Step] = [
        HOOK,
        OTHER,
        gone,
        ("sleep", 1.0),
        ("event", 9.0, ".1"),
        ("event", 9.0, ".1"),
        ("event", 9.0, ".1"),
    ]
    world = await make(program)
    FakeHost(world)
    await world.start("s", project="shop")
    await begun(world, "s", 1)
    await world.until(lambda: world.kinds("s") == "WXWXWXW")
    for n in (1, 2):
        await send(world, n)
    await world.completed("s", turning=1.0)
    assert got(world) == [(".1", 1), (".1", 2), None]
    fork = await world.control.fork_session(cpb.ForkSessionRequest(session_id="s", from_seq=10))
    await world.completed(fork.session_id, turning=1.0)
    assert got(world, fork.session_id) == [(".1", 1), (".1", 2), None]
    fork = await world.control.fork_session(cpb.ForkSessionRequest(session_id="s", from_seq=2))
    await world.completed(fork.session_id, turning=1.0)
    assert got(world, fork.session_id) == [(".1", 1), (".1", 2), None]


async def test_code_past_the_journal_gets_events_once_and_signals(make: Make) -> None:
    world = await make([HOOK, ("hang",)])
    host = FakeHost(world)
    answers: list[Any] = []
    told = host.tell
    host.tell = (  # type: ignore[method-assign]
        lambda runner, kind, body: (
            answers.append(json.loads(body.body)) if kind == "answer" else told(runner, kind, body)
        )
    )
    await world.start("s", project="shop")
    await begun(world, "s", 1)

    def ask(operation: str, **body: Any) -> None:
        asked = rpb.Ask(id=len(answers) + 1, operation=operation, body=json.dumps(body).encode())
        asked.session_id, asked.epoch = "s", 1
        host.send(ask=asked)

    ask("event.next", subscriptions=[".1"], timeout=None)
    ask("event.next", subscriptions=[".1"], timeout=None)
    for _ in range(20):
        await asyncio.sleep(0)
    await send(world, 1)
    await send(world, 2)
    await world.until(lambda: len(answers) == 2)
    assert sorted(answer["data"]["n"] for answer in answers) == [1, 2]
    ask("signal.next", names=["go"], timeout=None)
    await world.control.signal_session(cpb.SignalSessionRequest(session_id="s", name="go", payload=b"3"))
    await world.until(lambda: len(answers) == 3)
    assert answers[2] == {"name": "go", "payload": 3}
    assert not world.store.signals("s")


# ---- against a model

WAITS = st.lists(st.sampled_from([(".1",), (".2",), (".1", ".2"), (".2", ".1")]), min_size=1, max_size=6)
HAPPENS = st.lists(
    st.one_of(
        st.tuples(st.just("event"), st.sampled_from(["hook", "hook", "else"])),
        st.sampled_from([("suspend", ""), ("restart", ""), ("host", ""), ("time", "")]),
    ),
    max_size=14,
)


def model(sent: list[tuple[int, str]], waits: list[tuple[str, ...]]) -> list[Any]:
    """What the waits get if nothing ever fails: `.1` has all events of `hook`, `.2` the odd ones."""
    cursors = {".1": 0, ".2": 0}
    ends: list[Any] = []
    for names in waits:
        found = [
            (n, names.index(name), name)
            for name in names
            for n, source in sent
            if source == "hook" and n > cursors[name] and (name == ".1" or n % 2)
        ]
        if found:
            n, _, name = min(found)
            cursors[name] = n
            ends.append((name, n))
        else:
            ends.append(None)
    return ends


async def test_an_event_that_comes_between_two_looks_is_the_first_subscriptions(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await make([HOOK, ODD, ("event", None, ".2", ".1")])
    loop, read = asyncio.get_running_loop(), type(world.store).events_after
    reads: list[int] = []

    def events_after(store: Any, *where: Any) -> Any:
        found = read(store, *where)
        reads.append(len(found))
        if len(reads) == 1:  # nothing there for `.2`; then it comes, before anybody has looked for `.1`
            asyncio.run_coroutine_threadsafe(send(world, 1), loop).result(60)
        return found

    monkeypatch.setattr(type(world.store), "events_after", events_after)
    FakeHost(world)
    await world.start("s", project="shop")
    await world.completed("s", turning=0.1)
    assert reads[0] == 0
    assert got(world) == [(".2", 1)]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WAITS, HAPPENS)
def test_whatever_happens_a_session_gets_what_the_model_says(
    waits: list[tuple[str, ...]], happens: list[tuple[str, str]]
) -> None:
    asyncio.run(_like_the_model(waits, happens))


async def _like_the_model(waits: list[tuple[str, ...]], happens: list[tuple[str, str]]) -> None:
    program: list[Step] = [HOOK, ODD, *(("event", 600.0, *names) for names in waits)]
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder), program, Settings(host_timeout_s=1e9, sweep_s=1e9))
        await world.begin()
        await deploy(world)
        FakeHost(world)
        await world.start("s", project="shop")
        await begun(world, "s", 2)
        sent: list[tuple[int, str]] = []
        for what, source in happens:
            match what:
                case "event":
                    sent.append((len(sent) + 1, source))
                    await send(world, *sent[-1])
                case "suspend":
                    world.clock.advance(1.0)
                case "time":
                    await asyncio.sleep(0.002)
                case "restart":
                    await world.restart()
                    FakeHost(world)
                case "host":
                    for connection in list(world.coordinator.hosts):
                        world.coordinator.disconnect(connection, "gone")
                    FakeHost(world)
        expected = model(sent, waits)
        events = [end for end in expected if end is not None]
        await world.until(lambda: len(got(world)) >= len(events) or world.state("s") == "completed", turning=0.1)
        await world.completed("s", turning=100.0)
        assert got(world) == expected
        await world.coordinator.close()
        world.store.close()


def test_the_model_knows_order() -> None:
    sent = [(1, "else"), (2, "hook"), (3, "hook")]
    waits = [(".1",), (".1", ".2"), (".1", ".2"), (".2",)]
    assert model(sent, waits) == [(".1", 2), (".1", 3), (".2", 3), None]

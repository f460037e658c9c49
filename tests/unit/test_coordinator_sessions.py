"""Sessions through a whole coordinator: placed, recorded, suspended, woken, stopped, taken up again."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import BUILD, FakeHost, Step, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.coordinator.settings import Settings
from perdure_server.core.state import Rules

Make = Callable[..., Awaitable[World]]
PROGRAM: list[Step] = [("activity", "a"), ("log", "hello"), ("activity", "b"), ("sleep", 30.0), ("activity", "c")]


@pytest.fixture(name="make")
async def make_fixture(tmp_path: Path) -> AsyncIterator[Make]:
    worlds: list[World] = []

    async def make(program: list[Step] = PROGRAM, **settings: Any) -> World:
        # Hosts here send no heartbeats while days pass.
        world = World(tmp_path, program, Settings(**{"host_timeout_s": 1e9} | settings))
        worlds.append(world)
        await world.begin()
        return world

    yield make
    for world in worlds:
        await world.coordinator.close()
        world.store.close()


async def test_a_session_runs_suspends_wakes_and_completes(make: Make) -> None:
    world = await make()
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "waiting")
    assert (await world.session("s")).waiting_for.kind == jpb.WAIT_KIND_TIMER
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s"))
    assert (await world.session("s")).suspended
    assert not host.connection.sessions
    assert world.kinds("s") == "SASAW"
    world.clock.advance(30.0)
    session = await world.completed("s")
    assert session.state == "completed"
    assert session.epoch == 2
    assert world.kinds("s") == "SASAWXSA"
    assert world.effects == {"a": 1, "b": 1, "c": 1}
    assert [entry.seq for entry in world.journal("s")] == list(range(1, 9))
    assert not world.coordinator.actors


async def test_one_transaction_is_acknowledged_once(make: Make) -> None:
    world = await make([("hang",)])
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "running")
    runner = host.runner("s")
    for _ in range(5):
        runner.record(jpb.ENTRY_KIND_MARKER, sync=True)
    await world.until(lambda: runner.acknowledged == 5)
    assert host.received.count("committed") == 1


async def test_a_near_timer_is_resolved_in_the_process(make: Make) -> None:
    world = await make([("sleep", 0.5), ("activity", "a")])
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "waiting")
    world.clock.advance(0.5)
    assert (await world.completed("s")).epoch == 1
    assert "resolved" in host.received


async def test_always_suspend(make: Make) -> None:
    world = await make([("sleep", 9.0), ("activity", "a"), ("sleep", 9.0)], rules=Rules(suspend_after_s=0))
    FakeHost(world)
    await world.start("s")
    for wait in (1, 2):
        await world.until(lambda: world.suspended("s"))
        world.clock.advance(9.0)
        await world.until(lambda wait=wait: world.kinds("s").count("X") == wait)
    session = await world.completed("s")
    assert (session.epoch, world.kinds("s")) == (3, "WXSAWX")


async def test_signals_are_kept_and_given_once_in_order(make: Make) -> None:
    world = await make([("activity", "a"), ("signal", "go"), ("signal", "go", "stop"), ("signal", "go")])
    FakeHost(world)
    await world.start("s", None)
    for name, payload in (("go", b"1"), ("other", b"2"), ("go", b"3")):
        await signal(world, name, payload)
    await world.until(lambda: world.state("s") == "waiting" and world.kinds("s").count("X") == 2)
    world.clock.advance(2.0)
    await world.until(lambda: world.suspended("s"))
    await signal(world, "go", b"4")
    session = await world.completed("s")
    assert session.result.data == b"[b'1', b'1', b'3', b'4']"
    assert [row.name for row in world.store.signals("s")] == ["other"]


async def signal(world: World, name: str = "", payload: bytes = b"null", wake: bool = False) -> str:
    request = cpb.SignalSessionRequest(session_id="s", name=name, payload=payload, wake=wake)
    return (await world.control.signal_session(request)).state


async def test_a_suspended_timer_can_be_woken(make: Make) -> None:
    world = await make([("sleep", 30 * 86400.0)])
    FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "waiting")
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s"))
    assert await signal(world, wake=True) in {"starting", "running", "completed"}
    assert (await world.completed("s")).result.data == b"['RESOLUTION_KIND_FIRED']"
    with refused("P0205"):
        await signal(world, wake=True)


async def test_a_runner_that_dies_is_replaced_and_repeats_only_what_was_in_flight(make: Make) -> None:
    world = await make([("activity", "a"), ("activity", "b"), ("hang",)])
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.kinds("s") == "SASA")
    world.programs["s"] = [("activity", "a"), ("activity", "b"), ("activity", "c")]
    host.runner("s").die()
    session = await world.completed("s")
    assert (session.epoch, world.effects) == (2, {"a": 1, "b": 1, "c": 1})


async def test_a_runner_that_never_gets_anywhere_is_given_up(make: Make) -> None:
    world = await make([("hang",)])
    host = FakeHost(world)
    await world.start("s")
    for epoch in range(1, 6):
        await world.until(
            lambda epoch=epoch: (
                "s" in host.runners and host.runner("s").start.epoch == epoch and world.state("s") == "running"
            ),
            turning=1.0,
        )
        host.runner("s").die("segmentation fault")
    session = await world.completed("s")
    assert (session.state, session.error.code) == ("failed", "P0604")
    assert "segmentation fault" in session.error.message


async def test_a_host_that_is_cut_loses_its_sessions_to_another_and_is_fenced(make: Make) -> None:
    world = await make([("activity", "a"), ("hang",)])
    first = FakeHost(world, "first")
    await world.start("s")
    await world.until(lambda: world.kinds("s") == "SA")
    stale = first.runner("s")
    second = FakeHost(world, "second")
    first.connection.close("cut")
    await world.until(lambda: "s" in second.runners and world.state("s") == "running")
    assert second.runner("s").start.epoch == 2
    first.join()
    stale.dead = False
    first.runners["s"] = stale
    stale.record(jpb.ENTRY_KIND_MARKER, sync=True)
    await world.until(lambda: first.killed)
    assert first.killed == [("s", 1)]
    assert world.kinds("s") == "SA"


async def test_a_silent_host_is_given_up(make: Make) -> None:
    world = await make([("hang",)], host_timeout_s=10.0)
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "running")
    world.clock.advance(9.0)
    host.send(heartbeat=rpb.Heartbeat())
    await world.until(lambda: host.received[-1] == "heartbeat")
    world.clock.advance(9.0)
    assert host.connection is not None
    world.clock.advance(1.1)
    assert host.connection is None
    assert world.state("s") == "starting"


async def test_a_clock_that_is_set_says_nothing_of_hosts(make: Make) -> None:
    world = await make([("hang",)], host_timeout_s=10.0)
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "running")
    world.clock.set(3600)
    world.clock.advance(9.0)
    host.send(heartbeat=rpb.Heartbeat())
    await world.until(lambda: host.received[-1] == "heartbeat")
    world.clock.set(-7200)
    world.clock.advance(9.0)
    assert host.connection is not None
    listed = (await world.control.list_hosts(cpb.ListHostsRequest())).hosts
    assert listed[0].heard_us == world.clock.now_us() - 9_000_000
    world.clock.advance(1.1)
    assert host.connection is None, "it is silent, whatever time it is"


async def test_sessions_wait_for_room(make: Make) -> None:
    world = await make([("signal", "go")], rules=Rules(suspend_after_s=1e6), queue_limit=2)
    host = FakeHost(world, capacity=1)
    for name in ("s", "t", "u"):
        await world.start(name)
    await world.until(lambda: world.state("s") == "waiting")
    assert [world.state(name) for name in "tu"] == ["created", "created"]
    with refused("P0610"):
        await world.start("v")
    await signal(world, "go")
    await world.until(lambda: world.state("t") == "waiting")
    assert len(host.connection.sessions) == 1


async def test_a_polite_stop_cancels_a_wait(make: Make) -> None:
    world = await make()
    FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "waiting")
    await world.control.stop_session(cpb.StopSessionRequest(session_id="s", reason="enough"))
    assert (await world.completed("s")).state == "stopped"
    assert world.journal("s")[-1].resolution.kind == jpb.RESOLUTION_KIND_CANCELLED
    with refused("P0205"):
        await world.control.stop_session(cpb.StopSessionRequest(session_id="s"))


async def test_a_suspended_session_is_woken_to_clean_up(make: Make) -> None:
    world = await make()
    FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "waiting")
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s"))
    await world.control.stop_session(cpb.StopSessionRequest(session_id="s"))
    session = await world.completed("s")
    assert (session.state, session.epoch) == ("stopped", 2)


@pytest.mark.parametrize("grace_s", [1e300, math.inf])
async def test_a_stop_that_would_never_kill_is_refused(make: Make, grace_s: float) -> None:
    world = await make([("hang",)])
    FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "running")
    with refused("P0103"):
        await world.control.stop_session(cpb.StopSessionRequest(session_id="s", grace_s=grace_s))
    assert world.state("s") == "running"


async def test_a_stop_that_is_not_obeyed_kills_after_the_grace_period(make: Make) -> None:
    world = await make([("hang",)])
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "running")
    host.runner("s").stop = lambda _stop: None  # type: ignore[method-assign]
    await world.control.stop_session(cpb.StopSessionRequest(session_id="s", grace_s=3.0))
    world.clock.advance(2.9)
    assert world.state("s") == "running"
    world.clock.advance(0.2)
    session = await world.completed("s")
    assert (session.state, session.error.code, host.killed) == ("stopped", "P0605", [("s", 1)])


async def test_force_stops_at_once_and_a_session_that_never_ran_needs_no_runner(make: Make) -> None:
    world = await make([("hang",)])
    await world.start("s")
    state = (await world.control.stop_session(cpb.StopSessionRequest(session_id="s"))).state
    assert state == "stopped"
    FakeHost(world)
    await world.start("t")
    await world.until(lambda: world.state("t") == "running")
    await world.control.stop_session(cpb.StopSessionRequest(session_id="t", force=True))
    assert world.state("t") == "stopped"


async def test_a_new_coordinator_takes_up_everything(make: Make) -> None:
    world = await make()
    await world.start("queued")
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("queued") == world.state("s") == "waiting")
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s") and world.suspended("queued"))
    await world.start("running", [("activity", "a"), ("hang",)])
    await world.until(lambda: world.kinds("running") == "SA")
    await world.restart()
    assert world.coordinator.recovery.found_stuck == 0
    world.programs["running"] = [("activity", "a"), ("activity", "z")]
    host.join()
    assert (await world.completed("running")).epoch == 2
    assert world.suspended("s")
    world.clock.advance(30.0)
    assert (await world.completed("s")).state == "completed"
    assert (await world.completed("queued")).state == "completed"
    assert world.effects["c"] == 2


async def test_a_signal_stored_just_before_the_end_of_a_coordinator_is_not_forgotten(make: Make) -> None:
    world = await make([("signal", "go")])
    FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "waiting")
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s"))
    from perdure_server.store import Mutation

    await world.store.commit(Mutation(lambda transaction: transaction.add_signal("s", "go", b"7", 1)))
    await world.restart()
    FakeHost(world)
    assert (await world.completed("s")).result.data == b"[b'7']"


async def test_a_stop_survives_the_coordinator(make: Make) -> None:
    world = await make([("hang",)])
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "running")
    host.runner("s").stop = lambda _stop: None  # type: ignore[method-assign]
    await world.control.stop_session(cpb.StopSessionRequest(session_id="s"))
    await world.restart()
    host.join()
    assert (await world.completed("s")).state == "stopped"


async def test_a_session_without_a_journal_is_not_run_twice(make: Make) -> None:
    world = await make([("hang",)])
    host = FakeHost(world)
    for name in ("s", "t"):
        await world.start(name, not_durable=True)
        await world.until(lambda name=name: world.state(name) == "running")
    host.runner("s").die()
    assert (await world.completed("s")).error.code == "P0604"
    await world.restart()
    host.join()
    session = await world.completed("t")
    assert (session.state, session.error.code, session.epoch) == ("failed", "P0604", 1)


@pytest.mark.parametrize("seq", range(1, 9))
async def test_a_runner_killed_after_any_entry_changes_nothing(make: Make, seq: int) -> None:
    struck: list[int] = []

    def fault(_session: str, at: int, _entry: jpb.Entry) -> str | None:
        if at != seq or struck:
            return None
        struck.append(at)
        return "kill-runner"

    world = await make(faults=fault)
    FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.state("s") == "waiting")
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s"))
    world.clock.advance(30.0)
    session = await world.completed("s")
    assert (session.state, world.kinds("s").replace("SSA", "SA")) == ("completed", "SASAWXSA")
    assert all(count <= 2 for count in world.effects.values())
    assert sum(world.effects.values()) <= 4
    assert struck == [seq]


async def test_large_payloads_go_to_the_blob_store_and_come_back(make: Make) -> None:
    world = await make([("big", "a"), ("activity", "b"), ("hang",)])
    host = FakeHost(world)
    await world.start("s")
    await world.until(lambda: world.kinds("s") == "SASA")
    stored = world.journal("s")[1].outcome
    assert (stored.data, bool(stored.blob)) == (b"", True)
    host.runner("s").die()
    await world.until(lambda: host.runner("s").start.epoch == 2 and world.state("s") == "running")
    assert len(host.runner("s").outcome[0]) == 100_002
    request = cpb.GetHistoryRequest(session_id="s", with_data=True)
    assert len([e async for e in world.control.get_history(request)][1].outcome.data) == 100_002


async def test_a_full_disk_is_said_and_the_session_goes_on_when_there_is_room(make: Make) -> None:
    from perdure_server.core.errors import PerdureError
    from perdure_server.store import Append, Failed

    world = await make([("activity", "a"), ("activity", "b"), ("activity", "c")])
    FakeHost(world)
    submit, failed = world.store.submit, []

    def full(item: Any, on_result: Callable[[Any], None]) -> None:
        if isinstance(item, Append) and item.first_seq >= 3 and not failed:
            failed.append(item)
            on_result(Failed(PerdureError("P0211", "there is no space left")))
        else:
            submit(item, on_result)

    world.store.submit = full  # type: ignore[method-assign]
    await world.start("s")
    with refused("P0211"):
        async for _ in world.control.watch_session(cpb.WatchSessionRequest(session_id="s")):
            pass
    assert "s" not in world.coordinator.actors
    assert await world.coordinator.recovery._sweep(world.clock.now_us()) == 1
    assert (await world.completed("s")).state == "completed"
    assert world.effects["a"] == 1


async def test_thousands_of_suspended_sessions_are_rows_only(make: Make) -> None:
    world = await make([("sleep", 30 * 86400.0)], rules=Rules(suspend_after_s=0))
    FakeHost(world, capacity=50)
    for number in range(300):
        await world.start(f"s{number}")
    await world.until(lambda: all(world.suspended(f"s{n}") for n in range(300)))
    assert not world.coordinator.actors
    assert len(world.coordinator.timers) == 0


async def test_starting_twice_under_one_id_starts_once(make: Make) -> None:
    world = await make([("activity", "a")])
    FakeHost(world)
    await world.start("s")
    await world.start("s")
    await world.completed("s")
    await world.start("s")
    assert world.effects == {"a": 1}


@pytest.mark.parametrize(
    ("code", "fields"),
    [
        ("P0114", {"entry_point": "main"}),
        ("P0201", {"event": b"{"}),
        ("P0212", {"build_id": "c" * 64}),
        ("P0206", {"build_id": "", "project": "nobody"}),
        ("P0103", {"session_id": "a/b"}),
        ("P0402", {"event": b'"' + b"x" * 5_000_000 + b'"'}),
    ],
)
async def test_bad_requests_have_their_codes(make: Make, code: str, fields: dict[str, Any]) -> None:
    world = await make()
    request = {"session_id": "s", "build_id": BUILD, "entry_point": "main.py:run"} | fields
    with refused(code):
        await world.control.start_session(cpb.StartSessionRequest(**request))


async def test_unknown_sessions(make: Make) -> None:
    control = (await make()).control
    for ask in (
        control.get_session(cpb.GetSessionRequest(session_id="x")),
        control.stop_session(cpb.StopSessionRequest(session_id="x")),
        control.signal_session(cpb.SignalSessionRequest(session_id="x", name="n")),
        control.fork_session(cpb.ForkSessionRequest(session_id="x")),
        control.replay_session(cpb.ReplaySessionRequest(session_id="x")),
    ):
        with refused("P0204"):
            await ask

"""What `events show` says of subscriptions: who has had an event, who is still to have it, and where looking ends."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from coordinator_support import BUILD, FakeHost, Step, World
from perdure_proto.v1 import control_pb2 as cpb
from perdure_server.coordinator import lineage
from perdure_server.coordinator.lineage import Lineage
from perdure_server.coordinator.settings import Settings
from perdure_server.coordinator.triggering.deliveries import Bounds
from perdure_server.core.incoming import Incoming
from perdure_server.store import Deployment, Mutation, Transaction

Make = Callable[[list[Step]], Awaitable[World]]
HOOK: Step = ("request", "event.subscribe", {"source": "hook"})
ODD: Step = ("request", "event.subscribe", {"source": "hook", "filter": "data.n % 2 == 1"})


@pytest.fixture(name="make")
async def make_fixture(tmp_path: Path) -> AsyncIterator[Make]:
    worlds: list[World] = []

    def write(tx: Transaction) -> None:
        tx.put_project("shop", 1)
        tx.activate(Deployment("dep_shop", "shop", BUILD, 1, {}, {"connections": [{"name": "hook"}]}))

    async def make(program: list[Step]) -> World:
        world = World(tmp_path, program, Settings(host_timeout_s=1e9))
        worlds.append(world)
        await world.begin()
        await world.store.commit(Mutation(write))
        FakeHost(world)
        return world

    yield make
    for world in worlds:
        await world.coordinator.close()
        world.store.close()


async def send(world: World, n: int, size: int = 0) -> str:
    data = json.dumps({"n": n, "x": "x" * size}).encode()
    return (await world.coordinator.dispatcher.accept(Incoming("shop", "hook", "manual", "test", data))).event_id


async def begun(world: World, session_id: str, subscriptions: int) -> None:
    await world.start(session_id, project="shop")
    await world.until(lambda: world.store.subscriptions_counted(session_id) == subscriptions)


async def told(world: World, event_id: str) -> list[tuple[str, str, str]]:
    event = await world.control.get_event(cpb.GetEventRequest(event_id=event_id))
    assert all((each.state == "taken") == (each.taken_us > 0) for each in event.deliveries)
    assert not event.deliveries_cut
    return [(each.session_id, each.subscription, each.state) for each in event.deliveries]


@pytest.mark.parametrize("size", [0, 200_000])
async def test_it_waits_for_who_is_to_have_it_and_is_taken_by_who_had_it(make: Make, size: int) -> None:
    world = await make([HOOK, ODD, ("sleep", 5.0), ("event", None, ".1"), ("signal", "go"), ("event", None, ".2")])
    early = await send(world, 1, size)
    await begun(world, "s", 2)
    odd, even = await send(world, 3, size), await send(world, 4, size)
    assert await told(world, early) == []
    assert await told(world, odd) == [("s", ".1", "waiting"), ("s", ".2", "waiting")]
    assert await told(world, even) == [("s", ".1", "waiting")]
    world.clock.advance(6.0)
    await world.until(lambda: world.kinds("s") == "WXWXWXWXW")
    assert await told(world, odd) == [("s", ".1", "taken"), ("s", ".2", "waiting")]
    await world.control.signal_session(cpb.SignalSessionRequest(session_id="s", name="go", payload=b"1"))
    await world.completed("s")
    assert await told(world, odd) == [("s", ".1", "taken"), ("s", ".2", "taken")], "the session has ended"
    assert await told(world, even) == [], "it ended before it asked for this one"


async def test_what_a_fork_shares_it_has_not_taken_itself(make: Make) -> None:
    world = await make([HOOK, ("sleep", 5.0), ("event", None, ".1")])
    await begun(world, "s", 1)
    event = await send(world, 1)
    await world.completed("s", turning=1.0)
    later = await world.control.fork_session(cpb.ForkSessionRequest(session_id="s", from_seq=6))
    again = await world.control.fork_session(cpb.ForkSessionRequest(session_id="s", from_seq=2))
    for fork in (later, again):
        await world.completed(fork.session_id, turning=1.0)
    assert await told(world, event) == [("s", ".1", "taken"), (again.session_id, ".1", "taken")]


async def test_what_code_took_past_the_journal_was_taken(make: Make) -> None:
    world = await make([HOOK, ("hang",)])
    await begun(world, "s", 1)
    event = await send(world, 1)
    got = await world.coordinator.subscriptions.take_next("s", (".1",))
    assert got["event_id"] == event
    assert await told(world, event) == [("s", ".1", "taken")]


async def test_sessions_and_events_that_go_take_it_with_them(make: Make) -> None:
    world = await make([HOOK, ("event", None, ".1")])
    for name in ("s", "t"):
        await begun(world, name, 1)
    event = await send(world, 1)
    for name in ("s", "t"):
        await world.completed(name)
    assert await told(world, event) == [("s", ".1", "taken"), ("t", ".1", "taken")]
    await world.store.commit(Mutation(lambda tx: tx.delete_session("s")))
    assert await told(world, event) == [("t", ".1", "taken")]
    seq = world.store.event(event).seq
    await world.store.commit(Mutation(lambda tx: tx.delete_events_before(2**62)))
    assert world.store.deliveries(seq, 10) == []


@pytest.mark.parametrize("wait", [("event", None, ".1"), ("hang",)])
@pytest.mark.parametrize("bounds", [Bounds(deliveries=2), Bounds(subscriptions=2)])
async def test_looking_ends_at_bounds_and_says_so(make: Make, bounds: Bounds, wait: Step) -> None:
    world = await make([HOOK, wait, ("hang",)])
    taken = wait[0] == "event"
    for name in ("s", "t", "u"):
        await begun(world, name, 1)
    event_id = await send(world, 1)
    await world.until(lambda: not taken or all(world.kinds(name) == "WXWX" for name in ("s", "t", "u")))
    world.coordinator.deliveries.bounds = bounds
    event = await world.control.get_event(cpb.GetEventRequest(event_id=event_id))
    whole = taken and bounds.deliveries > 3  # no filter is asked of those that have it
    assert (len(event.deliveries), event.deliveries_cut) == (3 if whole else 2, not whole)
    world.coordinator.deliveries.bounds = Bounds()
    assert [name for name, *_ in await told(world, event_id)] == ["s", "t", "u"]


async def test_sending_does_not_look(make: Make) -> None:
    world = await make([HOOK, ("event", None, ".1"), ("hang",)])
    await begun(world, "s", 1)
    event = await world.control.send_event(cpb.SendEventRequest(project="shop", source="hook", data=b'{"n":1}'))
    assert (event.taken, len(event.deliveries)) == (1, 0)


def test_lineage_says_who_has_recorded_what() -> None:
    first = Lineage().of_fork("a", 7, 12)
    assert str(first) == "a@12;7"
    assert str(first.of_fork("b", 8, 30)) == "b@30,a@12;7"
    assert str(first.of_fork("b", 8, 5)) == "b@5,a@5;7"
    assert str(lineage.parse("b@5,a@5;7").of_fork("c", 9, 9)) == "c@9,a@5;7", "b has recorded none of it"
    assert str(first.of_fork("b", 8, 0)) == "b@0"
    assert lineage.source_of("b@30,a@12;7") == "b"
    assert lineage.parse("b@30,a@12;7") == Lineage((("b", 30), ("a", 12)), 7)  # type: ignore[arg-type]  # equal
    assert (lineage.source_of("old"), lineage.parse("old").ancestors[0].upto_seq, lineage.parse("")) == (
        "old",
        0,
        Lineage(),
    )
    many = Lineage()
    for n in range(1, 2 * lineage.MOST):
        many = many.of_fork(f"s{n}", n, n)
        assert lineage.is_text(str(many))
        assert lineage.parse(str(many)) == many
    assert len(many.ancestors) == lineage.MOST
    assert not lineage.is_text(str(many).replace(";", ",x@1;"))
    assert not lineage.is_text("a@x")

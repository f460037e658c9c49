"""Who a webhook is taken by: a coordinator that answers, refuses, does nothing, dies; and what is promised then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from perdure_server.core.errors import PerdureError
from perdure_server.gateway import inbox as inboxes
from perdure_server.gateway import refused, taking, upstream
from wire_support import FakeCoordinator, Gateway, event


@pytest.fixture(name="gateway")
async def gateway_fixture(tmp_path: Path) -> AsyncIterator[Gateway]:
    gateway = Gateway(tmp_path / "inbox.db")
    yield gateway
    await gateway.close()


@pytest.fixture(name="coordinator")
async def coordinator_fixture(gateway: Gateway) -> FakeCoordinator:
    coordinator = FakeCoordinator()
    await coordinator.begin(gateway.upstream)
    return coordinator


def left(gateway: Gateway) -> list[str]:
    """Data of what is in the inbox."""
    rows = gateway.inbox._db.execute("SELECT data FROM inbox ORDER BY seq").fetchall()
    return [data.decode() for (data,) in rows]


async def emptied(gateway: Gateway) -> None:
    async with asyncio.timeout(30):
        while left(gateway):
            await asyncio.sleep(0.01)


async def test_what_a_coordinator_takes_in_time_is_not_in_the_inbox(
    gateway: Gateway, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "PATIENCE_S", 30)
    accepting = asyncio.create_task(gateway.taking.accept(event("1")))
    header, payload = await coordinator.next()
    coordinator.take(header)
    assert (await accepting).event_id == header["event_id"]
    assert payload == b"1"
    assert gateway.inbox._db.execute("SELECT max(seq) FROM inbox").fetchone() == (None,)


async def test_what_a_coordinator_refuses_in_time_is_refused(
    gateway: Gateway, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "PATIENCE_S", 30)
    accepting = asyncio.create_task(gateway.taking.accept(event("1")))
    coordinator.refuse((await coordinator.next())[0])
    with pytest.raises(PerdureError, match="no room"):
        await accepting
    assert not coordinator.heard
    assert left(gateway) == []


async def test_an_answer_that_comes_while_the_inbox_writes_is_the_answer(
    gateway: Gateway, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused is refused: it is not sent again."""
    monkeypatch.setattr(taking, "PATIENCE_S", 0)
    keep = gateway.inbox.keep

    async def slowly(incoming: object) -> None:
        await keep(incoming)  # type: ignore[arg-type]
        coordinator.refuse((await coordinator.next())[0])
        await asyncio.wait([each.answer for each in gateway.upstream._asked.values()])

    monkeypatch.setattr(gateway.inbox, "keep", slowly)
    with pytest.raises(PerdureError, match="no room"):
        await gateway.taking.accept(event("1"))
    await emptied(gateway)
    assert not gateway.upstream._asked


async def test_duplicates_are_told_the_id_that_the_event_has(gateway: Gateway, coordinator: FakeCoordinator) -> None:
    """While the first is on its way, while it is in the inbox, and when the coordinator has it: it is asked once."""
    once = [gateway.taking.accept(event("1", dedup="d")) for _ in range(3)]
    first, *others = await asyncio.gather(*once)
    assert first.new
    assert {(each.event_id, each.new) for each in others} == {(first.event_id, False)}
    kept = await gateway.taking.accept(event("1", dedup="d"))
    assert (kept.event_id, kept.new) == (first.event_id, False)
    assert (await gateway.taking.accept(event("1", "q", dedup="d"))).event_id != first.event_id
    assert left(gateway) == ["1", "1"]
    for expected in ("p", "q"):
        header, _ = await coordinator.next()
        assert header["project"] == expected
        coordinator.take(header)
    await emptied(gateway)
    accepting = asyncio.create_task(gateway.taking.accept(event("1", dedup="d")))
    assert (await coordinator.next())[0]["event_id"] == first.event_id
    await accepting


async def test_duplicates_of_what_is_refused_are_refused(
    gateway: Gateway, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "PATIENCE_S", 30)
    accepting = asyncio.gather(
        *(gateway.taking.accept(event("1", dedup="d")) for _ in range(2)), return_exceptions=True
    )
    coordinator.refuse((await coordinator.next())[0])
    assert [error.code for error in await accepting if isinstance(error, PerdureError)] == ["P0614"] * 2
    assert not coordinator.heard


async def test_the_next_coordinator_is_asked_in_the_order_of_the_first_questions(
    gateway: Gateway, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the dead one had before it comes first; then what came since."""
    monkeypatch.setattr(upstream, "AT_ONCE", 2)
    for number in range(4):
        await gateway.taking.accept(event(str(number)))
    assert [(await coordinator.next())[1] for _ in range(2)] == [b"0", b"1"]
    assert not coordinator.heard  # the others wait
    coordinator.wire.close()
    while gateway.upstream.is_there:
        await asyncio.sleep(0.01)
    await gateway.taking.accept(event("4"))
    second = FakeCoordinator()
    await second.begin(gateway.upstream)
    for number in range(5):
        header, payload = await second.next()
        assert payload.decode() == str(number)
        second.take(header)
    await emptied(gateway)


@pytest.mark.usefixtures("coordinator")
async def test_a_gateway_takes_up_what_the_one_before_has_promised(gateway: Gateway, tmp_path: Path) -> None:
    """In order, and as promised: what is not deployed any more is taken all the same."""
    promised = [await gateway.taking.accept(event(str(number), memo={"a": "ä\ud800"})) for number in range(5)]
    again = Gateway(tmp_path / "inbox.db")
    again.taking.take_up()
    coordinator = FakeCoordinator()
    await coordinator.begin(again.upstream)
    for number, accepted in enumerate(promised):
        header, payload = await coordinator.next()
        assert (header["event_id"], header["promised"], payload.decode()) == (accepted.event_id, True, str(number))
        coordinator.take(header)
    await emptied(again)
    await again.close()


async def test_what_was_promised_and_is_refused_is_sent_again_and_holds_up_nothing(
    gateway: Gateway, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In its order, one at a time, and told of once for all."""
    told: list[str] = []
    monkeypatch.setattr(refused.log, "warning", lambda text, *values: told.append(text % values))
    monkeypatch.setattr(refused, "_AGAIN_S", (0.01, 0.01))
    monkeypatch.setattr(refused, "_TELL_S", 3600.0)
    for number in range(20):
        await gateway.taking.accept(event(str(number)))
    for _ in range(20):
        header, _ = await coordinator.next()
        assert not header["promised"]
        coordinator.refuse(header)
    again = []
    for _ in range(60):  # three rounds
        header, payload = await coordinator.next()
        assert header["promised"]
        assert not coordinator.heard
        again.append(payload.decode())
        coordinator.refuse(header)
    assert again == [str(number) for number in range(20)] * 3
    accepting = asyncio.create_task(gateway.taking.accept(event("other", "q")))
    taken: list[str] = []
    while len(taken) < 21:
        header, payload = await coordinator.next()
        taken.append(payload.decode())
        coordinator.take(header)
    assert [each for each in taken if each != "other"] == [str(number) for number in range(20)]
    await accepting
    await emptied(gateway)
    assert [each.rpartition(": ")[2] for each in told] == ["no room"]


async def test_a_full_inbox_promises_nothing_and_the_coordinator_gets_nothing_of_it(
    gateway: Gateway, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a stopped coordinator is not told waits nowhere: neither in memory, nor to be taken later."""
    monkeypatch.setattr(inboxes, "BYTES", 4_000_000)
    await gateway.taking.accept(event("1"))
    coordinator.wire._transport.pause_reading()  # type: ignore[union-attr]  # as one that is stopped
    big = b"x" * 900_000
    for number in range(4):
        await gateway.taking.accept(event(big, f"p{number}"))
    for number in range(40):
        with pytest.raises(PerdureError) as full:
            await asyncio.wait_for(gateway.taking.accept(event(big, f"q{number}")), 30)
        assert full.value.code == "P0207"
    written = gateway.upstream._wire._transport.get_write_buffer_size()  # type: ignore[union-attr]
    assert written < 2_000_000
    assert len(gateway.upstream._line) <= 5
    coordinator.wire._transport.resume_reading()  # type: ignore[union-attr]
    for _ in range(5):
        coordinator.take((await coordinator.next())[0])
    await emptied(gateway)
    assert not coordinator.heard
    assert not gateway.upstream._asked


async def test_who_finds_no_room_waits_for_a_coordinator_that_was_told(
    gateway: Gateway, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may take it: to refuse it would be a lie."""
    monkeypatch.setattr(inboxes, "EVENTS", 0)
    accepting = asyncio.create_task(gateway.taking.accept(event("1")))
    header, _ = await coordinator.next()
    await asyncio.sleep(taking.PATIENCE_S * 3)
    assert not accepting.done()
    coordinator.wire.close()
    second = FakeCoordinator()
    await second.begin(gateway.upstream)
    again, _ = await second.next()
    assert again["event_id"] == header["event_id"]
    second.take(again)
    assert (await accepting).event_id == header["event_id"]


async def test_thousands_who_need_the_same_answer_are_one_question(
    gateway: Gateway, coordinator: FakeCoordinator
) -> None:
    """As after a deployment, while the coordinator is slow: none of them is refused."""
    finding = [asyncio.create_task(gateway.tables.find("p/in")) for _ in range(2000)]
    coordinator.found((await coordinator.next("find"))[0])
    assert {found.project for found in await asyncio.gather(*finding)} == {"p"}
    assert not coordinator.heard
    gateway.tables.changed("p")
    finding = [asyncio.create_task(gateway.tables.find("p/in")) for _ in range(2000)]
    await asyncio.sleep(0)
    gateway.tables.changed("p")  # what was asked before may be older than this
    finding += [asyncio.create_task(gateway.tables.find("p/in")) for _ in range(2000)]
    asked = [await coordinator.next("find") for _ in range(4)]
    for header, _ in asked:
        coordinator.found(header)
    assert len({found.project for found in await asyncio.gather(*finding)}) == 1
    assert not coordinator.heard


async def test_an_event_that_is_too_large_is_refused_before_it_is_kept(gateway: Gateway) -> None:
    coordinator = FakeCoordinator()
    await coordinator.begin(gateway.upstream, event_bytes=10)
    with pytest.raises(PerdureError) as refusal:
        await gateway.taking.accept(event(b"x" * 11))
    assert refusal.value.code == "P0231"


# --- what receives webhooks -------------------------------------------------------------------------------------------


async def test_a_deployments_webhooks_are_known_before_anybody_asks(gateway: Gateway) -> None:
    """So they are while there is no coordinator, by path and by slug."""
    coordinator = FakeCoordinator()
    await coordinator.begin(gateway.upstream, ("p",))
    coordinator.found((await coordinator.next("find"))[0])
    coordinator.wire.say({"t": "changed", "project": "q"})
    header, _ = await coordinator.next("find")
    assert header["first"] == "q"
    coordinator.found(header, "q", "other")
    while len(gateway.tables._known) < 4:
        await asyncio.sleep(0.01)
    coordinator.wire.close()
    while gateway.upstream.is_there:
        await asyncio.sleep(0.01)
    for path, project in (("p/in", "p"), ("slug", "p"), ("slug/more", "p"), ("q/in/x", "q"), ("other", "q")):
        assert (await gateway.tables.find(path)).project == project


async def test_an_answer_that_is_older_than_a_change_is_used_once_and_not_kept(
    gateway: Gateway, coordinator: FakeCoordinator
) -> None:
    finding = asyncio.create_task(gateway.tables.find("p/in"))
    old, _ = await coordinator.next("find")
    coordinator.wire.say({"t": "changed", "project": "p"})
    again, _ = await coordinator.next("find")  # by itself
    coordinator.found(old, slug="old")
    assert (await finding).project == "p"
    assert not gateway.tables._known
    coordinator.found(again, slug="new")
    while not gateway.tables._known:
        await asyncio.sleep(0.01)
    assert set(gateway.tables._known) == {"p", "new"}


async def test_what_strangers_ask_for_is_not_kept_and_few_of_them_wait(
    gateway: Gateway, coordinator: FakeCoordinator
) -> None:
    for number in range(10):
        finding = asyncio.create_task(gateway.tables.find(f"no{number}/x"))
        header, _ = await coordinator.next("find")
        coordinator.wire.say({"t": "found", "id": header["id"], "tables": []})
        with pytest.raises(PerdureError) as nothing:
            await finding
        assert nothing.value.code == "P0223"
    assert not gateway.tables._known
    coordinator.wire.close()
    while gateway.upstream.is_there:
        await asyncio.sleep(0.01)
    waiting = [asyncio.create_task(gateway.tables.find(f"no{number}/x")) for number in range(500)]
    await asyncio.sleep(0)
    with pytest.raises(PerdureError) as away:
        await gateway.tables.find("one/more")
    assert away.value.code == "P0207"
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)


async def test_very_many_who_ask_for_what_there_is_not_leave_events_their_turn(
    gateway: Gateway, coordinator: FakeCoordinator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(taking, "PATIENCE_S", 60)
    asking = [asyncio.create_task(gateway.tables.find(f"no{number}/x")) for number in range(500)]
    await asyncio.sleep(0)
    accepting = asyncio.create_task(gateway.taking.accept(event("1")))
    coordinator.take((await coordinator.next())[0])  # it has answered none of them
    await accepting
    for _ in asking:
        header, _ = await coordinator.next("find")
        coordinator.wire.say({"t": "found", "id": header["id"], "tables": []})
    answers = await asyncio.gather(*asking, return_exceptions=True)
    assert {error.code for error in answers if isinstance(error, PerdureError)} == {"P0223"}


async def test_connections_are_known_as_webhooks_are(gateway: Gateway, coordinator: FakeCoordinator) -> None:
    """By their slugs alone, which are no webhooks', also while there is no coordinator; and gone when it says so."""
    coordinator.wire.say({"t": "changed", "project": "p"})
    coordinator.found((await coordinator.next("find"))[0], connections=("c1", "c2"))
    while len(gateway.tables._known) < 4:
        await asyncio.sleep(0.01)
    coordinator.wire.close()
    while gateway.upstream.is_there:
        await asyncio.sleep(0.01)
    assert [(await gateway.tables.connection(slug)).name for slug in ("c1", "c2")] == ["of c1", "of c2"]
    tables = gateway.tables
    for find, path in ((tables.find, "c1"), (tables.connection, "slug"), (tables.connection, "p")):
        with pytest.raises(PerdureError) as nothing:
            await find(path)
        assert nothing.value.code == "P0223"
    second = FakeCoordinator()
    await second.begin(gateway.upstream)
    second.found((await second.next("find"))[0], connections=("c2",))
    while "c1" in gateway.tables._known:
        await asyncio.sleep(0.01)
    assert set(gateway.tables._known) == {"p", "slug", "c2"}
    second.wire.say({"t": "changed", "project": "p"})
    await second.next("find")
    assert not gateway.tables._known
    assert not gateway.tables._names


async def test_the_next_coordinator_is_asked_once_for_each_project(
    gateway: Gateway, coordinator: FakeCoordinator
) -> None:
    """Not for each of its addresses, of which there may be very many."""
    coordinator.wire.say({"t": "changed", "project": "p"})
    coordinator.found((await coordinator.next("find"))[0], connections=tuple(f"c{number}" for number in range(100)))
    while len(gateway.tables._known) < 102:
        await asyncio.sleep(0.01)
    second = FakeCoordinator()
    await second.begin(gateway.upstream, ("p", "q"))
    for project in ("p", "q"):
        header, _ = await second.next("find")
        assert header["first"] == project
        second.wire.say({"t": "found", "id": header["id"], "tables": []})
    while gateway.tables._known:
        await asyncio.sleep(0.01)
    await gateway.taking.accept(event("1"))  # comes after whatever else there was to ask
    await second.next()
    assert not second.heard

"""What sessions ask of the coordinator: done once with the row that answers it, or refused without a trace."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from coordinator_support import FakeHost, Step, World
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.coordinator import writer
from perdure_server.coordinator.requests import OPERATIONS
from perdure_server.coordinator.requests.failing import Failures
from perdure_server.coordinator.requests.operations import Answer, Asker, Body, Entry
from perdure_server.coordinator.settings import Settings
from perdure_server.store import BlobStore, Transaction

Make = Callable[..., Awaitable[World]]
ADD: Step = ("request", "store.add", {"key": "n", "operand": 1})
ANSWERED = jpb.RESOLUTION_KIND_ANSWERED
REFUSED = jpb.RESOLUTION_KIND_REFUSED


@pytest.fixture(name="make")
async def make_fixture(tmp_path: Path) -> AsyncIterator[Make]:
    worlds: list[World] = []

    async def make(program: list[Step], **settings: Any) -> World:
        world = World(tmp_path, program, Settings(**{"host_timeout_s": 1e9} | settings))
        worlds.append(world)
        await world.begin()
        return world

    yield make
    for world in worlds:
        await world.coordinator.close()
        world.store.close()


def stored(world: World, key: str = "n") -> Any:
    row = world.store.stored_value("shop", key)
    return row and json.loads(row.value)


def resolutions(world: World) -> list[jpb.Resolution]:
    return [entry.resolution for entry in world.journal("s") if entry.kind == jpb.ENTRY_KIND_RESOLVED]


async def test_a_request_is_answered_in_the_journal(make: Make) -> None:
    world = await make([ADD, ("activity", "a"), ADD])
    FakeHost(world)
    await world.start("s", project="shop")
    await world.completed("s")
    assert world.kinds("s") == "WXSAWX"
    assert [(how.kind, how.payload.data) for how in resolutions(world)] == [(ANSWERED, b"1"), (ANSWERED, b"2")]
    assert stored(world) == 2


async def test_a_session_that_asks_is_not_seen_to_wait(make: Make) -> None:
    world = await make([ADD])
    FakeHost(world)
    seen: list[str] = []
    world.coordinator.publish_session = lambda actor: seen.append(actor.state.phase.value)  # type: ignore[method-assign]
    await world.start("s", project="shop")
    await world.completed("s")
    assert "waiting" not in seen


async def test_what_is_refused_changes_nothing_and_ends_nothing(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(tx: Transaction, asker: Asker, body: Body) -> Answer:
        OPERATIONS["store.set"].run(tx, asker, body)
        raise ZeroDivisionError

    monkeypatch.setitem(OPERATIONS, "half", Entry(half, OPERATIONS["store.set"].prepare))
    world = await make(
        [
            ("request", "half", {"key": "n", "value": 1}),
            ("request", "no.such", {}),
            ("request", "store.get", [1]),
            ("request", "store.get", {"key": "\ud800"}),
            ADD,
        ]
    )
    FakeHost(world)
    await world.start("s", project="shop")
    await world.completed("s")
    *refused, last = resolutions(world)
    assert [how.kind for how in refused] == [REFUSED] * 4
    assert [json.loads(how.payload.data)["code"] for how in refused] == ["P0703", "P0232", "P0103", "P0201"]
    assert last.payload.data == b"1"
    assert stored(world) == 1


async def test_a_fault_of_ours_is_told_as_ours_and_logged_now_and_then(
    make: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_tx: Transaction, _asker: Asker, body: Body) -> Answer:
        raise ZeroDivisionError(body["n"])

    async def unprepared(_c: object, _asker: Asker, body: Body) -> Body:
        raise KeyError(body["n"])

    monkeypatch.setitem(OPERATIONS, "broken", Entry(broken))
    monkeypatch.setitem(OPERATIONS, "unprepared", Entry(broken, unprepared))
    asked: list[Step] = [("request", name, {"n": n}) for n in range(5) for name in ("broken", "unprepared")]
    world = await make([*asked, ("sleep", 90.0), *asked, ("hang",)])
    host = FakeHost(world)
    await world.start("s", project="shop")
    await world.until(lambda: world.kinds("s") == "WX" * 10 + "W")  # time stands still while anything fails
    await world.until(lambda: world.suspended("s"), turning=1.0)
    await world.until(lambda: world.kinds("s").startswith("WX" * 11), turning=10.0)
    await world.until(lambda: world.kinds("s") == "WX" * 21)
    refused = [json.loads(how.payload.data)["code"] for how in resolutions(world) if how.kind == REFUSED]
    assert refused == ["P0703"] * 20
    tracebacks = [record for record in caplog.records if record.exc_info and "P0703" in record.getMessage()]
    first, again = tracebacks[:2], tracebacks[2:]
    assert [record.exc_info[0] for record in first if record.exc_info] == [ZeroDivisionError, KeyError]
    assert len(again) == 2
    assert all("4 times" in record.getMessage() for record in again)

    answers: list[rpb.Answer] = []
    told = host.tell
    host.tell = lambda runner, kind, body: answers.append(body) if kind == "answer" else told(runner, kind, body)  # type: ignore[method-assign]
    host.send(ask=rpb.Ask(id=1, operation="broken", body=b'{"n":1}', **host.runner("s").name))
    await world.until(lambda: answers)
    assert answers[0].error.code == "P0703"


def test_the_log_is_not_flooded_by_many_kinds_of_faults(caplog: pytest.LogCaptureFixture) -> None:
    failures = Failures()
    for number in range(1_000):
        failures.refusal(f"operation {number}", "s", ValueError(), 0)
    assert len(caplog.records) < 100
    caplog.clear()
    failures.refusal("operation 999", "s", ValueError(), 60_000_000)
    assert len(caplog.records) == 1


@pytest.mark.parametrize("size", [1, 100_000])
@pytest.mark.parametrize("restart", [False, True])
async def test_a_request_that_nobody_answered_is_answered_to_the_next_runner(
    make: Make, size: int, restart: bool
) -> None:
    world = await make([("request", "store.set", {"key": "k", "value": "x" * size})], value_bytes=1 << 20)
    FakeHost(world).dies_at_waits = True
    await world.start("s", project="shop")
    await world.until(lambda: world.kinds("s") == "W" and not len(world.coordinator.hosts))
    assert stored(world, "k") is None
    if restart:
        await world.restart()
    FakeHost(world)
    await world.completed("s", turning=0.1)
    assert world.kinds("s") == "WX"
    assert stored(world, "k") == "x" * size


async def test_a_write_that_fails_for_a_reason_nobody_foresaw_holds_nothing_back(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    spill, failed = writer.spill, []

    def fails_once(entry: jpb.Entry, blobs: BlobStore) -> None:
        if not failed:
            failed.append(entry.seq)
            raise OSError("the disk is in a bad mood")
        spill(entry, blobs)

    monkeypatch.setattr(writer, "spill", fails_once)
    world = await make([("request", "store.set", {"key": "k", "value": "x" * 100_000})], value_bytes=1 << 20)
    FakeHost(world)
    await world.start("s", project="shop")
    await world.completed("s", turning=0.1)
    assert (failed, world.kinds("s"), stored(world, "k")) == ([1], "WX", "x" * 100_000)


async def test_an_answer_that_a_dead_runner_did_not_hear_is_not_made_again(make: Make) -> None:
    world = await make([ADD, ADD])
    host = FakeHost(world)
    await world.start("s", project="shop")
    told = host.tell

    def dies(runner: Any, kind: str, body: Any) -> None:
        if kind == "resolved":
            host.tell = told  # type: ignore[method-assign]
            runner.die()
        else:
            told(runner, kind, body)

    host.tell = dies  # type: ignore[method-assign]
    await world.completed("s")
    assert world.kinds("s") == "WXWX"
    assert stored(world) == 2


async def test_a_sealed_request_is_read_and_done(make: Make) -> None:
    world = await make([ADD])
    FakeHost(world).dies_at_waits = True
    await world.start("s", project="shop")
    world.coordinator.vault.make_ready()
    world.coordinator.actors["s"].knows_secrets = True
    await world.until(lambda: world.kinds("s") == "W" and not len(world.coordinator.hosts))
    assert b"operand" not in world.store.entries("s")[0]
    FakeHost(world)
    await world.completed("s")
    assert stored(world) == 1


async def test_large_answers_go_to_the_blob_store_and_reach_every_runner(make: Make) -> None:
    value = "y" * 200_000
    world = await make(
        [
            ("request", "store.set", {"key": "k", "value": value}),
            ("request", "store.get", {"key": "k"}),
            ("sleep", 30.0),
        ],
        value_bytes=1 << 20,
    )
    host = FakeHost(world)
    await world.start("s", project="shop")
    await world.until(lambda: world.state("s") == "waiting")
    assert host.runner("s").outcome[-1] == json.dumps(value).encode()
    assert [bool(how.payload.blob) for how in resolutions(world)] == [False, True]
    world.clock.advance(1.0)
    await world.until(lambda: world.suspended("s"))
    await world.completed("s", turning=5.0)
    assert host.runner("s").outcome[1] == json.dumps(value).encode()


async def test_what_follows_an_operation_happens_even_if_the_session_is_gone(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []

    def run(_tx: Transaction, asker: Asker, _body: Body) -> Answer:
        if (actor := world.coordinator.actors.get("s")) is not None:
            actor.drop()  # while its answer is being written
        return Answer(None, lambda c: done.append(asker.place))

    monkeypatch.setitem(OPERATIONS, "told", Entry(run))
    world = await make([("request", "told", {})])
    FakeHost(world)
    await world.start("s", project="shop")
    await world.until(lambda: done)
    assert done == [".1"]


async def test_code_that_is_not_recorded_asks_past_the_journal(make: Make) -> None:
    world = await make([("hang",)])
    host = FakeHost(world)
    answers: list[rpb.Answer] = []
    told = host.tell
    host.tell = lambda runner, kind, body: answers.append(body) if kind == "answer" else told(runner, kind, body)  # type: ignore[method-assign]
    await world.start("s", project="shop")
    await world.until(lambda: world.state("s") == "running")
    runner = host.runner("s")

    def ask(number: int, operation: str, body: object, **more: int) -> None:
        name = runner.name | more
        host.send(ask=rpb.Ask(id=number, operation=operation, body=json.dumps(body).encode(), **name))

    ask(1, "store.add", {"key": "n", "operand": 1})
    ask(2, "store.add", {"key": "n", "operand": "?"})
    ask(3, "no.such", {})
    ask(4, "store.add", {"key": "n", "operand": 1}, epoch=7)
    await world.until(lambda: len(answers) == 3)
    by_id = {answer.id: answer for answer in answers}
    assert (by_id[1].body, by_id[2].error.code, by_id[3].error.code) == (b"1", "P0224", "P0232")
    assert stored(world) == 1
    assert world.kinds("s") == ""


async def test_questions_past_the_journal_are_bounded(make: Make) -> None:
    world = await make([("hang",)])
    host = FakeHost(world)
    answers: list[rpb.Answer] = []
    told = host.tell
    host.tell = lambda runner, kind, body: answers.append(body) if kind == "answer" else told(runner, kind, body)  # type: ignore[method-assign]
    await world.start("s", project="shop")
    await world.until(lambda: world.state("s") == "running")
    for number in range(1, 66):
        body = json.dumps({"names": ["go"], "timeout": 5}).encode()
        host.send(ask=rpb.Ask(id=number, operation="signal.next", body=body, **host.runner("s").name))
    await world.until(lambda: answers)
    assert [(answer.id, answer.error.code) for answer in answers] == [(65, "P0613")]
    world.clock.advance(6.0)
    await world.until(lambda: len(answers) == 65)
    assert {answer.body for answer in answers[1:]} == {b"null"}

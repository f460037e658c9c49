"""Synchronous triggers: the caller gets what a session answers, or learns in time that none will."""

from __future__ import annotations

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from coordinator_support import FakeHost, World
from hypothesis import given
from hypothesis import strategies as st
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.store import Mutation
from perdure_server.web import sync
from web_support import Web

MANIFEST = """
triggers:
  ask: {webhook: {path: ask, dedup_header: X-Id, timeout: 20s}, call: main.py:main, sync: true}
  hasty: {webhook: {path: hasty, timeout: 100ms}, call: main.py:main, sync: true}
  picky: {webhook: picky, call: main.py:main, sync: true, filter: "false"}
"""


@pytest.fixture(name="hooks")
async def hooks_fixture(web: Web, tmp_path: Path) -> None:
    await web.deploy(tmp_path / "p", MANIFEST)


async def asked(web: Web, **more: Any) -> tuple[asyncio.Task[httpx.Response], str, str]:
    """A request that waits for its answer: with its event and its session."""
    coming = asyncio.create_task(web.client.post("/webhooks/p/ask", **more))
    await web.world.until(lambda: web.world.store.events("p"))
    event_id = web.world.store.events("p")[0].event_id
    return coming, event_id, web.sessions(event_id)[0]


async def say(web: Web, event_id: str, value: Any) -> None:
    """As a session does by `perdure.outcome`."""
    said = json.dumps(value).encode()
    await web.world.store.commit(Mutation(lambda tx: tx.add_outcome(event_id, "s", said, 1)))
    web.world.coordinator.outcomes.told(event_id)


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """What it says, and of which event; who operates the server finds the session by that."""
    told = answer.json()
    assert told["error"]["help"] == f"perdure events show {told['event_id']}"
    return answer.status_code, told["error"]["code"], told["event_id"]


async def test_status_headers_and_body_are_the_sessions(web: Web, hooks: None) -> None:
    coming, event_id, _ = await asked(web)
    headers = {"X-Shop": "ä", "Content-Length": "3", "Connection": "close", "bad name": "x", "X-Two": "a\r\nb: c"}
    await say(web, event_id, {"status_code": 418, "json": {"n": [1]}, "body": None, "headers": headers, "more": False})
    answer = await coming
    assert (answer.status_code, answer.json()) == (418, {"n": [1]})
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-shop"] == "ä"
    assert answer.headers["perdure-event-id"] == event_id
    assert not {"bad name", "x-two", "b"} & set(answer.headers)


async def test_any_other_value_is_the_body(web: Web, hooks: None) -> None:
    coming, event_id, _ = await asked(web)
    await say(web, event_id, ["plain", None])
    answer = await coming
    assert (answer.status_code, answer.json()) == (200, ["plain", None])


async def test_an_answer_comes_in_pieces(web: Web, hooks: None) -> None:
    seen: list[str] = []

    async def read() -> httpx.Response:
        async with web.client.stream("POST", "/webhooks/p/ask") as answer:
            async for piece in answer.aiter_text():
                seen.append(piece)
        return answer

    coming = asyncio.create_task(read())
    await web.world.until(lambda: web.world.store.events("p"))
    event_id = web.world.store.events("p")[0].event_id
    await say(web, event_id, {"status_code": 202, "body": "one ", "more": True, "headers": {"X-A": "b"}})
    await web.world.until(lambda: seen)  # before the next one is said
    assert seen == ["one "]
    await say(web, event_id, {"status_code": 500, "body": "two", "more": False})
    answer = await coming
    assert (answer.status_code, answer.headers["x-a"], "".join(seen)) == (202, "b", "one two")


async def test_who_asks_again_gets_the_same_answer(web: Web, hooks: None) -> None:
    coming, event_id, _ = await asked(web, headers={"x-id": "1"})
    again = asyncio.create_task(web.client.post("/webhooks/p/ask", headers={"x-id": "1"}))
    await say(web, event_id, {"status_code": 201, "body": "made", "more": False})
    late = await web.client.post("/webhooks/p/ask", headers={"x-id": "1"})
    answers = [await coming, await again, late]
    assert [(each.status_code, each.text, each.headers["perdure-event-id"]) for each in answers] == [
        (201, "made", event_id)
    ] * 3


async def test_nobody_answers_in_time(web: Web, hooks: None) -> None:
    answer = await web.client.post("/webhooks/p/hasty")
    event_id = answer.headers["perdure-event-id"]
    assert refusal(answer) == (504, "P0236", event_id)
    assert web.world.state(web.sessions(event_id)[0]) == "created"  # it goes on


async def test_a_caller_that_leaves_is_waited_for_no_longer(web: Web, hooks: None) -> None:
    waiting = web.world.coordinator.outcomes._waiting
    async with web.bare() as (_, writer):
        writer.write(b"POST /webhooks/p/ask HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
        await web.world.until(lambda: waiting)
    await web.world.until(lambda: not waiting)
    (event,) = web.world.store.events("p")
    assert web.world.state(web.sessions(event.event_id)[0]) == "created"  # it goes on


async def test_nobody_is_there_to_answer(web: Web, hooks: None) -> None:
    answer = await web.client.post("/webhooks/p/picky")
    event_id = answer.headers["perdure-event-id"]
    assert refusal(answer) == (502, "P0236", event_id)
    assert answer.json()["error"]["message"] == "no session got the event"
    assert web.world.store.event(event_id) is not None


async def test_a_session_ends_without_an_answer(web: Web, world: World, hooks: None) -> None:
    FakeHost(world)
    answer = await web.client.post("/webhooks/p/ask")
    assert refusal(answer) == (502, "P0236", answer.headers["perdure-event-id"])


async def test_a_session_that_had_the_event_ends_without_an_answer(web: Web, world: World, hooks: None) -> None:
    FakeHost(world)
    subscribes = ("request", "event.subscribe", {"source": "picky"})
    await world.start("s", [subscribes, ("event", None, ".1")], project="p")
    await world.until(lambda: world.store.subscriptions_counted("s"))
    answer = await web.client.post("/webhooks/p/picky")
    assert refusal(answer) == (502, "P0236", answer.headers["perdure-event-id"])
    assert answer.json()["error"]["message"] == "the session ended without an answer"


async def test_a_session_fails_before_it_answers(web: Web, world: World, hooks: None) -> None:
    world.program = [("hang",)]
    host = FakeHost(world)
    coming, event_id, session_id = await asked(web)
    await world.until(lambda: session_id in host.runners)
    host.runner(session_id).done(rpb.DONE_STATE_FAILED)
    answer = await coming
    assert refusal(answer) == (500, "P0236", event_id)
    assert session_id not in answer.text


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(
    _ANY
    | st.fixed_dictionaries({"status_code": _ANY | st.integers(0, 999), "headers": _ANY, "body": _ANY, "json": _ANY})
)
def test_whatever_a_session_answers_http_can_say(outcome: Any) -> None:
    piece = sync.piece_of(outcome)
    assert 200 <= piece.status <= 599
    for name, value in piece.headers.items():
        assert name.isascii()
        assert not {"\r", "\n", "\0"} & set(name + value)
        value.encode("latin-1")
    if piece.status in {204, 304}:
        assert piece.body == b""


def test_bytes_are_bytes() -> None:
    said = {"status_code": 200, "body": {"bytes": base64.b64encode(b"\x00\xff").decode()}}
    assert sync.piece_of(said).body == b"\x00\xff"
    assert json.loads(sync.piece_of({"status_code": 200, "body": {"bytes": "AA==", "x": 1}}).body) == {
        "bytes": "AA==",
        "x": 1,
    }

"""Webhooks over real HTTP: what becomes an event, what is refused, and what is answered."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from coordinator_support import FakeHost, World
from perdure_proto.v1 import control_pb2 as pb
from perdure_server.core.errors import PerdureError
from perdure_server.web import bodies, gate, server
from web_support import PATIENCE_S, Web

MANIFEST = """
triggers:
  plain: {webhook: {}, call: main.py:main}
  knows: {webhook: {path: knows, keep_headers: Authorization}, call: main.py:main}
  named: {webhook: in/box, call: main.py:main}
  deeper: {webhook: in/box/deep, call: main.py:main}
  only_put: {webhook: {path: put, methods: [put, post], cors: ["https://page.example"]}, call: main.py:main}
  open: {webhook: {path: open, cors: "*"}}
  small: {webhook: {path: small, max_body: 10}, call: main.py:main}
  once: {webhook: {path: once, dedup_header: X-Id}, call: main.py:main}
  filtered: {webhook: filtered, call: main.py:main, filter: data.body.json.n > 1}
  github: {webhook: {path: gh, signature: {kind: github, secret: KEY}}, call: main.py:main}
vars:
  KEY: {secret: true}
"""


@pytest.fixture(name="hooks")
async def hooks_fixture(web: Web, tmp_path: Path) -> dict[str, pb.Trigger]:
    key = pb.Var(name="KEY", value=b"secret", secret=True)
    await web.control.set_var(pb.SetVarRequest(project="p", var=key))
    return await web.deploy(tmp_path / "p", MANIFEST)


def code(response: httpx.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


async def test_credentials_of_senders_are_stored_only_where_the_manifest_says_so(
    web: Web, hooks: dict[str, pb.Trigger]
) -> None:
    headers = {"authorization": "Bearer t0p", "cookie": "sid=t0p"}
    for name, kept in (("plain", "***"), ("knows", "Bearer t0p")):
        answer = await web.client.post(hooks[name].url, headers=headers)
        told = web.event(answer.json()["event_id"])["headers"]
        assert (told["Authorization"], told["Cookie"]) == (kept, "***")


async def test_a_request_is_a_durable_event_and_starts_a_session(
    web: Web, world: World, hooks: dict[str, pb.Trigger]
) -> None:
    FakeHost(world)
    assert hooks["plain"].url.startswith(f"http://{web.address}/webhooks/")
    answer = await web.client.post(hooks["plain"].url + "/a/b?q=1", json={"n": 1})
    event_id = answer.json()["event_id"]
    assert answer.status_code == 202
    assert answer.headers["perdure-event-id"] == answer.headers["autokitteh-event-id"] == event_id
    data = web.event(event_id)
    assert data["body"]["json"] == {"n": 1}
    assert (data["url"]["path_suffix"], data["url"]["query"], data["method"]) == ("a/b", {"q": "1"}, "POST")
    (session_id,) = web.sessions(event_id)
    await world.completed(session_id)
    session = await world.session(session_id)
    assert (session.event_id, session.entry_point) == (event_id, "main.py:main")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"])
async def test_any_method_is_taken_where_none_is_named(web: Web, hooks: dict[str, pb.Trigger], method: str) -> None:
    answer = await web.client.request(method, hooks["plain"].url)
    row = web.world.store.event(answer.json()["event_id"])
    assert row is not None
    assert (row.event_type, row.memo["method"]) == (method.lower(), method)


async def test_paths_mean_the_longest_webhook(web: Web, hooks: dict[str, pb.Trigger]) -> None:
    async def source(path: str) -> tuple[str, str]:
        answer = await web.client.post(f"/webhooks/p/{path}")
        row = web.world.store.event(answer.json()["event_id"])
        assert row is not None
        return row.source, web.event(row.event_id)["url"]["path_suffix"]

    assert await source("in/box") == ("named", "")
    assert await source("in/box/x/y") == ("named", "x/y")
    assert await source("in/box/deep") == ("deeper", "")
    assert await source("in/box/deep/z%2Fz") == ("deeper", "z/z")
    assert await source("in/box/deeper") == ("named", "deeper")


async def test_what_is_not_there_is_not_told_from_what_is_not_active(web: Web, hooks: dict[str, pb.Trigger]) -> None:
    paths = ["/webhooks/none", "/webhooks/", "/webhooks", "/webhooks/p", "/webhooks/p/in", "/webhooks/q/in/box"]
    paths += ["/webhooks/p:builds/in/box", "/webhooks/%00/x", "/webhooks/../p/in"]
    bodies = {(await web.client.post(path)).text.partition(", see")[0] for path in paths[:-1]}
    assert [(await web.client.post(path)).status_code for path in paths] == [404] * len(paths)
    assert len(bodies) <= 2  # nothing receives webhooks there; or there is nothing at all


async def test_methods_and_pages_of_other_origins(web: Web, hooks: dict[str, pb.Trigger]) -> None:
    refused = await web.client.get("/webhooks/p/put")
    assert (*code(refused), refused.headers["allow"]) == (405, "P0702", "PUT, POST")
    page = {"origin": "https://page.example"}
    asked = page | {"access-control-request-method": "PUT", "access-control-request-headers": "content-type"}
    preflight = await web.client.options("/webhooks/p/put", headers=asked)
    assert preflight.status_code == 204
    assert preflight.headers["access-control-allow-origin"] == "https://page.example"
    assert preflight.headers["access-control-allow-methods"] == "PUT, POST"
    assert preflight.headers["access-control-allow-headers"] == "content-type"
    answer = await web.client.put("/webhooks/p/put", headers=page)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (202, "https://page.example")
    other = await web.client.options("/webhooks/p/put", headers=asked | {"origin": "https://evil.example"})
    assert "access-control-allow-origin" not in other.headers
    assert (await web.client.post("/webhooks/p/open", headers=page)).headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in (await web.client.post("/webhooks/p/in/box", headers=page)).headers


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(web: Web, hooks: dict[str, pb.Trigger]) -> None:
    assert (await web.client.post("/webhooks/p/small", content=b"x" * 10)).status_code == 202
    assert code(await web.client.post("/webhooks/p/small", content=b"x" * 11)) == (413, "P0231")

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 5

    assert code(await web.client.post("/webhooks/p/small", content=chunks())) == (413, "P0231")
    async with web.bare() as (reader, writer):
        head = (
            b"POST /webhooks/p/small HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\nExpect: 100-continue\r\n\r\n"
        )
        writer.write(head)
        assert (await reader.readline()).startswith(b"HTTP/1.1 413")
    assert len(web.world.store.events("p")) == 1


async def test_a_second_delivery_is_the_first_event(web: Web, world: World, hooks: dict[str, pb.Trigger]) -> None:
    first = await web.client.post("/webhooks/p/once", headers={"x-id": "a"}, content=b"1")
    again = await web.client.post("/webhooks/p/once", headers={"x-id": "a"}, content=b"2")
    other = await web.client.post("/webhooks/p/once", headers={"x-id": "b"})
    assert (first.status_code, again.status_code, other.status_code) == (202, 200, 202)
    assert again.json() == {"event_id": first.json()["event_id"], "duplicate": True}
    assert other.json()["event_id"] != first.json()["event_id"]
    assert len(web.sessions(first.json()["event_id"])) == 1
    both = await asyncio.gather(*(web.client.post("/webhooks/p/once", headers={"x-id": "c"}) for _ in range(20)))
    assert len({each.json()["event_id"] for each in both}) == 1
    assert sorted(each.status_code for each in both) == [200] * 19 + [202]


async def test_signatures(web: Web, hooks: dict[str, pb.Trigger]) -> None:
    def signed(body: bytes, key: bytes = b"secret", **more: str) -> dict[str, str]:
        return {"x-hub-signature-256": "sha256=" + hmac.new(key, body, hashlib.sha256).hexdigest(), **more}

    first = await web.client.post("/webhooks/p/gh", content=b"{}", headers=signed(b"{}", **{"x-github-delivery": "d"}))
    again = await web.client.post("/webhooks/p/gh", content=b"{}", headers=signed(b"{}", **{"x-github-delivery": "d"}))
    assert (first.status_code, again.status_code) == (202, 200)
    assert code(await web.client.post("/webhooks/p/gh", content=b"{}")) == (401, "P0225")
    assert code(await web.client.post("/webhooks/p/gh", content=b"{}", headers=signed(b"{}", b"guess"))) == (
        401,
        "P0225",
    )
    assert code(await web.client.post("/webhooks/p/gh", content=b"{} ", headers=signed(b"{}"))) == (401, "P0225")
    await web.control.set_var(pb.SetVarRequest(project="p", var=pb.Var(name="KEY", value=b"new", secret=True)))
    assert code(await web.client.post("/webhooks/p/gh", content=b"{}", headers=signed(b"{}"))) == (401, "P0225")
    assert (await web.client.post("/webhooks/p/gh", content=b"{}", headers=signed(b"{}", b"new"))).status_code == 202
    assert len(web.world.store.events("p")) == 2


async def test_filters_decide_what_starts(web: Web, hooks: dict[str, pb.Trigger]) -> None:
    one = await web.client.post("/webhooks/p/filtered", json={"n": 1})
    two = await web.client.post("/webhooks/p/filtered", json={"n": 2})
    none = await web.client.post("/webhooks/p/filtered", content=b"\xff\xfe")
    started = [len(web.sessions(each.json()["event_id"])) for each in (one, two, none)]
    assert started == [0, 1, 0]
    assert base64.b64decode(web.event(none.json()["event_id"])["body"]["bytes"]) == b"\xff\xfe"


async def test_only_what_could_not_be_stored_is_to_be_sent_again(
    web: Web, hooks: dict[str, pb.Trigger], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: object) -> None:
        raise PerdureError("P0211", "the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(web.world.coordinator.dispatcher, "accept", full)
        answer = await web.client.post(hooks["plain"].url)
        assert (*code(answer), int(answer.headers["retry-after"]) > 0) == (503, "P0211", True)
    assert (await web.client.post(hooks["plain"].url)).status_code == 202


async def test_slow_senders_are_given_up(
    web: Web, hooks: dict[str, pb.Trigger], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_S", 0.05)
    async with web.bare() as (reader, writer):
        writer.write(b"POST /webhooks/p/in/box HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc")
        assert await reader.readline() == b"HTTP/1.1 408 Request Timeout\r\n"
    monkeypatch.setattr(server, "HEAD_S", 0.05)
    for sent in (b"", b"POST /webhooks/p/in/box HT", b"POST /webhooks/p/in/box HTTP/1.1\r\nHost: x\r\n"):
        async with web.bare() as (reader, writer):
            writer.write(sent)
            with contextlib.suppress(ConnectionResetError):
                assert await reader.readline() == b""
    assert len(web.world.store.events("p")) == 0


async def test_a_second_request_on_a_connection_may_not_be_slow_either(
    web: Web, hooks: dict[str, pb.Trigger], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with web.bare() as (reader, writer):
        writer.write(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (await reader.readuntil(b"ok\n")).startswith(b"HTTP/1.1 200")
        monkeypatch.setattr(server, "HEAD_S", 0.05)
        writer.write(b"GET /livez HT")
        with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
            await reader.readuntil(b"ok\n")


async def test_too_many_requests_at_once_are_told_to_come_back(
    web: Web, hooks: dict[str, pb.Trigger], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with web.bare() as (reader, writer):
        writer.write(b"POST /webhooks/p/in/box HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\na")
        await asyncio.sleep(0)
        monkeypatch.setattr(gate, "REQUESTS", 1)
        async with asyncio.timeout(PATIENCE_S):
            while (busy := await web.client.post("/webhooks/p/in/box")).status_code == 202:
                pass
        assert (*code(busy), "retry-after" in busy.headers) == (503, "P0221", True)
        assert (await web.client.get("/livez")).status_code == 200
        writer.write(b"b")
        assert (await reader.readline()).startswith(b"HTTP/1.1 202")
    assert (await web.client.post("/webhooks/p/in/box")).status_code == 202


async def test_a_slug_outlives_deployments_but_not_its_trigger(
    web: Web, tmp_path: Path, hooks: dict[str, pb.Trigger]
) -> None:
    url = hooks["plain"].url
    assert (await web.client.post(url)).status_code == 202
    again = await web.deploy(tmp_path / "p", MANIFEST + "  OTHER: x\n")
    assert again["plain"].url == url
    assert (await web.client.post(url)).status_code == 202
    await web.deploy(tmp_path / "p", "triggers: {other: {webhook: {}, call: main.py:main}}")
    assert code(await web.client.post(url)) == (404, "P0223")

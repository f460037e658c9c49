"""What strangers, deployers and tokens of another project try at the HTTP face."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from urllib.parse import quote

import pytest
from coordinator_support import FakeHost, World
from perdure_server.coordinator import keyvalue
from perdure_server.coordinator.keyvalue import Shelf
from perdure_server.security.needs import NEEDS
from perdure_server.store import Mutation
from perdure_server.web import bodies, hooks, sync
from perdure_server.web.routes import ROUTES, Route
from web_support import PATIENCE_S, Web

MANIFEST = """\
name: p
triggers:
  open: {webhook: open, call: main.py:main}
  vast: {webhook: {path: vast, max_body: 1TB}, call: main.py:main}
"""
PATH = "/webhooks/p/open"
SMUGGLED = (
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    b"Content-Length: 1\r\nContent-Length: 30\r\n\r\n{GET /livez HTTP/1.1\r\nHost: x\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Content-Length : 3\r\n\r\nabc",
    b"Content-Length: +3\r\n\r\nabc",
    b"Content-Length: -1\r\n\r\n",
    b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffffffff\r\nabc\r\n0\r\n\r\n",
)


@pytest.fixture(autouse=True)
async def deployed_fixture(web: Web, world: World, tmp_path: Path) -> None:
    FakeHost(world)
    await web.deploy(tmp_path / "p", MANIFEST)


@pytest.mark.parametrize("rest", SMUGGLED)
async def test_two_readers_of_a_request_agree_or_it_is_refused(web: Web, rest: bytes) -> None:
    """One answer at most, and the connection ends: nothing of the body is a second request."""
    async with web.bare() as (reader, writer):
        writer.write(b"POST " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n" + rest)
        writer.write_eof()
        answers = await asyncio.wait_for(reader.read(), PATIENCE_S)
    assert answers.count(b"HTTP/1.1 ") <= 1
    assert b"ok\n" not in answers
    assert b"HTTP/1.1 5" not in answers


async def test_a_deployer_cannot_have_more_buffered_than_an_event_may_have(web: Web) -> None:
    head = b"POST /webhooks/p/vast HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 10000000000\r\n\r\n"
    async with web.bare() as (reader, writer):
        writer.write(head)
        answer = await asyncio.wait_for(reader.read(), PATIENCE_S)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b"P0231" in answer


async def test_unfinished_bodies_are_bounded_together(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BUFFERED_BYTES", 50_000)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 40001\r\n\r\n".encode()
    async with web.bare() as (_, slow), web.bare() as (reader, more):
        slow.write(head + b"x" * 40_000)
        while bodies._Buffered.size < 40_000:
            await asyncio.sleep(0.01)
        more.write(head + b"x" * 40_000)
        assert b"429" in await asyncio.wait_for(reader.readline(), PATIENCE_S)
        slow.write(b"x")
        while bodies._Buffered.size:
            await asyncio.sleep(0.01)
    assert (await web.client.post(PATH, content=b"x" * 40_000)).status_code == 202


async def test_webhooks_of_one_project_leave_room_for_others(
    web: Web, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hooks, "OPEN_OF_ONE", 2)
    await web.deploy(tmp_path / "q", MANIFEST.replace("name: p", "name: q"), "q")
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n".encode()
    async with contextlib.AsyncExitStack() as slow:
        for _ in range(2):
            _, writer = await slow.enter_async_context(web.bare())
            writer.write(head)
        while (response := await web.client.post(PATH, content=b"")).status_code == 202:
            await asyncio.sleep(0.01)
        assert response.json()["error"]["code"] == "P0221"
        assert (await web.client.post("/webhooks/q/open", content=b"")).status_code == 202
    while (await web.client.post(PATH, content=b"")).status_code != 202:
        await asyncio.sleep(0.01)


async def test_a_large_body_is_an_event_like_any_other(web: Web) -> None:
    """It is taken apart beside the loop."""
    body = b"a=" + b"%" * 200_000
    kind = {"content-type": "application/x-www-form-urlencoded"}
    event_id = (await web.client.post(PATH, content=body, headers=kind)).json()["event_id"]
    assert web.event(event_id)["body"]["form"] == {"a": "%" * 200_000}


@pytest.mark.parametrize("key", ["a", "page.html", "<script>", "a/../b", "%2e%2e", "x?y", "é"])
async def test_published_values_are_no_pages(web: Web, world: World, key: str) -> None:
    shelf = Shelf("p", 1, 10_000, 100)
    await world.store.commit(Mutation(lambda tx: keyvalue.put(tx, shelf, key, "<script>alert(1)</script>")))
    address = f"/store/p/{quote(key, safe='')}"
    assert (await web.client.get(address)).status_code == 404
    await world.store.commit(Mutation(lambda tx: keyvalue.publish(tx, shelf, key, published=True)))
    response = await web.client.get(address)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in response.headers["content-security-policy"]
    for other in ("q", "P", "p%00", "p%2f", "..", "p:builds"):
        assert (await web.client.get(f"/store/{other}/{quote(key, safe='')}")).status_code == 404


OF_ALL = {"GetVersion"}
ROUTES_OF_PROJECTS = [route for route in ROUTES if not NEEDS[f"/perdure_proto.v1.Control/{route.rpc}"].whole]


@pytest.mark.parametrize("route", ROUTES_OF_PROJECTS, ids=lambda route: route.rpc)
async def test_a_token_of_another_project_gets_nothing(web: Web, world: World, route: Route) -> None:
    """Each route, asked about what is p's, with a token that may do anything in q."""
    await world.start("s", project="p")
    await world.completed("s")
    event_id = (await web.client.post(PATH, content=b"SECRET-OF-P")).json()["event_id"]
    shelf = Shelf("p", 1, 10_000, 100)
    await world.store.commit(Mutation(lambda tx: keyvalue.put(tx, shelf, "k", "SECRET-OF-P")))
    build = world.store.deployments("p")[0].build_id
    fields = {"project": "p", "session_id": "s", "event_id": event_id, "digest": build, "name": "k", "key": "k"}
    path = route.path.replace(":path}", "}").format(**fields)
    asks = {"project": "p"} if route.rpc.startswith("List") and "{project}" not in route.path else {}
    body = {"project": "p", "entry_point": "main.py:main"} if route.rpc == "StartSession" else {}
    more = {"params": asks} if route.method in {"GET", "DELETE"} else {"content": json.dumps(body).encode()}
    before = len(list(world.store.list_sessions("p", [], 100, "")))
    response = await web.api(route.method, path, "deploy", "q", **more)
    if route.rpc in OF_ALL:
        return
    assert response.status_code in {403, 404}, response.text
    assert "SECRET-OF-P" not in response.text
    assert len(list(world.store.list_sessions("p", [], 100, ""))) == before
    assert world.store.stored_value("p", "k") is not None


@pytest.mark.parametrize("name", ["Service-Worker-Allowed", "clear-site-data", "Strict-Transport-Security"])
def test_a_projects_answer_says_nothing_of_the_whole_origin(name: str) -> None:
    piece = sync.piece_of({"status_code": 200, "headers": {name: "*", "x-own": "1"}, "body": "<p>"})
    assert dict(piece.headers) == {"x-own": "1", "content-type": "text/plain; charset=utf-8"}

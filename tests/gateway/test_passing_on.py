"""What a gateway passes on to its coordinator, and back: as it was sent, piece by piece, and no longer than anybody
waits."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from perdure_server.gateway import forwarding, pooling
from perdure_server.gateway.forwarding import Forwarding
from perdure_server.web import bodies
from perdure_server.web.gate import Gate
from perdure_server.web.passing import PassedOn
from perdure_server.web.server import HttpServer
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

MIB = 1 << 20
SMUGGLED = (
    b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /secret HTTP/1.1\r\nHost: x\r\n\r\n",
    b"Content-Length: 1\r\nContent-Length: 33\r\n\r\n{GET /secret HTTP/1.1\r\nHost: x\r\n\r\n",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Content-Length : 3\r\n\r\nabc",
    b"Content-Length: -1\r\n\r\n",
    b"X: a\x00b\r\nContent-Length: 0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n-1\r\nabc\r\n0\r\n\r\n",
)


class Coordinator:
    """Answers at a Unix socket; `cut` tells which requests' callers have left."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.cut: list[str] = []
        self.seen: list[str] = []
        self.sent = 0
        self.server: HttpServer | None = None
        self.listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listening.bind(path)
        self.listening.listen(100)

    async def begin(self) -> None:
        self.server = HttpServer(PassedOn(Gate(self.answer)), self.listening.dup(), None, ())
        await self.server.start()

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.seen.append(scope["path"])
        request = Request(scope, receive)
        response: Response
        match scope["path"]:
            case "/slow":
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.cut.append("/slow")
                return
            case "/refuse":
                response = Response("no", 413, {"connection": "close"})
            case "/endless":
                response = StreamingResponse(self._endless())
            case _:
                try:
                    body = await request.body()
                except ClientDisconnect:
                    self.cut.append(scope["path"])
                    return
                headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]]
                told = {"method": scope["method"], "path": scope["raw_path"].decode("latin-1"), "headers": headers}
                told |= {"query": scope["query_string"].decode("latin-1"), "client": scope["client"][0]}
                response = JSONResponse(told | {"scheme": scope["scheme"], "size": len(body)})
                response.raw_headers += [(b"x-two", b"1"), (b"x-two", b"2")]
        await response(scope, receive, send)

    async def _endless(self) -> AsyncIterator[bytes]:
        try:
            while True:
                self.sent += MIB
                yield b"x" * MIB
                await asyncio.sleep(0)
        finally:
            self.cut.append("/endless")


class Front:
    """A gateway's forwarding at an address."""

    def __init__(self, coordinator: Coordinator, url: str) -> None:
        self.coordinator = coordinator
        self.url = httpx.URL(url)
        self.there = asyncio.Event()
        self.client = httpx.AsyncClient(base_url=url, timeout=60)

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.url.port)
        try:
            yield reader, writer
        finally:
            writer.close()


@pytest.fixture(name="front")
async def front_fixture(tmp_path: Path) -> AsyncIterator[Front]:
    coordinator = Coordinator(str(tmp_path / "s"))
    await coordinator.begin()
    there = asyncio.Event()
    there.set()

    async def wait() -> None:
        await there.wait()

    forward = Forwarding(coordinator.path, wait)
    server = HttpServer(Gate(forward), socket.create_server(("127.0.0.1", 0)), None, ())
    await server.start()
    front = Front(coordinator, f"http://127.0.0.1:{server.port}")
    front.there = there
    yield front
    await front.client.aclose()
    await server.stop(1)
    await forward.close()
    assert coordinator.server is not None
    await coordinator.server.stop(1)
    coordinator.listening.close()


async def until(found: Callable[[], Any]) -> None:
    async with asyncio.timeout(60):
        while not found():
            await asyncio.sleep(0.01)


async def test_a_request_arrives_as_it_was_sent(front: Front) -> None:
    async with front.bare() as (reader, writer):
        writer.write(
            b"PUT /a%2Fb/%C3%A4//..;x?q=%00&q=a+b&=%FF HTTP/1.1\r\nHost: who.example:1\r\n"
            b"X-A: 1\r\nX-A: 2\r\nX-B: \xe4\xff\r\nPerdure-Sender: https 6.6.6.6\r\n"
            b"X-Forwarded-For: 6.6.6.6\r\nConnection: close\r\n\r\n"
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    told = json.loads(body)
    assert (told["method"], told["path"], told["query"]) == ("PUT", "/a%2Fb/%C3%A4//..;x", "q=%00&q=a+b&=%FF")
    assert told["headers"] == [
        ["host", "who.example:1"],
        ["x-a", "1"],
        ["x-a", "2"],
        ["x-b", "äÿ"],
        ["x-forwarded-for", "6.6.6.6"],
    ]
    assert (told["client"], told["scheme"]) == ("127.0.0.1", "http")
    assert head.count(b"x-two: ") == 2
    assert head.lower().count(b"\r\ndate: ") == 1


async def test_head_and_bodies_of_both_kinds(front: Front) -> None:
    head = await front.client.head("/x")
    assert (head.content, int(head.headers["content-length"]) > 50) == (b"", True)
    assert (await front.client.post("/x", content=b"y" * 25 * MIB)).json()["size"] == 25 * MIB

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"z" * 10_000

    assert (await front.client.post("/x", content=pieces())).json()["size"] == 1_000_000
    async with front.bare() as (reader, writer):
        writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert b"100" in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"ab")
        assert b"200" in await reader.readline()


async def test_a_request_of_http_1_0_needs_no_host(front: Front) -> None:
    """Load balancers look so whether a server is ready."""
    async with front.bare() as (reader, writer):
        writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert front.coordinator.seen == ["/readyz"]


async def test_an_answer_that_comes_before_the_end_of_the_body_arrives(front: Front) -> None:
    """The rest has nowhere to go."""
    async with front.bare() as (reader, writer):
        writer.write(b"POST /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        await until(lambda: front.coordinator.seen)
        for _ in range(20):
            writer.write(b"x" * 10_000)
            await asyncio.sleep(0)
        assert b"413" in await asyncio.wait_for(reader.readline(), 60)


async def test_a_body_of_which_nothing_more_comes_holds_nothing_for_long(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "_PIECE_S", 0.1)
    async with front.bare() as (reader, writer):
        writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
        answer = await asyncio.wait_for(reader.read(), 60)
    assert answer.startswith(b"HTTP/1.1 408 ")
    await until(lambda: front.coordinator.cut == ["/x"])
    assert forwarding._PIECE_S < bodies.CHUNK_S


@pytest.mark.parametrize("sent", [b"", b"Content-Length: 2\r\n\r\n{}", b"Content-Length: 20\r\n\r\n{"])
async def test_the_coordinator_hears_that_a_caller_has_left(front: Front, sent: bytes) -> None:
    async with front.bare() as (_, writer):
        writer.write(b"POST /slow HTTP/1.1\r\nHost: x\r\n" + (sent or b"\r\n"))
        await until(lambda: front.coordinator.seen)
    await until(lambda: front.coordinator.cut == ["/slow"])


async def test_who_reads_slowly_is_sent_no_more_than_he_reads(front: Front) -> None:
    async with front.bare() as (reader, writer):
        writer.write(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(MIB)
        before = -1
        while before != front.coordinator.sent:
            before = front.coordinator.sent
            await asyncio.sleep(0.2)
        assert front.coordinator.sent < 64 * MIB
    await until(lambda: front.coordinator.cut == ["/endless"])


@pytest.mark.parametrize("rest", SMUGGLED)
async def test_gateway_and_coordinator_agree_where_a_request_ends(front: Front, rest: bytes) -> None:
    async with front.bare() as (reader, writer):
        writer.write(b"POST /x HTTP/1.1\r\nHost: x\r\n" + rest)
        writer.write_eof()
        answers = await asyncio.wait_for(reader.read(), 60)
    assert answers.count(b"HTTP/1.1 ") <= 1
    assert (await front.client.get("/after")).json()["path"] == "/after"
    assert "/secret" not in front.coordinator.seen


async def test_a_request_waits_for_a_coordinator_but_not_for_ever(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.there.clear()
    waiting = asyncio.create_task(front.client.get("/x"))
    await asyncio.sleep(0.1)
    assert not waiting.done()
    front.there.set()
    assert (await waiting).status_code == 200
    front.there.clear()
    monkeypatch.setattr(forwarding, "_WAIT_S", 0.01)
    answer = await front.client.get("/x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "P0207")
    assert answer.headers["retry-after"]


async def test_no_more_requests_are_passed_on_than_a_coordinator_answers(
    front: Front, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forwarding, "REQUESTS", 2)
    slow = [asyncio.create_task(front.client.get("/slow")) for _ in range(2)]
    await until(lambda: len(front.coordinator.seen) == 2)
    answer = await front.client.get("/x")
    assert answer.json()["error"]["code"] == "P0221"
    for each in slow:
        each.cancel()
    await until(lambda: len(front.coordinator.cut) == 2)
    assert (await front.client.get("/x")).status_code == 200


async def test_a_connection_that_the_coordinator_has_closed_is_not_used_again(front: Front) -> None:
    """As each is when it dies."""
    for _ in range(3):
        assert (await front.client.get("/x")).status_code == 200
        assert front.coordinator.server is not None
        await front.coordinator.server.stop(1)
        await front.coordinator.begin()


async def test_a_full_line_before_the_socket_is_waited_for(tmp_path: Path) -> None:
    """Nobody accepts, and the kernel takes one more than the line is long."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(tmp_path / "s"))
        listening.listen(1)
        connections = pooling.Connections(str(tmp_path / "s"))
        taken = [await connections.take() for _ in range(2)]
        third = asyncio.create_task(connections.take())
        await asyncio.sleep(0.1)
        assert not third.done()
        listening.accept()[0].close()
        taken.append(await asyncio.wait_for(third, 60))
        for each in taken:
            await each.aclose()

"""A session's way out, over real sockets on loopback: what it passes, what it refuses, and its limits."""

import asyncio
import contextlib
import errno
import ipaddress
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest
from perdure_proto.v1 import runner_pb2 as pb
from perdure_runner.host.egress import Door, Egress, EgressConfig, door
from perdure_runner.host.egress.routes import Resolve
from perdure_runner.host.egress.rules import Address

LOOPBACK = EgressConfig(private=(ipaddress.ip_network("127.0.0.0/8"),))
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
NAMES = {"inside.test": ["10.0.0.1"], "both.test": ["10.0.0.1", "127.0.0.1"], "here.test": ["127.0.0.1"]}


async def resolve(host: str, _port: int) -> list[Address]:
    if host not in NAMES and not host[0].isdigit():
        raise OSError(-2, "Name or service not known")
    return [ipaddress.ip_address(text) for text in NAMES.get(host, [host])]


@contextlib.asynccontextmanager
async def served(talk: Talk) -> AsyncIterator[int]:
    """A server on loopback; its port."""
    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()  # not `async with`: from 3.12 on that waits for connections, and doors are closed after this


class Way:
    """A door as the runner's side uses it."""

    def __init__(self, hosts: list[str], config: EgressConfig = LOOPBACK, resolver: Resolve = resolve) -> None:
        self.egress = Egress(config, resolver)
        start = pb.Start(network=pb.Network(mode=pb.NETWORK_MODE_HOSTS, hosts=hosts))
        door = self.egress.door(start)
        assert door is not None
        self.door: Door = door
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.address = listener.getsockname()
            with socket.socket(fileno=door.give()) as runners:
                socket.send_fds(runners, [b"door"], [listener.fileno()])

    async def ask(self, head: str, body: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        return reader, writer

    async def answer(self, head: str, body: bytes = b"") -> str:
        """All that comes back until the end."""
        reader, writer = await self.ask(head, body)
        async with asyncio.timeout(60):
            answer = await reader.read()
        writer.close()
        return answer.decode()


@pytest.fixture(name="way")
async def way_fixture() -> AsyncIterator[Callable[..., Way]]:
    ways: list[Way] = []

    def make(*hosts: str, **config: float) -> Way:
        ways.append(Way(list(hosts), replace(LOOPBACK, **config)))
        return ways[-1]

    yield make
    for each in ways:
        each.door.close()
        each.egress.close()


async def shout(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Everything back, in capitals, until the end of what comes."""
    while data := await reader.read(1000):
        writer.write(data.upper())
    writer.close()


async def say_what_came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An HTTP server that answers with the head it got and the body, as far as it is 5 bytes or has a last chunk."""
    head = await reader.readuntil(b"\r\n\r\n")
    body = b""
    if b"Content-Length: 5" in head:
        body = await reader.readexactly(5)
    elif b"chunked" in head:
        body = await reader.readuntil(b"0\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + head + body)
    writer.close()


async def test_a_tunnel_passes_bytes_both_ways_and_their_ends(way: Callable[..., Way]) -> None:
    async with served(shout) as port:
        here = way(f"here.test:{port}")
        reader, writer = await here.ask(f"CONNECT here.test:{port} HTTP/1.1")
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 200 Connection established\r\n\r\n"
        writer.write(b"hello ")
        assert await reader.readexactly(6) == b"HELLO "
        writer.write(b"x" * 300_000)
        writer.write_eof()
        assert await reader.read() == b"X" * 300_000
        writer.close()


async def test_a_request_is_passed_once_with_its_body(way: Callable[..., Way]) -> None:
    async with served(say_what_came) as port:
        here = way(f"here.test:{port}")
        url = f"http://here.test:{port}/path?q=1"
        second = b"GET http://evil.test/ HTTP/1.1\r\n\r\n"
        answer = await here.answer(f"POST {url} HTTP/1.1\nHost: evil.test\nContent-Length: 5", b"12345")
        assert answer.startswith("HTTP/1.1 200 OK")
        assert f"Host: here.test:{port}\r\n" in answer
        assert answer.endswith("Connection: close\r\n\r\n12345")
        chunked = await here.answer(f"POST {url} HTTP/1.1\nTransfer-Encoding: chunked", b"2;x=y\r\nab\r\n0\r\n\r\n")
        assert chunked.endswith("\r\n\r\n2\r\nab\r\n0\r\n\r\n")
        reader, _ = await here.ask(f"GET {url} HTTP/1.1", second)
        assert b"evil" not in await reader.read(10_000)


@pytest.mark.parametrize(
    "body", [b"zz\r\n", b"\r\n", b"-1\r\n", b"1\r\nab\r\n0\r\n\r\n", b"0\r\nTrailer: x\r\n\r\n", b"1" * 300]
)
async def test_a_malformed_body_cuts_the_connection(way: Callable[..., Way], body: bytes) -> None:
    async with served(say_what_came) as port:
        here = way(f"here.test:{port}")
        request = f"POST http://here.test:{port}/ HTTP/1.1\nTransfer-Encoding: chunked"
        reader, writer = await here.ask(request, body)
        writer.write_eof()
        assert await reader.read() == b""


@pytest.mark.parametrize(
    ("target", "told"),
    [
        ("elsewhere.test:443", "403 perdure: elsewhere.test:443 is not in the list `network` of perdure.yaml"),
        ("here.test:1", "403 perdure: here.test:1 is not in the list `network` of perdure.yaml"),
        ("[::1]:443", "403 perdure: [::1]:443 is not in the list"),
        ("inside.test:443", "403 perdure: inside.test:443 is at a private or reserved address"),
        ("10.0.0.1:443", "403 perdure: 10.0.0.1:443 is at a private or reserved address"),
        ("169.254.169.254:80", "403 perdure: 169.254.169.254:80 is at a private or reserved address"),
        ("nowhere.test:443", "502 perdure: nowhere.test has no address: Name or service not known"),
        ("here.test:443", "502 perdure: here.test:443 cannot be reached"),
        ("nonsense", "400 perdure: CONNECT takes HOST:PORT"),
    ],
)
async def test_what_is_refused_says_why(way: Callable[..., Way], target: str, told: str) -> None:
    here = way("here.test", "inside.test", "nowhere.test", "10.0.0.1", "169.254.169.254")
    answer = await here.answer(f"CONNECT {target} HTTP/1.1")
    assert answer.startswith(f"HTTP/1.1 {told}")


async def test_a_name_that_changes_its_answer_gains_nothing() -> None:
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def rebinding(_host: str, _port: int) -> list[Address]:
        return [ipaddress.ip_address(text) for text in answers.pop(0)]

    async with served(say_what_came) as port:
        here = Way([f"flips.test:{port}"], resolver=rebinding)
        url = f"http://flips.test:{port}/"
        assert "200 OK" in await here.answer(f"GET {url} HTTP/1.1")
        assert len(answers) == 1, "what was judged is what was connected to"
        assert "403 perdure: flips.test" in await here.answer(f"GET {url} HTTP/1.1")
    here.door.close()
    here.egress.close()


async def test_who_sends_much_and_is_refused_still_hears_why(
    way: Callable[..., Way], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(door, "_LINGER_S", 60.0)  # who takes longer to send it is cut off, and may not hear it
    body = b"x" * 3_000_000
    answer = await way().answer(f"POST http://here.test/ HTTP/1.1\nContent-Length: {len(body)}", body)
    assert answer.startswith("HTTP/1.1 403 perdure: here.test:80 is not in the list")


async def test_a_name_that_takes_long_holds_up_its_own_session_only_so_far() -> None:
    asked: list[str] = []
    never = asyncio.Event()

    async def slow(host: str, _port: int) -> list[Address]:
        asked.append(host)
        await never.wait()
        return []

    here = Way(["*.test"], replace(LOOPBACK, connect_s=0.05), slow)
    answers = await asyncio.gather(*(here.answer(f"CONNECT n{number}.test:443 HTTP/1.1") for number in range(5)))
    assert all("502 perdure: n" in answer and "did not answer within 0.05 s" in answer for answer in answers)
    assert len(asked) == 2, "the others waited for these"
    never.set()
    here.door.close()
    here.egress.close()


async def test_the_addresses_of_a_name_that_may_not_be_reached_are_passed_over(way: Callable[..., Way]) -> None:
    async with served(say_what_came) as port:
        assert "200 OK" in await way(f"both.test:{port}").answer(f"GET http://both.test:{port}/ HTTP/1.1")


async def test_a_long_head_and_a_slow_one(way: Callable[..., Way]) -> None:
    here = way("here.test", head_bytes=1000)
    assert "400 perdure: the request's head has more than 1000 bytes" in await here.answer("GET " + "x" * 2000)
    reader, writer = await asyncio.open_connection(*way("here.test", head_s=0.05).address)
    writer.write(b"GET http://")
    assert await reader.read() == b""


async def test_an_idle_connection_is_cut(way: Callable[..., Way]) -> None:
    async with served(shout) as port:
        here = way(f"here.test:{port}", idle_s=0.05)
        reader, _ = await here.ask(f"CONNECT here.test:{port} HTTP/1.1")
        assert (await reader.read()).endswith(b"established\r\n\r\n")


async def test_all_bytes_of_a_session_are_counted(way: Callable[..., Way]) -> None:
    async with served(shout) as port:
        here = way(f"here.test:{port}", bytes_total=1000)
        reader, writer = await here.ask(f"CONNECT here.test:{port} HTTP/1.1")
        writer.write(b"x" * 600)
        with contextlib.suppress(ConnectionResetError):
            assert (await reader.read()).count(b"X") <= 400
        refused = await here.answer(f"CONNECT here.test:{port} HTTP/1.1")
        assert "403 perdure: the session has used all of the 1000 bytes" in refused


async def test_connections_beyond_the_limit_wait(way: Callable[..., Way]) -> None:
    async with served(shout) as port:
        here = way(f"here.test:{port}", connections=1)
        first, closing = await here.ask(f"CONNECT here.test:{port} HTTP/1.1")
        await first.readuntil(b"\r\n\r\n")
        second, _ = await here.ask(f"CONNECT here.test:{port} HTTP/1.1")
        waiting = asyncio.create_task(second.readuntil(b"\r\n\r\n"))
        await asyncio.sleep(0)
        assert not waiting.done()
        closing.close()
        assert b"200" in await waiting


async def test_with_the_door_everything_ends(way: Callable[..., Way]) -> None:
    async with served(shout) as port:
        here = way(f"here.test:{port}")
        reader, _ = await here.ask(f"CONNECT here.test:{port} HTTP/1.1")
        await reader.readuntil(b"\r\n\r\n")
        here.door.close()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(*here.address)


async def test_only_projects_that_name_hosts_have_a_door() -> None:
    egress = Egress(LOOPBACK)
    modes = (pb.NETWORK_MODE_UNSPECIFIED, pb.NETWORK_MODE_NONE, pb.NETWORK_MODE_ALL)
    assert [egress.door(pb.Start(network=pb.Network(mode=mode))) for mode in modes] == [None] * 3
    egress.close()


async def test_a_runner_that_ends_without_a_door_leaves_nothing(way: Callable[..., Way]) -> None:
    egress = Egress(LOOPBACK)
    door = egress.door(pb.Start(network=pb.Network(mode=pb.NETWORK_MODE_HOSTS)))
    assert door is not None
    os.close(door.give())
    await asyncio.sleep(0)
    door.close()
    door.close()
    egress.close()


class Exhausted:
    """A listener while no descriptor is free."""

    def __init__(self, listener: socket.socket) -> None:
        self.listener = listener
        self.asked = 0
        self.over = False

    def fileno(self) -> int:
        return self.listener.fileno()

    def close(self) -> None:
        self.listener.close()

    def accept(self) -> tuple[socket.socket, object]:
        self.asked += 1
        if not self.over:
            raise OSError(errno.EMFILE, "Too many open files")
        return self.listener.accept()


async def test_a_host_without_free_descriptors_does_not_spin(way: Callable[..., Way]) -> None:
    here = way("here.test")
    await until(lambda: here.door._listener is not None)
    exhausted = Exhausted(here.door._listener)
    here.door._listener = exhausted
    answer = asyncio.create_task(here.answer("GET / HTTP/1.1"))
    await until(lambda: exhausted.asked > 0)
    for _ in range(200):
        await asyncio.sleep(0)
    assert exhausted.asked < 20
    exhausted.over = True
    assert (await answer).startswith("HTTP/1.1 400 ")


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.001)

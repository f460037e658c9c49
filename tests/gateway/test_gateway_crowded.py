"""A gateway that very many want something of at once: connections that only cost, and an inbox that is full."""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest
from gateway_support import PATIENCE_S, Server, served
from perdure_server.core import ids
from perdure_server.core.incoming import Incoming
from perdure_server.web import wire

pytestmark = pytest.mark.slow

IDLE = 2_000
USUAL_FILES = 1_024  # that a process may open on most systems, unless it asks for more
SENT = (  # what each of those who cost says: nothing, half a request's head, most of a body
    b"",
    b"POST /webhooks/p/in HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST /webhooks/p/in HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
    b"POST /connections/nobody HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nabc",
)


@pytest.fixture(name="server")
def server_fixture(tmp_path: Path) -> Iterator[Server]:
    with served(tmp_path / "home") as server:
        yield server


@pytest.fixture(name="many_files")
def many_files_fixture() -> Iterator[None]:
    """This process may open more than twice as many as connect."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 3 * IDLE:
        pytest.skip("this machine allows few open files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (3 * IDLE, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def usual_files() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (USUAL_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


@pytest.mark.usefixtures("many_files")
async def test_thousands_of_connections_that_only_cost_keep_nobody_from_being_served(server: Server) -> None:
    """They are cut; those who come slower than anybody honest, too."""
    server.start(preexec_fn=usual_files)
    server.deploy()
    url = httpx.URL(server.url)
    address = (url.host, url.port)
    loop = asyncio.get_running_loop()
    with contextlib.ExitStack() as stack:
        crowd = []
        for number in range(IDLE):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            await asyncio.wait_for(loop.sock_connect(sock, address), PATIENCE_S)
            await loop.sock_sendall(sock, SENT[number % len(SENT)])
            crowd.append(sock)
        trickles = asyncio.create_task(_trickle(crowd))
        async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S) as client:
            for number in range(20):
                answer = await client.post("/webhooks/p/in", content=str(number))
                assert answer.status_code == 202, answer.text
            assert (await client.get("/readyz")).status_code == 200
        # Each is told that it is late, or just cut.
        for sock in crowd:
            with contextlib.suppress(ConnectionError):
                while await asyncio.wait_for(loop.sock_recv(sock, 1_000), PATIENCE_S):
                    pass
        trickles.cancel()
    server.delivered()
    assert server.bodies() == [str(number) for number in range(20)]
    assert "Traceback" not in server.log.read_text()


async def _trickle(crowd: list[socket.socket]) -> None:
    """A byte now and then, so that none of them is idle."""
    while True:
        for number, sock in enumerate(crowd):
            if SENT[number % len(SENT)]:
                with contextlib.suppress(OSError):
                    sock.send(b"x")
        await asyncio.sleep(1)


EVENTS = 4_000
BODY = "x" * 3_000


def fill(home: Path, events: int, projects: tuple[str, ...]) -> list[str]:
    """As a gateway that was killed has left it; the events' ids."""
    made = []
    with closing(sqlite3.connect(home / "inbox.db")) as inbox:
        for number in range(events):
            event_id = ids.make_id(ids.EVENT, 1_000_000_000_000 + number, number.to_bytes(ids.RANDOM_BYTES, "big"))
            project = projects[number % len(projects)]
            data = json.dumps({"body": {"text": BODY}}).encode()
            event = Incoming(project, "in", "webhook", "post", data, event_id=event_id, created_us=1)
            row = (event_id, json.dumps(wire.event_header(event)), data)
            inbox.execute("INSERT INTO inbox (event_id, header, data) VALUES (?, ?, ?)", row)
            made.append(event_id)
        inbox.commit()
    return made


def peak_kib(pid: int) -> int:
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0])


def test_a_gateway_that_begins_with_very_many_events_delivers_them_in_order_and_takes_more(server: Server) -> None:
    server.start()
    server.deploy()
    assert server.post(body="first").status_code == 202
    server.end()
    promised = fill(server.home, EVENTS, ("p",))
    server.start()
    told = server.post(body="meanwhile")
    assert told.status_code == 202
    peak = peak_kib(server.gateway.pid)
    server.delivered()
    assert peak - EVENTS * len(BODY) * 3 // 1024 < 120 * 1024, "more than a few times what waited"
    found = [row.event_id for row in server.events()]
    assert found[1:-1] == promised
    assert found[-1] == told.json()["event_id"]

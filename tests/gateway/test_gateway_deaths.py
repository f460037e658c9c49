"""The coordinator dies, or the gateway, or both; or one of them does nothing for a while."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from gateway_support import MANIFEST, PATIENCE_S, Server, gone, served, until

pytestmark = pytest.mark.slow


@pytest.fixture(name="server")
def server_fixture(tmp_path: Path) -> Iterator[Server]:
    with served(tmp_path / "home") as server:
        server.start()
        server.deploy()
        yield server


def test_webhooks_while_there_is_no_coordinator_are_delivered_once_and_in_order(server: Server) -> None:
    """Each is sent when the one before is answered, as one sender does."""
    sent = [str(number) for number in range(30)]
    told = [server.post(body=number) for number in sent[:5]]
    server.delivered()  # on a slow disk these are promised, too
    with server.without_coordinator():
        told += [server.post(body=number) for number in sent[5:25]]
        assert server.in_inbox() == 20
    told += [server.post(body=number) for number in sent[25:]]
    server.delivered()
    assert {each.status_code for each in told} == {202}
    assert server.bodies() == sent
    assert [each.event_id for each in server.events()] == [each.json()["event_id"] for each in told]


def test_a_coordinator_that_does_nothing_for_a_while_gets_each_webhook_once(server: Server) -> None:
    with server.stopped():
        first = [server.post(body=str(number)) for number in range(5)]
        with ThreadPoolExecutor(8) as pool:  # of which two at a time are the same delivery
            again = [*pool.map(lambda number: server.post(body="same", **{"x-id": str(number // 2)}), range(8))]
        assert {each.status_code for each in first} == {202}
        assert sorted(each.status_code for each in again) == [*[200] * 4, *[202] * 4]
    server.delivered()
    assert server.bodies()[:5] == [str(number) for number in range(5)]
    assert server.bodies()[5:] == ["same"] * 4
    assert {each.json()["event_id"] for each in again} == {each.event_id for each in server.events()[5:]}


def test_a_gateway_that_is_killed_delivers_what_it_promised_when_it_is_there_again(server: Server) -> None:
    """Its coordinator dies with it; nobody else may serve the home meanwhile."""
    with server.without_coordinator():
        told = [server.post(body=str(number)) for number in range(10)]
        server.kill()
    assert server.in_inbox() == 10
    server.start()
    server.delivered()
    assert [each.event_id for each in server.events()] == [each.json()["event_id"] for each in told]
    assert server.bodies() == [str(number) for number in range(10)]


def test_events_that_the_journal_has_are_not_taken_again_from_the_inbox(server: Server) -> None:
    """The gateway dies after the coordinator has them, and before it knows."""
    with server.stopped():
        for number in range(5):
            server.post(body=str(number))
        kept = (server.home / "inbox.db").read_bytes(), (server.home / "inbox.db-wal").read_bytes()
    server.delivered()
    server.kill()
    (server.home / "inbox.db").write_bytes(kept[0])
    (server.home / "inbox.db-wal").write_bytes(kept[1])
    assert server.in_inbox() == 5
    server.start()
    server.delivered()
    assert server.bodies() == [str(number) for number in range(5)]


def test_events_that_wait_for_a_project_that_is_deleted_go_with_it(server: Server) -> None:
    """Nothing of them is there when another project has its name; others' are delivered."""
    server.deploy(MANIFEST.replace("name: p", "name: q"), "q")
    with server.without_coordinator():
        for project in ("p", "q", "p"):
            with server.client() as client:
                assert client.post(f"/webhooks/{project}/in", content=project.encode()).status_code == 202
        server.kill()
    server.perdure("projects", "delete", "p", "--yes")
    server.start()
    server.delivered()
    assert server.log.read_text().count("the project was deleted") == 1
    server.deploy()
    assert [server.bodies("q"), server.bodies("p")] == [["q"], []]
    assert server.post(body="new").status_code == 202
    assert server.bodies("p") == ["new"]


def test_many_senders_while_the_coordinator_is_killed_again_and_again(server: Server) -> None:
    """Also while it starts. Nobody sends anything twice, and everybody is answered."""
    server.post(body="first")
    over = threading.Event()
    told: list[list[tuple[str, str]]] = []

    def send(sender: int) -> None:
        mine: list[tuple[str, str]] = []
        told.append(mine)
        with server.client() as client:
            while not over.is_set():
                body = f"{sender}-{len(mine)}"
                answer = client.post("/webhooks/p/in", content=body)
                assert answer.status_code == 202, answer.text
                mine.append((body, answer.json()["event_id"]))

    with ThreadPoolExecutor(4) as pool:
        senders = [pool.submit(send, number) for number in range(4)]
        for _ in range(3):
            killed = server.kill_coordinator()
            child = until(lambda killed=killed: _child(server, killed))
            os.kill(child, signal.SIGKILL)
            server.ready(killed, child)  # which may have begun before it was killed
        over.set()
        for each in senders:
            each.result(PATIENCE_S)
    server.delivered()
    events = [row.event_id for row in server.events()][1:]
    assert sorted(events) == sorted(event_id for mine in told for _, event_id in mine)
    for mine in told:
        ids = {event_id for _, event_id in mine}
        assert [each for each in events if each in ids] == [event_id for _, event_id in mine], "not in a sender's order"


def _child(server: Server, other_than: int) -> int:
    """The gateway's, once it is a python that runs."""
    for text in Path(f"/proc/{server.gateway.pid}/task/{server.gateway.pid}/children").read_text().split():
        if int(text) != other_than:
            return int(text)
    return 0


def test_who_waits_for_a_coordinator_that_dies_is_told_so(server: Server) -> None:
    """A synchronous webhook and a stream get no answer for what was begun; what waits in the line is not refused."""
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(server.post, "ask", '{"wait": 40}')
        until(server.bodies)
        with server.client() as client:
            session = until(lambda: server.api("GET", "/sessions?project=p").json()["sessions"])[0]["session_id"]
            headers = {"authorization": f"Bearer {server.token()}"}
            with client.stream("GET", f"/api/v1/sessions/{session}/watch", headers=headers) as stream:
                assert stream.status_code == 200
                pieces = stream.iter_bytes()
                assert next(pieces)
                killed = server.kill_coordinator()
                with pytest.raises(httpx.RemoteProtocolError):
                    list(pieces)
        answer = waiting.result(PATIENCE_S)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "P0207")
        assert answer.headers["retry-after"]
        late = server.post("ask", "{}")  # there is no coordinator yet
        assert late.status_code == 200
        server.ready(killed)


def test_an_upload_that_meets_a_death_can_be_sent_again(server: Server) -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x" * 100_000
        server.kill_coordinator()
        yield from [b"x" * 100_000] * 100

    old = server.coordinator()
    kind = {"content-type": "application/octet-stream"}
    answer = server.api("POST", "/projects/q/deployments", content=pieces(), headers=kind)
    assert answer.json()["error"]["code"] in {"P0207", "P0215"}, (
        answer.text
    )  # P0215: the next one has it, another token
    server.ready(old)
    answer = server.api("POST", "/projects/q/deployments", content=b"x" * 100_000, headers=kind)
    assert answer.status_code == 400, answer.text  # it is no build


def test_the_second_coordinator_has_the_port_of_the_first(server: Server) -> None:
    before = server.grpc
    server.restarted()
    assert server.grpc == before
    server.kill()
    server.start()
    assert server.grpc == before


def test_nothing_is_left_of_a_coordinator_whose_gateway_is_killed(server: Server) -> None:
    pid = server.coordinator()
    server.kill()
    until(lambda: gone(pid), "the coordinator has outlived its gateway")
    server.start()
    assert server.post().status_code == 202


async def test_many_requests_wait_for_the_next_coordinator(server: Server) -> None:
    """Webhooks are taken meanwhile."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE_S, limits=limits) as client:
        assert (await client.post("/webhooks/p/in")).status_code == 202  # it is known now
        with server.without_coordinator():
            asking = [asyncio.create_task(client.get("/api/openapi.json")) for _ in range(300)]
            assert (await client.post("/webhooks/p/in", content=b"meanwhile")).status_code == 202
            assert not any(each.done() for each in asking)
            assert (await client.get("/livez")).status_code == 200
            ready = await client.get("/readyz")
            assert (ready.status_code, ready.json()["error"]["code"]) == (503, "P0207")
        assert {each.status_code for each in await asyncio.gather(*asking)} == {200}

"""Events of connections through a gateway: as durable as webhooks, checked before anything is kept, and answered as
each service wants, whether there is a coordinator or not."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from gateway_support import MAIN, MANIFEST, Server, served, until
from support.services import SECRETS, SIGN

pytestmark = pytest.mark.slow

CONNECTIONS = {f"c_{kind}": kind for kind in SECRETS}
EVENTS: dict[str, tuple[Any, dict[str, str]]] = {
    "slack": ({"event_id": "Ev1", "event": {"type": "message", "text": "hi"}}, {}),
    "github": ({"action": "opened"}, {"x-github-event": "issues", "x-github-delivery": "d1"}),
    "discord": ({"type": 2, "id": "i1"}, {}),
    "stripe": ({"id": "evt_1", "type": "invoice.paid"}, {}),
    "generic": ({"type": "made"}, {"webhook-id": "w1"}),
}
QUESTIONS: dict[str, tuple[Any, dict[str, str], Any]] = {
    "slack": ({"type": "url_verification", "challenge": "abc"}, {}, {"challenge": "abc"}),
    "github": ({"zen": "x"}, {"x-github-event": "ping"}, {}),
    "discord": ({"type": 1}, {}, {"type": 1}),
}
ANSWERS = {"slack": (200, b""), "discord": (200, b'{"type":5}')}


class Senders:
    """All services; `urls` by kind."""

    def __init__(self, server: Server) -> None:
        self.server = server
        told = server.api("GET", "/projects/p/connections").json()["connections"]
        self.urls = {each["integration"]: each["webhook_url"] for each in told}

    def send(self, kind: str, body: Any, headers: dict[str, str], sign: Any = None) -> httpx.Response:
        data = json.dumps(body).encode()
        signed = (sign or SIGN[kind])(data, str(int(time.time())))
        with self.server.client() as client:
            return client.post(
                self.urls[kind], content=data, headers={"content-type": "application/json"} | signed | headers
            )

    def event(self, kind: str, number: int = 1, body: Any = None) -> httpx.Response:
        """The same delivery for the same number."""
        told, headers = EVENTS[kind]
        again = {"event_id": f"Ev{number}"} if kind == "slack" else {"id": f"id{number}"}
        ids = {name: f"{number}" for name in headers if name in {"x-github-delivery", "webhook-id"}}
        return self.send(kind, told | again | (body or {}), headers | ids)


@pytest.fixture(name="server")
def server_fixture(tmp_path: Path) -> Iterator[Server]:
    with served(tmp_path / "home") as server:
        server.start()
        server.deploy(f"{MANIFEST}connections: {json.dumps(CONNECTIONS)}\n", main=MAIN)
        for name, kind in CONNECTIONS.items():
            set_values(server, name, kind, SECRETS[kind])
        server.known()
        yield server


def set_values(server: Server, name: str, kind: str, values: dict[str, str]) -> None:
    answer = server.api("PUT", f"/projects/p/connections/{name}", json={"integration": kind, "values": values})
    assert answer.status_code == 200, answer.text


@pytest.fixture(name="senders")
def senders_fixture(server: Server) -> Senders:
    return Senders(server)


def ids(answers: list[httpx.Response]) -> list[str]:
    return [each.headers["perdure-event-id"] for each in answers]


def test_every_services_events_are_answered_and_kept_while_there_is_no_coordinator(
    server: Server, senders: Senders
) -> None:
    """And their questions; what is not signed is refused at once, and nothing of it is kept."""
    with server.without_coordinator():
        told = {kind: senders.event(kind) for kind in SECRETS}
        for kind, answer in told.items():
            assert (answer.status_code, ANSWERS.get(kind, (202, answer.content))[1]) == (
                ANSWERS.get(kind, (202,))[0],
                answer.content,
            )
        assert server.in_inbox() == len(SECRETS)
        for kind, (body, headers, reply) in QUESTIONS.items():
            assert senders.send(kind, body, headers).json() == reply
        for kind in SECRETS:
            forged = senders.send(kind, *EVENTS[kind], sign=lambda data, at, kind=kind: SIGN[kind](b"x" + data, at))
            unsigned = senders.send(kind, *EVENTS[kind], sign=lambda *_: {})
            assert {(each.status_code, each.json()["error"]["code"]) for each in (forged, unsigned)} == {(401, "P0225")}
        assert server.in_inbox() == len(SECRETS)
    server.delivered()
    rows = server.events()
    assert [row.event_id for row in rows] == ids([*told.values()])
    assert [(row.source, row.source_type, row.memo["integration"]) for row in rows] == [
        (f"c_{kind}", "connection", kind) for kind in told
    ]
    kinds = [row.event_type for row in rows]
    assert kinds == ["message", "issues", "application_command", "invoice.paid", "made"]
    assert json.loads(rows[0].data) == {"event_id": "Ev1", "type": "message", "text": "hi"}


def test_nothing_is_lost_or_twice_over_kills_of_coordinator_and_gateway(server: Server, senders: Senders) -> None:
    """A service sends again what it was not told of: deliveries of one id are one event, wherever the first one is."""
    answers = [senders.event("github", 0)]
    server.delivered()  # on a slow disk it is promised, too
    with server.without_coordinator():
        answers += [senders.event("github", number) for number in range(1, 6)]
        again = [senders.event("github", number) for number in range(6)]
        server.kill()
    assert {each.status_code for each in answers} == {202}
    assert [each.status_code for each in again] == [202, *[200] * 5]  # of the first only the coordinator knew
    assert ids(again) == ids(answers)
    assert server.in_inbox() == 6
    server.start()
    server.restarted()
    server.delivered()
    assert [row.event_id for row in server.events()] == ids(answers)


def test_who_may_send_changes_at_once(server: Server, senders: Senders) -> None:
    """Another secret, a connection that is removed: also for a gateway whose coordinator dies then."""
    assert senders.event("github", 1).status_code == 202
    set_values(server, "c_github", "github", {"webhook_secret": "another"})
    assert senders.event("github", 2).status_code == 401
    with server.without_coordinator():
        assert senders.event("github", 2).status_code == 401
    assert server.api("DELETE", "/projects/p/connections/c_github").status_code == 200
    assert senders.event("github", 3).status_code == 404
    assert senders.event("stripe", 1).status_code == 202
    until(lambda: len(server.events()) == 2)


def test_a_connection_of_a_project_without_a_deployment_answers_questions(server: Server, senders: Senders) -> None:
    """A service asks before anybody deploys; an event is told that there is nothing yet.

    Or it is promised, if the coordinator takes long to say so.
    """

    def refused() -> httpx.Response | None:
        answer = senders.event("slack", 1)
        return answer if answer.status_code != 200 else None

    server.perdure("deployments", "deactivate", "--project", "p")
    for _ in range(2):
        body, headers, reply = QUESTIONS["slack"]
        assert senders.send("slack", body, headers).json() == reply
        told = until(refused)
        assert (told.status_code, told.json()["error"]["code"]) == (404, "P0206")
        server.restarted()


def test_only_its_own_address_is_a_connections(server: Server, senders: Senders) -> None:
    with server.client() as client:
        slug = senders.urls["generic"].rpartition("/")[2]
        for path in (
            f"/webhooks/{slug}",
            f"/connections/{slug}/more",
            "/connections/",
            "/connections/p",
            "/connections",
        ):
            answer = client.post(path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (404, "P0223"), path
        assert client.get(f"/connections/{slug}").status_code == 405

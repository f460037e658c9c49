"""Sessions that answer HTTP, publish values and say where they are: real requests, real processes."""

from __future__ import annotations

import json

import httpx
import pytest
from terminal import PATIENCE_S, Ran, Server, Terminal, until

MANIFEST = """
    name: shop
    triggers:
      ask: {webhook: {path: ask}, call: main.py:ask, sync: true}
      plain: {webhook: {path: plain}, call: main.py:plain, sync: true}
      order: {webhook: {path: order}, call: main.py:order}
"""

PROGRAM = """
    import perdure


    def ask(event):
        name = event.data.body.json["name"]
        perdure.http_outcome(201, body="hello ", headers={"X-Shop": "tea"}, more=True)
        visits = perdure.add_values(f"visits/{name}", 1)
        perdure.http_outcome(body=f"{name}, visit {visits}".encode())
        perdure.set_value("last", {"name": name, "visits": visits})
        perdure.publish_value("last")
        return perdure.get_store_public_url() + "/last"


    def plain(event):
        perdure.outcome({"method": event.data.method})


    def order(event):
        perdure.status({"step": "packing"})
        parcel = perdure.start("main.py:pack", event.data.body.json)
        paid = perdure.next_signal("paid")
        perdure.status({"step": "sent"})
        return {"paid": paid.payload, "parcel": perdure.wait(parcel)[0].result}


    def pack(order):
        return f"a parcel of {order['item']}"
"""


@pytest.fixture(name="server")
def server_fixture(terminal: Terminal) -> Server:
    terminal.write("shop/main.py", PROGRAM)
    terminal.write("shop/perdure.yaml", MANIFEST)
    server = terminal.serve("home", "--http", "127.0.0.1:0")
    server.deploy("shop", "shop")
    return server


def url(server: Server) -> str:
    return str(json.loads((server.home / "endpoint.json").read_text())["url"])


def test_a_session_answers_in_pieces_and_publishes_a_value(terminal: Terminal, server: Server) -> None:
    with httpx.Client(base_url=url(server), timeout=PATIENCE_S) as client:
        for visit in (1, 2):
            answer = client.post("/webhooks/shop/ask", json={"name": "Ada"})
            assert (answer.status_code, answer.headers["x-shop"]) == (201, "tea")
            assert answer.text == f"hello Ada, visit {visit}"
        assert client.put("/webhooks/shop/plain").json() == {"method": "PUT"}
        listed = until(lambda: _ended(terminal, server, "main.py:ask", 2), "both sessions have ended")
        published = {json.dumps(_shown(terminal, server, each)["result"]).strip('"') for each in listed}
        assert published == {f"{url(server)}/store/shop/last"}
        assert client.get(published.pop()).json() == {"name": "Ada", "visits": 2}
        terminal.run("store", "unpublish", "last", "--home", server.home)
        assert client.get("/store/shop/last").status_code == 404


def test_people_follow_and_signal_a_session_that_an_event_has_started(terminal: Terminal, server: Server) -> None:
    with httpx.Client(base_url=url(server), timeout=PATIENCE_S) as client:
        told = client.post("/webhooks/shop/order", json={"item": "tea"})
    assert told.status_code == 202
    (session,) = until(lambda: _sessions(terminal, server, "main.py:order"), "the event has started a session")
    until(lambda: _shown(terminal, server, session).get("status") == {"step": "packing"}, "it says where it is")
    assert "packing" in terminal.run("sessions", "show", session, "--home", server.home).out
    terminal.run("signal", session, "paid", "7", "--home", server.home)
    server.until(session, "completed")
    shown = _shown(terminal, server, session)
    assert (shown["result"], shown["status"]) == ({"paid": 7, "parcel": "a parcel of tea"}, {"step": "sent"})
    assert shown["event_id"] == told.json()["event_id"]


def _sessions(terminal: Terminal, server: Server, entry: str, *more: str) -> list[str]:
    listed = terminal.run("sessions", "list", "--home", server.home, "--json", *more).document
    return [each["session_id"] for each in listed if each["entry_point"] == entry]


def _ended(terminal: Terminal, server: Server, entry: str, count: int) -> list[str]:
    found = _sessions(terminal, server, entry, "--state", "completed")
    return found if len(found) == count else []


def _shown(terminal: Terminal, server: Server, session: str) -> dict[str, object]:
    shown: dict[str, object] = terminal.run("sessions", "show", session, "--home", server.home, "--json").document
    return shown


def test_the_store_from_the_command_line(terminal: Terminal, server: Server) -> None:
    def store(*arguments: str, code: int = 0) -> Ran:
        return terminal.run("store", *arguments, "--home", server.home, code=code)

    store("set", "a/1", '{"n": [1, 2.5]}', "--version", "0")
    assert "P0227" in store("set", "a/1", "2", "--version", "0", code=1).err
    assert "error[P0201] the value:1:2 is no JSON" in store("set", "a/1", "{", code=2).err
    assert "P0235" in store("get", "b", code=2).err
    shown = store("get", "a/1", "--json").document
    assert (shown["value"], shown["version"], shown["published"], shown["url"]) == ({"n": [1, 2.5]}, 1, False, None)
    assert store("get", "a/1").out == '{"n":[1,2.5]}\n'
    assert store("publish", "a/1").out.strip() == f"{url(server)}/store/shop/a%2F1"
    assert httpx.get(f"{url(server)}/store/shop/a%2F1", timeout=PATIENCE_S).json() == {"n": [1, 2.5]}
    assert [each["key"] for each in store("list", "--prefix", "a/", "--json").document] == ["a/1"]
    assert "deleted a/1" in store("del", "a/1").err
    assert "there was no a/1" in store("del", "a/1").err
    assert store("del", "a/1", "--json").document == {"key": "a/1", "existed": False}
    assert "nothing is stored" in store("list").err

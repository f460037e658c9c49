"""Webhooks of services at a connection's address: signed, typed, stored once, and answered as each service wants."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from coordinator_support import FakeHost, World
from perdure_proto.v1 import control_pb2 as pb
from support.services import SECRETS, SIGN
from web_support import Web


class Service:
    """One service that calls its connection."""

    def __init__(self, web: Web, world: World, kind: str, url: str) -> None:
        self._web, self._world, self._kind, self.url = web, world, kind, url

    async def send(self, body: Any, headers: dict[str, str] | None = None, *, form: bool = False) -> httpx.Response:
        """`body`: JSON, or the fields of a form."""
        data = str(httpx.QueryParams(body)).encode() if form else json.dumps(body).encode()
        at = str(int(self._world.clock.now_us() / 1e6))
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        signed = {"content-type": kind, **SIGN[self._kind](data, at), **(headers or {})}
        return await self._web.client.post(self.url, content=data, headers=signed)


@pytest.fixture(name="service")
def service_fixture(web: Web, world: World, tmp_path: Path) -> Callable[..., Any]:
    """A service whose connection a manifest declares, and which gets its values afterwards."""

    async def make(kind: str, manifest: str = "connections: {{c: {}}}", file: str = "perdure.yaml") -> Service:
        await web.deploy(tmp_path / "p", manifest.format(kind), file=file)
        (declared,) = (await web.control.list_connections(pb.ListConnectionsRequest(project="p"))).connections
        values = {key: value.encode() for key, value in SECRETS[kind].items()}
        request = pb.PutConnectionRequest(project="p", name="c", integration=kind, values=values)
        made = await web.control.put_connection(request)
        assert (made.webhook_url, list(made.missing)) == (declared.webhook_url, [])
        return Service(web, world, kind, made.webhook_url)

    return make


def stored(web: Web, answer: httpx.Response) -> tuple[str, Any]:
    row = web.world.store.event(answer.headers["perdure-event-id"])
    assert row is not None
    assert (row.source, row.source_type) == ("c", "connection")
    return row.event_type, json.loads(row.data)


async def test_slack(web: Web, service: Callable[..., Any]) -> None:
    slack = await service("slack")
    asked = await slack.send({"type": "url_verification", "challenge": "abc"})
    assert asked.json() == {"challenge": "abc"}
    inner = {"type": "app_mention", "text": "hi", "channel": "C1"}
    event = {"type": "event_callback", "event_id": "Ev1", "team_id": "T1", "event": inner}
    told = await slack.send(event)
    assert (told.status_code, told.content) == (200, b"")
    assert stored(web, told) == ("app_mention", {"team_id": "T1", "event_id": "Ev1", **inner})
    again = await slack.send(event)
    assert again.headers["perdure-event-id"] == told.headers["perdure-event-id"]
    command = await slack.send({"command": "/go", "text": "now", "trigger_id": "t1"}, form=True)
    assert stored(web, command) == ("slash_command", {"command": "/go", "text": "now", "trigger_id": "t1"})
    pressed = {"type": "block_actions", "trigger_id": "t2", "actions": [{"action_id": "ok"}]}
    action = await slack.send({"payload": json.dumps(pressed)}, form=True)
    assert stored(web, action) == ("interaction", pressed)


THEIRS = """
version: v1
project:
  connections: [{{name: c, integration: {}}}]
  triggers:
    - {{name: plain, connection: c, event_type: message, filter: "data.thread_ts == ''", call: main.py:main}}
"""


async def test_slack_has_all_fields_for_projects_of_autokitteh(web: Web, service: Callable[..., Any]) -> None:
    slack = await service("slack", THEIRS, "autokitteh.yaml")

    def callback(number: int, **event: Any) -> dict[str, Any]:
        heard = {"authorizations": [{"user_id": "UBOT", "is_bot": True}]}
        return {"type": "event_callback", "event_id": f"Ev{number}", "event": event, **heard}

    async def sent(number: int, **event: Any) -> tuple[Any, list[str]]:
        told = await slack.send(callback(number, **event))
        return stored(web, told)[1], web.sessions(told.headers["perdure-event-id"])

    message, started = await sent(1, type="message", text="hi", user="U1", odd=[1])
    absent = {"subtype": "", "thread_ts": "", "bot_id": "", "blocks": [], "hidden": False, "reply_count": 0}
    assert {name: message[name] for name in absent} == absent
    assert (message["text"], message["odd"], message["message"], len(started)) == ("hi", [1], None, 1)
    assert (await sent(2, type="message", user="U1", thread_ts="1.5"))[1] == []
    changed, _ = await sent(3, type="message", subtype="message_changed", message={"user": "U1", "text": "hm"})
    assert (changed["message"]["thread_ts"], changed["message"]["text"], changed["user"]) == ("", "hm", "")
    reacted, _ = await sent(4, type="reaction_added", user="U1", item={"ts": "1.5"})
    assert reacted["item"] == {"type": "", "channel": "", "ts": "1.5", "file": "", "file_comment": ""}
    fields = {"command": "/go", "trigger_id": "t1", "is_enterprise_install": "false"}
    command = stored(web, await slack.send(fields, form=True))[1]
    assert (command["text"], command["is_enterprise_install"]) == ("", False)
    pressed = {"type": "block_actions", "trigger_id": "t2", "actions": [{"action_id": "ok"}]}
    action = stored(web, await slack.send({"payload": json.dumps(pressed)}, form=True))[1]
    assert (action["actions"][0]["value"], action["view"], action["type"]) == ("", None, "block_actions")
    unknown, _ = await sent(5, type="star_added", user="UBOT")
    assert "text" not in unknown
    for event in ({"user": "UBOT"}, {"message": {"user": "UBOT"}}, {"inviter": "UBOT", "user": "U1"}):
        own = await slack.send(callback(6, type="message", **event))
        assert (own.status_code, "perdure-event-id" in own.headers) == (200, False)


async def test_slacks_events_made_by_hand_have_all_fields_there_too(web: Web, service: Callable[..., Any]) -> None:
    await service("slack", THEIRS, "autokitteh.yaml")

    async def sent(event_type: str, data: bytes) -> tuple[Any, list[str]]:
        request = pb.SendEventRequest(project="p", source="c", event_type=event_type, data=data)
        event = await web.control.send_event(request)
        return json.loads(event.data), web.sessions(event.event_id)

    message, started = await sent("message", b'{"text": "hi", "odd": [1]}')
    assert (message["text"], message["odd"], message["thread_ts"], len(started)) == ("hi", [1], "", 1)
    assert (await sent("message", b'{"thread_ts": "1.5"}'))[1] == []
    assert (await sent("message", b"[1]"))[0] == [1]
    assert (await sent("slash_command", b'{"is_enterprise_install": true}'))[0]["is_enterprise_install"] is True
    asked = pb.TestTriggerRequest(project="p", event_type="message", data=b'{"text": "hi"}')
    assert [each.starts for each in (await web.control.test_trigger(asked)).verdicts] == [True]


async def test_github(web: Web, service: Callable[..., Any]) -> None:
    hub = await service("github")
    assert (await hub.send({"zen": "x"}, {"x-github-event": "ping"})).json() == {}
    headers = {"x-github-event": "issues", "x-github-delivery": "d1"}
    told = await hub.send({"action": "opened"}, headers)
    assert told.status_code == 202
    assert stored(web, told) == ("issues", {"action": "opened"})
    assert (await hub.send({"action": "opened"}, headers)).json()["duplicate"] is True
    form = await hub.send({"payload": '{"action": "closed"}'}, {"x-github-event": "issues"}, form=True)
    assert stored(web, form) == ("issues", {"action": "closed"})


async def test_discord(web: Web, service: Callable[..., Any]) -> None:
    discord = await service("discord")
    assert (await discord.send({"type": 1})).json() == {"type": 1}
    told = await discord.send({"type": 2, "id": "i1", "data": {"name": "go"}})
    assert told.json() == {"type": 5}
    assert stored(web, told)[0] == "application_command"
    pressed = await discord.send({"type": 3, "id": "i2"})
    assert (pressed.json(), stored(web, pressed)[0]) == ({"type": 6}, "message_component")


async def test_stripe(web: Web, service: Callable[..., Any]) -> None:
    stripe = await service("stripe")
    body = {"id": "evt_1", "type": "invoice.paid", "data": {"object": {"total": 5}}}
    told = await stripe.send(body)
    assert stored(web, told) == ("invoice.paid", body)
    assert (await stripe.send(body)).json()["duplicate"] is True


async def test_generic(web: Web, service: Callable[..., Any]) -> None:
    other = await service("generic")
    made = {"type": "thing.made", "n": 1}
    assert stored(web, await other.send(made)) == ("thing.made", made)
    assert stored(web, await other.send([1], {"x-event-type": "list"})) == ("list", {"value": [1]})
    assert stored(web, await other.send({})) == ("event", {})


@pytest.mark.parametrize("kind", SECRETS)
async def test_what_is_not_signed_is_refused(web: Web, service: Callable[..., Any], kind: str) -> None:
    sender = await service(kind)
    for headers in ({}, SIGN[kind](b"{}", "1")):
        answer = await web.client.post(sender.url, json={"type": 2, "id": "x"}, headers=headers)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "P0225")


@pytest.mark.parametrize("kind", ["slack", "github", "discord", "stripe"])
async def test_a_body_that_is_none_of_the_service_is_refused(service: Callable[..., Any], kind: str) -> None:
    answer = await (await service(kind)).send(["no object"], {"x-github-event": "push"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "P0201")


async def test_a_trigger_of_a_connection_starts_sessions_on_events_of_its_type(
    web: Web, world: World, service: Callable[..., Any], tmp_path: Path
) -> None:
    FakeHost(world)
    hub = await service("github")
    manifest = (
        "connections: {c: github}\ntriggers:\n  opened: {connection: c, event_type: issues, call: main.py:main}\n"
    )
    await web.deploy(tmp_path / "p", manifest)
    other = await hub.send({"action": "opened"}, {"x-github-event": "push"})
    issue = await hub.send({"action": "opened"}, {"x-github-event": "issues"})
    assert web.sessions(other.headers["perdure-event-id"]) == []
    (session_id,) = web.sessions(issue.headers["perdure-event-id"])
    await world.completed(session_id)


async def test_an_unknown_address_and_another_method(web: Web, service: Callable[..., Any]) -> None:
    unknown = await web.client.post(f"http://{web.address}/connections/nobody", json={})
    assert (unknown.status_code, unknown.json()["error"]["code"]) == (404, "P0223")
    known = await service("github")
    other = await web.client.get(known.url)
    assert (other.status_code, other.json()["error"]["code"]) == (405, "P0702")

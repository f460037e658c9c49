"""Webhooks of services at a connection's address: signed, typed, stored once, and answered as each service wants."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from coordinator_support import FakeHost, World
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from perdure_proto.v1 import control_pb2 as pb
from web_support import Web

DISCORD = Ed25519PrivateKey.generate()
PUBLIC = DISCORD.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
SECRETS = {
    "slack": {"token": "xoxb", "signing_secret": "slack-secret"},
    "github": {"token": "ghp", "webhook_secret": "hub-secret"},
    "discord": {"token": "bot", "public_key": PUBLIC},
    "stripe": {"webhook_secret": "whsec"},
    "generic": {"webhook_secret": "any-secret"},
}


def _hmac(secret: str, *parts: bytes) -> str:
    return hmac.new(secret.encode(), b"".join(parts), hashlib.sha256).hexdigest()


def _slack(body: bytes, at: str) -> dict[str, str]:
    signature = f"v0={_hmac('slack-secret', b'v0:', at.encode(), b':', body)}"
    return {"x-slack-request-timestamp": at, "x-slack-signature": signature}


def _discord(body: bytes, at: str) -> dict[str, str]:
    return {"x-signature-timestamp": at, "x-signature-ed25519": DISCORD.sign(at.encode() + body).hex()}


SIGN: dict[str, Callable[[bytes, str], dict[str, str]]] = {
    "slack": _slack,
    "github": lambda body, _: {"x-hub-signature-256": f"sha256={_hmac('hub-secret', body)}"},
    "discord": _discord,
    "stripe": lambda body, at: {"stripe-signature": f"t={at},v1={_hmac('whsec', at.encode(), b'.', body)}"},
    "generic": lambda body, _: {"x-signature-256": f"sha256={_hmac('any-secret', body)}"},
}


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

    async def make(kind: str) -> Service:
        await web.deploy(tmp_path / "p", f"connections: {{c: {kind}}}")
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
    assert (await web.client.get(known.url)).status_code == 405

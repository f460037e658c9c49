"""Signing in by OAuth, and renewing tokens, against a stub of an authorization server."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime as dt
import hashlib
import ipaddress
import json
import os
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from perdure_proto.v1 import control_pb2 as pb
from perdure_runner.host.egress.rules import Rules
from perdure_server.app.engine import Engine
from perdure_server.cli import builds
from perdure_server.core import integrations
from perdure_server.core.errors import PerdureError
from vendor_stubs import Asked, Stub, http_stub

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
pytest.importorskip("oauthlib", reason="oauthlib is not installed: it comes with the extra `oauth`")

from perdure_server.cli import oauth as signing_in
from perdure_server.security import oauth
from terminal import opened

PROJECT = Path(__file__).parent / "project"
ENTRY = integrations.integration("gmail")


class Server:
    """The authorization server: it gives tokens T1, T2, ... and checks what RFC 6749 and RFC 7636 have it check."""

    def __init__(self) -> None:
        self.challenge = ""
        self.given = 0
        self.lives_s: list[int] = []
        self.answer: Any = None

    def token(self, asked: Asked) -> Any:
        if self.answer is not None:
            return self.answer
        body = asked.body
        if body["client_id"] != "me" or body["client_secret"] != "shh":
            return 400, {"error": "invalid_client", "error_description": "who are you?"}
        if body["grant_type"] == "authorization_code":
            digest = hashlib.sha256(body["code_verifier"].encode()).digest()
            if body["code"] != "c0de" or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != self.challenge:
                return 400, {"error": "invalid_grant"}
        elif body["refresh_token"] != f"R{self.given}":  # each is good once
            return 400, {"error": "invalid_grant", "error_description": "used before"}
        self.given += 1
        lives_s = self.lives_s.pop(0) if self.lives_s else 3600
        made = {"access_token": f"T{self.given}", "refresh_token": f"R{self.given}", "expires_in": lives_s}
        return {**made, "token_type": "Bearer", "scope": "less than was asked for"}


@pytest.fixture(name="server")
def server_fixture() -> Server:
    return Server()


@pytest.fixture(name="stub")
def stub_fixture(server: Server) -> Iterator[Stub]:
    with http_stub({"POST /token": server.token, "GET /api": lambda asked: {}}) as stub:
        yield stub


class Browser:
    """Somebody who signs in at once; `answers` with these parameters instead."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.answers: dict[str, str] | None = None
        self.asked: dict[str, str] = {}

    def open(self, address: str) -> bool:
        self.asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        self._server.challenge = self.asked["code_challenge"]
        answer = {"state": self.asked["state"]} | (self.answers or {"code": "c0de"})
        query = "&".join(f"{name}={value}" for name, value in answer.items())
        with urllib.request.urlopen(f"{self.asked['redirect_uri']}?{query}") as page:
            assert "close this page" in page.read().decode()
        return True


@pytest.fixture(name="browser")
def browser_fixture(server: Server, monkeypatch: pytest.MonkeyPatch) -> Browser:
    browser = Browser(server)
    monkeypatch.setattr(signing_in.webbrowser, "open", browser.open)
    return browser


def values_at(stub: Stub) -> dict[str, str]:
    return {
        integrations.CLIENT_ID: "me",
        integrations.CLIENT_SECRET: "shh",
        integrations.AUTHORIZE_URL: f"{stub.url}/authorize",
        integrations.TOKEN_URL: f"{stub.url}/token",
    }


async def sign_in(stub: Stub) -> dict[str, str]:
    return await signing_in.sign_in(ENTRY, values_at(stub), (), 0, browser=True)


async def test_a_code_becomes_a_token(stub: Stub, browser: Browser) -> None:
    found = await sign_in(stub)
    assert (found[integrations.ACCESS], found[integrations.REFRESH]) == ("T1", "R1")
    assert dt.datetime.fromisoformat(found[integrations.EXPIRY]) > dt.datetime.now(dt.UTC)
    asked = browser.asked
    assert (asked["response_type"], asked["code_challenge_method"], asked["access_type"]) == ("code", "S256", "offline")
    assert asked["scope"].split() == list(ENTRY.oauth.scopes)
    assert urlsplit(asked["redirect_uri"]).hostname == "127.0.0.1"


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ({"code": "c0de", "state": "another"}, "mismatching_state"),
        ({"error": "access_denied"}, "access_denied"),
        ({"error": "access_denied", "state": "another"}, "mismatching_state"),
    ],
)
async def test_an_answer_that_is_not_ours_is_refused(
    stub: Stub, browser: Browser, answers: dict[str, str], says: str
) -> None:
    browser.answers = answers
    with pytest.raises(PerdureError, match=says) as refused:
        await sign_in(stub)
    assert (refused.value.code, stub.asked) == ("P0306", [])


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((400, {"error": "invalid_grant", "error_description": "too late"}), "too late"),
        ((500, "<html>"), "status 500"),
        ((302, "elsewhere"), "status 302"),
        ("no token", "refuses|something else"),
        ({"token_type": "Bearer"}, "refuses|something else"),
        ([1], "refuses|something else"),
    ],
)
async def test_what_is_no_token_is_refused(
    stub: Stub, server: Server, browser: Browser, answer: Any, says: str
) -> None:
    server.answer = answer
    with pytest.raises(PerdureError, match=says) as refused:
        await sign_in(stub)
    assert refused.value.code == "P0306"


@pytest.mark.parametrize("address", ["http://example.com/token", "ftp://127.0.0.1/token", "file:///etc/passwd", ""])
def test_a_secret_is_sent_to_no_open_address(address: str) -> None:
    with pytest.raises(PerdureError, match="no address") as refused:
        oauth.Flow("me", "shh", address)
    assert refused.value.code == "P0306"


def test_a_user_token_of_slack_is_found(stub: Stub, server: Server) -> None:
    server.answer = {"ok": True, "authed_user": {"access_token": "xoxp-1", "token_type": "user"}}
    assert oauth.Flow("me", "shh", f"{stub.url}/token").refresh("R0") == oauth.Token("xoxp-1")


def test_the_command_signs_in_and_stores_the_token(stub: Stub, server: Server, tmp_path: Path) -> None:
    addresses = (f"{key}={value}" for key, value in values_at(stub).items() if key.endswith("_url"))
    given = [word for address in addresses for word in ("--set", address)]
    client = ["--client-id", "me", "--client-secret", "${CLIENT_SECRET}", "--oauth", "--no-browser", "--project", "p"]
    with opened(tmp_path) as terminal:
        terminal.variables |= {"CLIENT_SECRET": "shh", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        adding = terminal.spawn("connections", "add", "gmail", "mail", *given, *client)
        assert adding.stderr is not None
        said = iter(adding.stderr.readline, "")
        address = next(line.strip() for line in said if line.startswith("  http"))
        Browser(server).open(address)
        assert "with oauth_access_token" in terminal.finish(adding).err
        (made,) = terminal.run("connections", "list", "--project", "p", "--json").document
        assert {integrations.ACCESS, integrations.REFRESH, integrations.EXPIRY} <= set(made["keys"])
        shown = {var["name"]: var["value"] for var in terminal.run("vars", "list", "--project", "p", "--json").document}
        hidden = (integrations.ACCESS, integrations.REFRESH, integrations.CLIENT_SECRET)
        assert [shown[f"mail__{key}"] for key in hidden] == [None] * 3


async def connect(engine: Engine, stub: Stub, expires: dt.timedelta) -> None:
    """A connection whose token T0 expires then."""
    at = dt.datetime.now(dt.UTC) + expires
    token = {integrations.ACCESS: "T0", integrations.REFRESH: "R0", integrations.EXPIRY: at.isoformat()}
    values = {key: value.encode() for key, value in (values_at(stub) | token).items()}
    request = pb.PutConnectionRequest(project="clients", name="mail", integration="gmail", values=values)
    assert not (await engine.control.put_connection(request)).missing


async def test_a_token_is_renewed_once_however_many_ask(stub: Stub, server: Server, tmp_path: Path) -> None:
    async with Engine.in_memory(tmp_path) as engine:
        await connect(engine, stub, dt.timedelta(seconds=-1))
        c = engine.coordinator
        asking = [c.connections.tokens.token("clients", "mail", c.clock.now_us()) for _ in range(10)]
        assert {token for token, _ in await asyncio.gather(*asking)} == {"T1"}
        assert stub.lines == ["POST /token"]
        with pytest.raises(PerdureError, match="no token of OAuth") as refused:
            await c.connections.tokens.token("clients", "another", c.clock.now_us())
    assert refused.value.code == "P0230"


async def test_a_renewal_goes_on_when_who_asked_is_gone(stub: Stub, server: Server, tmp_path: Path) -> None:
    """Else the new refresh token would be lost, and the old one is used up."""
    asked, answer = threading.Event(), threading.Event()
    give = server.token

    def slowly(request: Asked) -> Any:
        asked.set()
        answer.wait(30)
        return give(request)

    with http_stub({"POST /token": slowly}) as slow:
        async with Engine.in_memory(tmp_path) as engine:
            await connect(engine, slow, dt.timedelta(seconds=-1))
            c = engine.coordinator
            asking = asyncio.create_task(c.connections.tokens.token("clients", "mail", c.clock.now_us()))
            await asyncio.to_thread(asked.wait, 30)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
            answer.set()
            await c.connections.tokens.close()
            values = await c.variables.opened("clients", "mail__")
    assert (values["mail__oauth_access_token"], values["mail__oauth_refresh_token"]) == ("T1", "R1")


async def test_what_renews_tokens_never_gets_to_a_runner(stub: Stub, tmp_path: Path) -> None:
    async with Engine.in_memory(tmp_path) as engine:
        await connect(engine, stub, dt.timedelta(hours=1))
        given = await engine.coordinator.variables.of("clients", "")
        assert given.values["mail__oauth_access_token"] == "T0"
        assert set(given.secrets) == {"mail__oauth_access_token"}
        assert not {"R0", "shh"} & set(given.values.values())


async def run(engine: Engine, folder: Path, stub: Stub) -> pb.Session:
    (folder / "perdure.yaml").write_text("name: clients\n")
    (folder / "tokens.py").write_text((PROJECT / "tokens.py").read_text())
    built = await builds.send(engine.control, replace(builds.folder(folder, None)), build_only=False)
    event = json.dumps({"url": f"{stub.url}/api"}).encode()
    request = pb.StartSessionRequest(project=built.project, entry_point="tokens.py:main", event=event)
    started = await engine.control.start_session(request)
    return await engine.wait_done(started.session_id)


@pytest.mark.parametrize(
    ("lives_s", "used"),
    [([3600], "T1"), ([30, 3600], "T2")],
    ids=["before the runner starts", "also by the runner, through the coordinator"],
)
async def test_a_session_uses_a_renewed_token(
    stub: Stub, server: Server, tmp_path: Path, lives_s: list[int], used: str
) -> None:
    server.lives_s = lives_s
    async with Engine.in_memory(tmp_path) as engine:
        await connect(engine, stub, dt.timedelta(seconds=-1))
        (tmp_path / "p").mkdir()
        session = await run(engine, tmp_path / "p", stub)
    assert (session.state, session.result.data) == ("completed", b"200"), session.error
    assert stub.asked[-1].headers["authorization"] == f"Bearer {used}"


async def test_a_session_runs_though_nothing_renews_its_token(stub: Stub, server: Server, tmp_path: Path) -> None:
    """Then it is the call that fails, with what the authorization server said."""
    server.answer = (400, {"error": "invalid_grant", "error_description": "revoked"})
    async with Engine.in_memory(tmp_path) as engine:
        await connect(engine, stub, dt.timedelta(seconds=-1))
        (tmp_path / "p").mkdir()
        session = await run(engine, tmp_path / "p", stub)
    assert session.state == "failed"
    assert "revoked" in session.error.message


def public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    return Rules(()).reaches(address)


@pytest.mark.parametrize(
    "address",
    [
        "http://127.0.0.1:{port}/token",
        "http://localhost:{port}/token",
        "https://127.0.0.1:{port}/token",
        "https://[::1]:{port}/token",
        "https://[::ffff:127.0.0.1]:{port}/token",
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1/token",
    ],
)
@pytest.mark.parametrize("proxy", ["", "http://127.0.0.1:9"], ids=["direct", "proxy"])
def test_a_project_cannot_have_the_coordinator_ask_its_neighbours(
    stub: Stub, monkeypatch: pytest.MonkeyPatch, address: str, proxy: str
) -> None:
    """By no address, however it is written, and by no name that leads to one."""
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        monkeypatch.setenv(name, proxy if name == "https_proxy" else "")
    flow = oauth.Flow("me", "shh", address.format(port=urlsplit(stub.url).port), public)
    with pytest.raises(PerdureError, match="no public address") as refused:
        flow.refresh("R0")
    assert refused.value.code == "P0306"
    assert stub.asked == []


def test_a_name_is_looked_up_once_and_the_address_that_was_judged_is_connected_to(
    stub: Stub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads elsewhere when it is asked for again (DNS rebinding) gains nothing."""
    port = urlsplit(stub.url).port
    looked: list[str] = []
    real = socket.getaddrinfo

    def rebinding(host: str, *more: Any, **named: Any) -> Any:
        looked.append(host)
        return real("127.0.0.1" if looked.count("localhost") == 1 else "127.0.0.2", *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    judged: list[str] = []

    def first_only(address: Any) -> bool:
        judged.append(str(address))
        return True

    assert oauth.Flow("me", "shh", f"http://localhost:{port}/token", first_only).refresh("R0").access == "T1"
    assert (judged, looked.count("localhost")) == (["127.0.0.1"], 1)


@pytest.mark.parametrize(
    "said",
    [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n{", b"HTTP/1.1 200 OK\r\n" * 500],
    ids=["hangs up", "nonsense", "cut", "too many lines"],
)
def test_a_token_server_that_makes_no_sense_is_told_as_that(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            met, _ = listener.accept()
            with met:
                met.recv(65536)
                met.sendall(said)

        answering = threading.Thread(target=answer)
        answering.start()
        flow = oauth.Flow("me", "shh", f"http://127.0.0.1:{listener.getsockname()[1]}/token")
        with pytest.raises(PerdureError) as refused:
            flow.refresh("R0")
        answering.join()
    assert refused.value.code == "P0306"


def test_a_token_server_that_says_something_now_and_then_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each byte comes in time; all of them together do not."""
    monkeypatch.setattr(oauth, "TIMEOUT_S", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            met, _ = listener.accept()
            with met, contextlib.suppress(OSError):
                while True:  # until the other end has hung up
                    met.sendall(b"H")
                    time.sleep(0.02)

        dripping = threading.Thread(target=drip)
        dripping.start()
        with pytest.raises(PerdureError) as refused:
            oauth.Flow("me", "shh", f"http://127.0.0.1:{listener.getsockname()[1]}/token").refresh("R0")
        dripping.join()
    assert refused.value.code == "P0306"

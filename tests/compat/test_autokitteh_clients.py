"""What clients of the shim are made with, and what its own one sends. The vendors' libraries are stood in for."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import ModuleType
from typing import Any

import pytest
from perdure._autokitteh import azurebot, connections, kubernetes, microsoft, outcomes, pydantic, salesforce
from perdure._autokitteh.errors import AuthenticationError, ConnectionInitError

VALUES = {
    "app_id": "bot", "app_password": "secret", "tenant_id": "tenant", "api_key": "key", "auth_type": "daemonApp",
    "private_client_id": "me", "private_client_secret": "mine", "instance_url": "https://x",
    "config_file": "{}", "oauth_access_token": "token",
}  # fmt: skip


class Made:
    """A client of a library: what it was made with."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.args, self.kwargs = args, kwargs


@pytest.fixture(name="environment")
def environment_fixture(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for key, value in VALUES.items():
        monkeypatch.setenv(f"c__{key}", value)
    return monkeypatch


def library(monkeypatch: pytest.MonkeyPatch, name: str, **content: Any) -> ModuleType:
    """A module of that name, and the packages above it."""
    parts = name.split(".")
    for end in range(1, len(parts)):
        above = ".".join(parts[:end])
        monkeypatch.setitem(sys.modules, above, sys.modules.get(above) or ModuleType(above))
    module = ModuleType(name)
    vars(module).update(content)
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_salesforce(environment: pytest.MonkeyPatch) -> None:
    library(environment, "simple_salesforce", Salesforce=Made)
    made = salesforce.salesforce_client("c", version="60.0")
    assert made.kwargs == {"instance_url": "https://x", "session_id": "token", "version": "60.0"}
    environment.delenv("c__oauth_access_token")
    with pytest.raises(ConnectionInitError, match="c__oauth_access_token"):
        salesforce.salesforce_client("c")


def test_microsoft(environment: pytest.MonkeyPatch) -> None:
    library(environment, "azure.identity", ClientSecretCredential=Made, CertificateCredential=Made)
    library(environment, "azure.core.credentials", AccessToken=lambda token, expires: (token, expires))
    library(environment, "msgraph", GraphServiceClient=Made)
    daemon = microsoft.teams_client("c").kwargs["credentials"]
    assert daemon.kwargs == {"client_id": "me", "client_secret": "mine", "tenant_id": "common"}
    environment.setenv("c__private_certificate", "PEM")
    certified = microsoft.teams_client("c").kwargs["credentials"]
    assert certified.kwargs == {"client_id": "me", "certificate_data": b"PEM", "tenant_id": "common"}
    environment.setenv("c__auth_type", "oauthDefault")
    environment.setenv("c__oauth_expiry", "2099-01-01T00:00:00Z")
    person = microsoft.teams_client("c").kwargs["credentials"]
    assert person.get_token("scope") == ("token", 4070908800)
    environment.setenv("c__auth_type", "magic")
    with pytest.raises(ValueError, match="magic"):
        microsoft.teams_client("c")


def test_kubernetes(environment: pytest.MonkeyPatch) -> None:
    class ConfigException(Exception):
        pass

    loaded: list[Any] = []

    def load(config: Any) -> None:
        if "clusters" not in config:
            raise ConfigException("no clusters")
        loaded.append(config)

    library(environment, "kubernetes.config", load_kube_config_from_dict=load, ConfigException=ConfigException)
    client = library(environment, "kubernetes.client")
    for wrong in ("{}", "{"):
        environment.setenv("c__config_file", wrong)
        with pytest.raises(ConnectionInitError, match="c__config_file is wrong"):
            kubernetes.kubernetes_client("c")
    environment.setenv("c__config_file", '{"clusters": []}')
    assert kubernetes.kubernetes_client("c") is client
    assert loaded == [{"clusters": []}]


def test_pydantic(environment: pytest.MonkeyPatch) -> None:
    library(environment, "pydantic_ai.providers.openai", OpenAIProvider=Made)
    library(environment, "pydantic_ai.providers.gateway", gateway_provider=Made)
    assert pydantic.openai_pydantic_ai_provider("c", base_url="u").kwargs == {"api_key": "key", "base_url": "u"}
    made = pydantic.pydantic_gateway_provider("c", "openai")
    assert (made.args, made.kwargs) == (("openai",), {"api_key": "key"})


def test_tokens_are_signed_with_the_key_of_the_connection(environment: pytest.MonkeyPatch) -> None:
    library(environment, "jwt", encode=lambda payload, key, algorithm: f"{payload['iss']}.{key}.{algorithm}")
    with pytest.raises(ConnectionInitError, match="c__private_key"):
        connections.encode_jwt({"iss": 7}, "c", "RS256")
    environment.setenv("c__private_key", "PEM")
    assert connections.encode_jwt({"iss": 7}, "c", "RS256") == "7.PEM.RS256"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ("\n  <!DOCTYPE html>\n<html>", "text/html; charset=utf-8"),
        ("<html>\n<body>", "text/html; charset=utf-8"),
        (b"<p class='a'>", "text/html; charset=utf-8"),
        ('\n<?xml version="1.0"?><Response/>', "text/xml; charset=utf-8"),
        (b"\x89PNG\r\n\x1a\n\x00", "image/png"),
        (b"of words", "text/plain; charset=utf-8"),
        (b"\x00\x01", ""),
        (b"", ""),
        ("<place> of words", ""),
        ("<pre>", ""),
        ("said <html>", ""),
        ("", ""),
        ({"a": "<html>"}, ""),
    ],
)
def test_an_answer_without_a_type_has_that_of_its_body(monkeypatch: pytest.MonkeyPatch, body: Any, kind: str) -> None:
    told: list[Any] = []
    monkeypatch.setattr("perdure._outcomes.outcome", lambda value, _event_id: told.append(value["headers"]))
    outcomes.http_outcome(200, body)
    outcomes.http_outcome(200, body, headers={"content-type": "text/x"})
    assert told == [{"Content-Type": kind} if kind else {}, {"content-type": "text/x"}]


class Azure(BaseHTTPRequestHandler):
    """Signs in whoever knows the secret, and takes what that one says."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.heard.append((self.path, self.headers["Authorization"], body))  # type: ignore[attr-defined]
        if not self.path.startswith("/token"):
            answer = {"id": "1"}
        elif "client_secret=secret" in body:
            answer = {"access_token": "in"}
        else:
            answer = {"error": "nobody"}
        data = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(name="azure")
def azure_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Azure)
    server.heard = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setattr(azurebot, "_SIGN_IN", f"http://127.0.0.1:{server.server_port}/token/{{}}")
    yield server
    server.shutdown()
    server.server_close()


def test_azurebot(environment: pytest.MonkeyPatch, azure: Any) -> None:
    service = f"http://127.0.0.1:{azure.server_port}/"
    bot = azurebot.azurebot_client("c")
    assert bot.send_conversation_activity({"type": "message"}, "room", service) == {"id": "1"}
    assert bot.send_conversation_activity({}, None, service) == {"id": "1"}
    said = [each for each in azure.heard if not each[0].startswith("/token")]
    assert said[0] == ("/v3/conversations/room/activities", "Bearer in", '{"type": "message"}')
    assert said[1][0] == "/v3/conversations"
    assert "secret" not in str(vars(bot))
    environment.setenv("c__app_password", "wrong")
    with pytest.raises(AuthenticationError, match="nobody"):
        bot.send_conversation_activity({}, None, service)

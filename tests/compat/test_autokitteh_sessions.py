"""Sessions of `requests` that the shim makes: paths are relative, and a token that is refused is renewed once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from perdure import _errors, _runtime
from perdure._autokitteh.oauth2_session import OAuth2Session


class Refused(_errors.Error):
    code = "P0306"


class Service(BaseHTTPRequestHandler):
    """Takes the token "new"; says where and as whom it was asked."""

    def do_GET(self) -> None:
        token = self.headers["Authorization"]
        self.server.asked.append((self.path, token))  # type: ignore[attr-defined]
        self.send_response(200 if token == "Bearer new" else 401)
        self.end_headers()
        self.wfile.write(json.dumps(token).encode())

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(name="service")
def service_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.asked = []  # type: ignore[attr-defined]
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("room__oauth_access_token", "old")
    yield server
    server.shutdown()
    server.server_close()


def opened(service: ThreadingHTTPServer) -> Any:
    return OAuth2Session("zoom", "room", base_url=f"http://127.0.0.1:{service.server_port}/v2/")


def coordinator(monkeypatch: pytest.MonkeyPatch, answer: Any) -> list[tuple[str, Any]]:
    asked: list[tuple[str, Any]] = []

    def request(operation: str, body: Any) -> Any:
        asked.append((operation, body))
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(_runtime, "current", SimpleNamespace(request=request))
    return asked


def test_a_token_that_is_refused_is_renewed_once(service: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = coordinator(monkeypatch, {"token": "new", "expires": ""})
    session = opened(service)
    assert session.get("users/me").json() == "Bearer new"
    assert session.get("users/me").json() == "Bearer new"
    assert service.asked == [("/v2/users/me", "Bearer old")] + 2 * [("/v2/users/me", "Bearer new")]  # type: ignore[attr-defined]
    assert asked == [("connection.token", {"connection": "room"})]


def test_what_cannot_be_renewed_is_the_services_answer(
    service: ThreadingHTTPServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    coordinator(monkeypatch, Refused("no refresh token"))
    assert opened(service).get("users/me").status_code == 401
    assert len(service.asked) == 1  # type: ignore[attr-defined]


def test_outside_of_a_session_nothing_is_renewed(service: ThreadingHTTPServer) -> None:
    assert opened(service).get("users/me").status_code == 401


def test_a_connection_without_a_token() -> None:
    with pytest.raises(_errors.Error, match="nobody__oauth_access_token"):
        OAuth2Session("zoom", "nobody", base_url="http://127.0.0.1:1/")

"""A gateway at an address that is not loopback: HTTPS, whoever answers, and whether there is a coordinator or not."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from gateway_support import PATIENCE_S, Server, served
from perdure_server.security.authority import Authority

pytestmark = pytest.mark.slow


@pytest.fixture(name="server")
def server_fixture(tmp_path: Path) -> Iterator[Server]:
    options = ("--tls-name", "localhost", "--grpc", "127.0.0.1:0")
    with served(tmp_path / "home", *options, http="0.0.0.0:0") as server:
        server.start()
        server.deploy()
        yield server


def test_it_is_https_for_all(server: Server) -> None:
    """Also for what the coordinator answers, and it knows by what scheme it was asked."""
    trusted = ssl.create_default_context(cadata=Authority.of(server.home).certificate.decode())
    assert server.url.startswith("https://localhost:")
    with httpx.Client(base_url=server.url, verify=trusted, timeout=PATIENCE_S) as client:
        assert client.post("/webhooks/p/in", content=b"1").status_code == 202
        asked = client.post("/webhooks/p/ask", content=b"{}")
        assert (asked.status_code, asked.json()["from"]) == (200, "127.0.0.1")
        headers = {"authorization": f"Bearer {server.token()}"}
        assert client.get("/api/v1/projects", headers=headers).status_code in {200, 401, 403}
        assert client.get("/api/v1/projects").status_code == 401
        with server.without_coordinator():
            assert client.post("/webhooks/p/in", content=b"2").status_code == 202
        server.delivered()
        assert client.get("/readyz").status_code == 200
    assert [json.loads(row.data)["url"]["scheme"] for row in server.events()] == ["https"] * 3
    with pytest.raises(httpx.ConnectError), httpx.Client(verify=ssl.create_default_context()) as stranger:
        stranger.get(f"{server.url}/livez")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{server.url.replace('https', 'http')}/livez")

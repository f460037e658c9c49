"""`perdure hosts` against a fake coordinator."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import cli_samples as samples
import pytest
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1.runner_pb2 import HostHealth, RunnerHealth
from perdure_server.cli import connect
from perdure_server.cli.main import invoke
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError

MIB = 1024 * 1024


def host(host_id: str, **fields: Any) -> control.Host:
    health = HostHealth(load=0.257, memory_available_bytes=512 * MIB, disk_free_bytes=9 * MIB, environments=["e"])
    known = {"capacity": 64, "sessions": 2, "state": "ready", "pid": 17, "heard_us": 1, "health": health}
    return control.Host(host_id=host_id, labels={"zone": "b", "gpu": "yes"}, **known | fields)


class Pool(samples.FakeControl):
    """Two hosts; session s1 runs on the first."""

    async def list_hosts(self, _request: control.ListHostsRequest) -> control.ListHostsResponse:
        return control.ListHostsResponse(hosts=[host("first"), host("second", state="draining", sessions=0)])

    async def drain_host(self, request: control.DrainHostRequest) -> control.DrainHostResponse:
        if request.host_id != "first":
            raise PerdureError("P0218", f"unknown host {request.host_id!r}")
        self.asked.append(request)
        return control.DrainHostResponse(sessions=2)

    async def revoke_token(self, request: control.RevokeTokenRequest) -> control.RevokeTokenResponse:
        return control.RevokeTokenResponse(existed=request.token_id == "host:first")

    async def get_runner_health(self, request: control.GetRunnerHealthRequest) -> RunnerHealth:
        if request.session_id != "s1":
            raise PerdureError("P0213", "it does not say")
        return RunnerHealth(session_id="s1", state="running", pid=99, memory_bytes=3 * MIB, processes=2, cpu_s=1.25)


@pytest.fixture(name="pool")
def pool_fixture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Pool:
    pool = Pool(
        sessions=[
            samples.session(session_id="s1", host_id="first", state="running"),
            samples.session(session_id="s2", host_id="first", state="running", runner_pid=5),
            samples.session(session_id="s3", host_id="second", state="running"),
        ]
    )

    @asynccontextmanager
    async def remote(_settings: Settings, _at: str) -> AsyncIterator[Pool]:
        yield pool

    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("PERDURE_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(connect, "remote", remote)
    monkeypatch.setenv("PERDURE_SERVER", "fake:1")
    return pool


def test_list(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["hosts", "list", "--json"]) == 0
    first, second = json.loads(capsys.readouterr().out)
    assert (first["host_id"], first["state"], second["state"]) == ("first", "ready", "draining")
    assert first["labels"] == {"gpu": "yes", "zone": "b"}
    assert first["health"] == {
        "load": 0.26,
        "memory_available_bytes": 512 * MIB,
        "disk_free_bytes": 9 * MIB,
        "environments": ["e"],
    }
    assert first["heard_at"] == "1970-01-01T00:00:00.000001Z"
    assert first["certificate_until"] is None
    assert invoke(["hosts", "list"]) == 0
    text = capsys.readouterr().out
    assert "2/64" in text
    assert "512 MiB" in text
    assert "gpu=yes, zone=b" in text


def test_show_tells_how_the_runners_of_that_host_are(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["hosts", "show", "first", "--json"]) == 0
    runners = json.loads(capsys.readouterr().out)["runners"]
    assert runners == [
        {"session_id": "s1", "state": "running", "pid": 99, "memory_bytes": 3 * MIB, "processes": 2, "cpu_s": 1.25},
        {"session_id": "s2", "state": "running", "pid": 5, "memory_bytes": 0, "processes": 0, "cpu_s": 0.0},
    ]
    assert invoke(["hosts", "show", "first"]) == 0
    text = capsys.readouterr().out
    assert "3 MiB" in text
    assert "s3" not in text


def test_an_unknown_host_is_answered_with_the_nearest(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["hosts", "show", "frist"]) != 0
    said = capsys.readouterr().err
    assert "P0218" in said
    assert "first" in said


def test_drain(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["hosts", "drain", "first", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"host_id": "first", "sessions": 2}
    assert invoke(["hosts", "drain", "first", "--move"]) == 0
    assert "2 sessions move" in capsys.readouterr().out
    assert [request.move for request in pool.asked] == [False, True]
    assert invoke(["hosts", "drain", "third"]) != 0


def test_revoke(pool: Pool, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["hosts", "revoke", "first"]) == 0
    assert capsys.readouterr().out == "first is revoked\n"
    assert invoke(["hosts", "revoke", "third"]) == 2
    assert capsys.readouterr().err.startswith("error[P0218] no host 'third' has joined")

"""`perdure manifest`: all faults of a project at once, and what deploying it would change."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import cli_samples as samples
import pytest
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1.runner_pb2 import BlobChunk, FetchBlobRequest
from perdure_server.cli import connect
from perdure_server.cli.main import invoke
from perdure_server.cli.settings import Settings
from perdure_server.manifest.build import digest, pack

MANIFEST = """\
name: shop
vars: {REGION: eu, KEY: {secret: true}}
triggers:
  order: {webhook: orders, call: main.py:on_order}
"""
CODE = "def on_order(event):\n    return event\n"


class Deployed(samples.FakeControl):
    """One project, `shop`, whose active build is what its folder was."""

    tarball = b""

    async def list_deployments(self, request: control.ListDeploymentsRequest) -> control.ListDeploymentsResponse:
        if request.project != "shop" or not self.tarball:
            return control.ListDeploymentsResponse()
        old = control.Deployment(deployment_id="dep_0", project="shop", build_id="0" * 64, state="inactive")
        live = control.Deployment(deployment_id="dep_1", project="shop", build_id=digest(self.tarball), state="active")
        return control.ListDeploymentsResponse(deployments=[old, live])

    async def fetch_build(self, request: FetchBlobRequest) -> AsyncIterator[BlobChunk]:
        assert request.digest == digest(self.tarball)
        yield BlobChunk(data=self.tarball)


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "perdure.yaml").write_text(MANIFEST)
    (folder / "main.py").write_text(CODE)
    return folder


@pytest.fixture(name="deployed")
def deployed_fixture(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Deployed:
    deployed = Deployed()

    @asynccontextmanager
    async def remote(_settings: Settings, _at: str) -> AsyncIterator[Deployed]:
        yield deployed

    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("PERDURE_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(connect, "remote", remote)
    monkeypatch.setenv("PERDURE_SERVER", "fake:1")
    return deployed


def test_a_sound_manifest(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["manifest", "validate", str(folder)]) == 0
    told = capsys.readouterr()
    assert told.out == ""
    assert "perdure.yaml is sound (vars: 2, triggers: 1)" in told.err
    (folder / "perdure.yaml").unlink()
    assert invoke(["manifest", "validate", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["valid"], found["file"]) == (True, None)
    assert invoke(["manifest", "validate", str(folder)]) == 0
    assert "has no perdure.yaml: the defaults count" in capsys.readouterr().err


def test_faults_of_the_manifest_and_of_the_code_are_told_together(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "perdure.yaml").write_text(MANIFEST.replace("vars:", "vras:").replace("on_order}", "on_oder}"))
    assert invoke(["manifest", "validate", str(folder)]) == 2
    told = capsys.readouterr().err
    assert "error[P0102] perdure.yaml:2:1 unknown key 'vras'\n" in told
    assert "error[P0107] perdure.yaml:4:34 trigger order: main.py has no function 'on_oder'\n" in told
    assert told.count("did you mean") == 2
    assert told.endswith("\n2 problems\n")
    assert invoke(["manifest", "validate", str(folder), "--json"]) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["valid"], [each["code"] for each in found["problems"]]) == (False, ["P0102", "P0107"])
    assert invoke(["manifest", "validate", str(folder / "none")]) == 2


def test_show_and_schema(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["manifest", "show", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["triggers"][0]["webhook"]["max_bytes"] == 1024 * 1024
    assert invoke(["manifest", "show", str(folder)]) == 0
    assert "\nform: perdure\n" in capsys.readouterr().out
    assert invoke(["manifest", "schema"]) == 0
    assert "triggers" in json.loads(capsys.readouterr().out)["properties"]


def test_a_plan(folder: Path, deployed: Deployed, capsys: pytest.CaptureFixture[str]) -> None:
    assert invoke(["manifest", "plan", str(folder)]) == 0
    told = capsys.readouterr()
    assert "+ trigger order\n" in told.out
    assert "project shop: nothing is live" in told.err

    deployed.tarball = pack(folder)
    assert invoke(["manifest", "plan", str(folder)]) == 0
    told = capsys.readouterr()
    assert (told.out, "nothing would change" in told.err) == ("", True)

    (folder / "main.py").write_text(CODE + "\n")
    (folder / "perdure.yaml").write_text(MANIFEST.replace("REGION: eu", "REGION: us"))
    assert invoke(["manifest", "plan", str(folder), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["deployment_id"], found["build"]["before"]) == ("dep_1", digest(deployed.tarball))
    assert found["build"]["after"] == digest(pack(folder))
    change = {"change": "changed", "kind": "variable", "name": "REGION", "field": "value"}
    assert found["changes"] == [change | {"before": "eu", "after": "us"}]
    assert invoke(["manifest", "plan", str(folder)]) == 0
    assert capsys.readouterr().out.startswith("~ variable REGION value: eu -> us\n~ build: ")

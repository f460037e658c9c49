"""Sessions are refused whose build cannot have the function that they are to begin with."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from coordinator_support import World
from perdure_proto.v1 import control_pb2 as cpb
from perdure_server.coordinator.requests.children import _prepare_start
from perdure_server.coordinator.requests.operations import Asker
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.build import pack

FILES = {
    "main.py": "import other\n\ndef run(event): ...\nalias = run\nfrom other import helper as imported\n",
    "other.py": "def helper(event): ...\nclass Thing: ...\n",
    "star.py": "from other import *\n",
    "made.py": "def f(e): ...\nglobals()['on_' + 'push'] = f\n",
    "pkg/__init__.py": "def inside(event): ...\n",
    "pkg/jobs.py": "def job(event): ...\n",
    "broken.py": "def f(:\n",
    "words.py": "def run(event):\n    total = event['item']\n    return event.status, 'to be shipped'\n",
}


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, [], Settings(host_timeout_s=1e9, isolate_scan=False))
    await world.begin()
    for name, text in FILES.items():
        (tmp_path / "code" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "code" / name).write_text(text)
    (tmp_path / "code" / "perdure.yaml").write_text("name: shop\n")

    async def parts() -> AsyncIterator[cpb.DeployRequest]:
        yield cpb.DeployRequest(header=cpb.DeployHeader())
        yield cpb.DeployRequest(chunk=pack(tmp_path / "code"))

    await world.control.deploy(parts())
    yield world
    await world.coordinator.close()
    world.store.close()


@pytest.mark.parametrize(
    ("entry", "code", "hint"),
    [
        ("main.py:rnu", "P0111", "did you mean 'run'?"),
        ("main.py:zzz", "P0111", "there are: run"),
        ("pkg/jobs.py:inside", "P0111", "there are: job"),
        ("broken.py:g", "P0111", "top level"),
        ("words.py:total", "P0111", "there are: run"),  # words of the file, but no names of the module
        ("words.py:status", "P0111", "there are: run"),
        ("words.py:shipped", "P0111", "there are: run"),
        ("words.py:event", "P0111", "there are: run"),
        ("mian.py:run", "P0110", "did you mean 'main.py'?"),
        ("main.py:a.b", "P0114", "file.py:handler"),
    ],
)
async def test_what_the_build_cannot_have_is_refused_at_once(world: World, entry: str, code: str, hint: str) -> None:
    for _ in range(2):  # a refusal is not remembered as something good
        with pytest.raises(PerdureError) as caught:
            await world.control.start_session(cpb.StartSessionRequest(entry_point=entry))
        assert caught.value.code == code
        assert hint in (caught.value.help or "")
    assert not (await world.control.list_sessions(cpb.ListSessionsRequest())).sessions


@pytest.mark.parametrize(
    "entry",
    [
        "main.py:run",
        "main.py:alias",
        "main.py:imported",
        "other.py:Thing",
        "star.py:helper",
        "made.py:on_push",
        "pkg/__init__.py:inside",
        "pkg.py:inside",
        "pkg/jobs.py:job",
        "broken.py:f",  # perhaps its host has a newer Python
    ],
)
async def test_what_it_may_have_is_started(world: World, entry: str) -> None:
    for _ in range(2):
        assert (await world.control.start_session(cpb.StartSessionRequest(entry_point=entry))).state == "created"


async def test_children_are_refused_alike(world: World) -> None:
    await world.control.start_session(cpb.StartSessionRequest(session_id="up", entry_point="main.py:run"))
    record = world.store.load_session("up")
    assert record is not None
    asker = Asker(
        "up", "shop", record.deployment_id, record.build_id, "", True, world.clock.now_us(), "main.1", world.settings
    )
    assert await _prepare_start(world.coordinator, asker, {"entry": "pkg/jobs.py:job"})
    with pytest.raises(PerdureError, match="has no function 'jbo'") as caught:
        await _prepare_start(world.coordinator, asker, {"entry": "pkg/jobs.py:jbo"})
    assert (caught.value.code, caught.value.help) == ("P0111", "did you mean 'job'?")


async def test_a_project_that_guesses_names_keeps_no_other_one_waiting(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first look of the first project does not end before the other project's is done."""
    entries = world.coordinator.entries
    (deployment,) = world.store.deployments("shop")
    others = threading.Event()
    look = entries._look

    def slow(build_id: str, files: tuple[str, ...], name: str, exports: object) -> None:
        if name == "alias":
            assert others.wait(60)
        look(build_id, files, name, exports)

    monkeypatch.setattr(entries, "_look", slow)
    guesses = [asyncio.create_task(entries.check("a", deployment.build_id, "main.py:alias")) for _ in range(5)]
    await asyncio.sleep(0)
    await entries.check("b", deployment.build_id, "main.py:imported")
    others.set()
    await asyncio.gather(*guesses)

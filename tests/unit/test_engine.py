"""The composition root with real processes: an embedded engine, and a server with its host beside it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from coordinator_support import refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_server.app.engine import Engine
from perdure_server.coordinator.settings import Fault, Settings
from perdure_server.core.state import Rules
from perdure_server.manifest.build import pack
from perdure_server.rpc.client import RemoteControl

PATIENCE_S = 60

HANDLER = """
import subprocess
import time


def handler(event):
    print("begin")
    done = []
    for number in range(event["calls"]):
        subprocess.check_call(["sh", "-c", f"echo {number} >> {event['effects']}"])
        done.append(number)
        time.sleep(event["sleep"])
    if event["last"]:  # it does not end before this is there
        subprocess.check_call(["sh", "-c", f"until [ -e {event['last']} ]; do sleep 0.05; done"])
    print("end")
    return done
"""

SERVE = """
import asyncio, sys
from pathlib import Path
from perdure_server.app.server import serve
from perdure_server.coordinator.settings import Settings
# What a session does outside is a file of the test's: no sandbox, and so no network policy either.
asyncio.run(serve(Path(sys.argv[1]), isolation="plain", settings=Settings(default_network="all")))
"""


@pytest.fixture(name="folder")
def folder_fixture(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    folder.mkdir()
    (folder / "main.py").write_text(HANDLER)
    return folder


async def start(
    control: object, folder: Path, effects: Path, *, calls: int, sleep: float = 0.001, last: Path | None = None
) -> str:
    async def parts() -> AsyncIterator[cpb.DeployRequest]:
        yield cpb.DeployRequest(header=cpb.DeployHeader(project="p"))
        yield cpb.DeployRequest(chunk=pack(folder))

    await control.deploy(parts())  # type: ignore[attr-defined]
    event = json.dumps({"calls": calls, "effects": str(effects), "sleep": sleep, "last": str(last or "")}).encode()
    request = cpb.StartSessionRequest(project="p", entry_point="main.py:handler", event=event)
    return str((await control.start_session(request)).session_id)  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", ["kill-runner", "kill-host"])
async def test_an_embedded_engine_survives_the_death_of_runner_and_host(
    tmp_path: Path, folder: Path, fault: Fault
) -> None:
    struck: set[int] = set()

    def strike(_session: str, seq: int, _entry: jpb.Entry) -> Fault | None:
        if seq not in {2, 7} or seq in struck:
            return None
        struck.add(seq)
        return fault

    async with asyncio.timeout(PATIENCE_S), Engine.embedded(tmp_path / "home", faults=strike) as engine:
        session_id = await start(engine.control, folder, tmp_path / "effects", calls=3)
        session = await engine.wait_done(session_id)
        logs = [line.text async for line in engine.control.get_logs(cpb.GetLogsRequest(session_id=session_id))]
    assert (session.state, session.result.data, session.epoch) == ("completed", b"[0,1,2]", 3)
    assert struck == {2, 7}
    assert logs == ["begin", "end"]
    assert (tmp_path / "effects").read_text().split() in (["0", "1", "2"], ["0", "1", "1", "2"], ["0", "1", "2", "2"])


async def test_every_wait_suspended_comes_to_the_same(tmp_path: Path, folder: Path) -> None:
    settings = Settings(rules=Rules(suspend_after_s=0))
    async with asyncio.timeout(PATIENCE_S), Engine.embedded(tmp_path / "home", settings=settings) as engine:
        session_id = await start(engine.control, folder, tmp_path / "effects", calls=3, sleep=600)
        asked = cpb.GetSessionRequest(session_id=session_id)
        for wait in (1, 2, 3):
            while not ((at := await engine.control.get_session(asked)).suspended and at.epoch == wait):
                await asyncio.sleep(0.01)
            await engine.control.signal_session(cpb.SignalSessionRequest(session_id=session_id, wake=True))
        session = await engine.wait_done(session_id)
    assert (session.result.data, session.epoch) == (b"[0,1,2]", 4)
    assert (tmp_path / "effects").read_text().split() == ["0", "1", "2"]


async def test_a_home_has_one_engine_and_any_number_of_readers(tmp_path: Path, folder: Path) -> None:
    home = tmp_path / "home"
    async with asyncio.timeout(PATIENCE_S), Engine.embedded(home) as engine:
        session_id = await start(engine.control, folder, tmp_path / "effects", calls=1)
        await engine.wait_done(session_id)
        with refused("P0202"):
            async with Engine.embedded(home):
                pass
        async with Engine.read_only(home) as control:
            session = await control.get_session(cpb.GetSessionRequest(session_id=session_id))
            assert session.state == "completed"


@asynccontextmanager
async def served(home: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """A server process and its address."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-c",
        SERVE,
        str(home),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONWARNINGS": "error"},
    )
    assert process.stderr is not None
    try:
        while line := (await process.stderr.readline()).decode():
            if line.startswith("ready "):
                yield process, line.split("grpc=")[1].strip()
                break
        else:
            raise AssertionError("the server did not come up")
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.communicate(), PATIENCE_S)


async def host_pid(server: int) -> int:
    while True:
        children = Path(f"/proc/{server}/task/{server}/children").read_text().split()
        for child in children:
            with contextlib.suppress(OSError):  # it has ended
                if b"host_process" in Path(f"/proc/{child}/cmdline").read_bytes():
                    return int(child)
        await asyncio.sleep(0.01)


async def test_a_served_session_survives_the_death_of_runner_host_and_coordinator(tmp_path: Path, folder: Path) -> None:
    home, effects, last = tmp_path / "home", tmp_path / "effects", tmp_path / "last"

    async def reached(number: int) -> None:
        while not effects.exists() or len(effects.read_text().split()) < number:
            await asyncio.sleep(0.005)

    async with asyncio.timeout(2 * PATIENCE_S):
        async with served(home) as (process, address), RemoteControl(address) as control:
            session_id = await start(control, folder, effects, calls=12, sleep=0.05, last=last)
            endpoint = json.loads((home / "endpoint.json").read_text())
            assert (endpoint["grpc"], endpoint["pid"]) == (address, process.pid)
            await reached(3)
            asked = cpb.GetSessionRequest(session_id=session_id)
            while not (pid := (await control.get_session(asked)).runner_pid):  # 0 is all of our own process group
                await asyncio.sleep(0.005)
            os.kill(pid, signal.SIGKILL)
            await reached(5)
            os.kill(await host_pid(process.pid), signal.SIGKILL)
            await reached(7)
            process.kill()
            await process.wait()
        last.touch()
        async with served(home) as (process, address), RemoteControl(address) as control:
            updates = control.watch_session(cpb.WatchSessionRequest(session_id=session_id, until_done=True))
            states = [u.session.state async for u in updates if u.HasField("session")]
            assert states[-1] == "completed"
            session = await control.get_session(asked)
            assert json.loads(session.result.data) == list(range(12))
            host = await host_pid(process.pid)
        assert process.returncode == 0
    numbers = [int(number) for number in effects.read_text().split()]
    assert sorted(set(numbers)) == list(range(12))
    assert len(numbers) <= 12 + 3
    assert not (home / "endpoint.json").exists()
    assert not Path(f"/proc/{host}").exists()

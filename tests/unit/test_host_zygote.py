"""Zygotes, builds and interpreters of a host: they are made once, they die, they are made again."""

import asyncio
import hashlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from host_support import BUILD, DIGEST, HERE, PATIENT_S, FakeCoordinator, config, pid_of, running, tarball
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host import launch, processes
from perdure_runner.host.pythons import InterpreterNotFoundError, Interpreters
from perdure_runner.host.zygotes import Fork, Zygote, ZygoteError, Zygotes


async def _dead(pid: int) -> None:
    async with asyncio.timeout(60):
        while Path(f"/proc/{pid}/exe").exists():
            await asyncio.sleep(0.001)


async def test_a_killed_zygote_loses_its_sessions_and_is_started_again(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        coordinator.start("stubborn")
        await coordinator.next("attached")
        (zygote,) = host._backend.zygotes
        pid = await pid_of(host)
        os.kill(zygote.pid, signal.SIGKILL)
        lost = await coordinator.next("lost")
        assert not lost.fatal
        assert "zygote" in lost.reason
        await _dead(pid)
        coordinator.start("echo:1", epoch=2)
        await coordinator.next("done")
        (newer,) = host._backend.zygotes
        assert newer.pid != zygote.pid


async def test_runners_die_with_their_host(tmp_path: Path) -> None:
    """The host is killed: the zygote's socket closes, and no runner or grandchild outlives it."""
    program = f"""
import asyncio, sys
sys.path[:0] = [{str(HERE)!r}]
from pathlib import Path
from host_support import running
async def main():
    async with running(Path({str(tmp_path)!r})) as (host, coordinator):
        coordinator.start("stubborn")
        attached = await coordinator.next("attached")
        print(attached.pid, *(zygote.pid for zygote in host._backend.zygotes), flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdout=subprocess.PIPE)
    assert process.stdout is not None
    pids = list(map(int, (await process.stdout.readline()).split()))
    assert len(pids) == 2
    process.kill()
    await process.wait()
    for pid in pids:
        await _dead(pid)


async def test_a_zygote_that_cannot_start_says_why(tmp_path: Path) -> None:
    async with running(tmp_path, main="host_runner:missing") as (_host, coordinator):
        coordinator.start("echo:1")
        lost = await coordinator.next("lost")
        assert "AttributeError" in lost.reason
        assert not lost.fatal


async def test_a_fork_on_a_dead_zygote_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, _coordinator):
        python = await host._backend.pythons.resolve("")
        zygote = await host._backend.zygotes.get(python, 5)
        zygote.kill()
        ends = os.pipe()
        with pytest.raises(ZygoteError):
            zygote.fork(Fork(*ends, {}), lambda _status: None)


async def test_idle_zygotes_beyond_the_limit_end(tmp_path: Path) -> None:
    async with running(tmp_path, zygotes=2) as (host, _coordinator):
        python = await host._backend.pythons.resolve("")
        pids = [(await host._backend.zygotes.get(python, seed)).pid for seed in (1, 2, 3)]
        await _dead(pids[0])
        assert [zygote.pid for zygote in host._backend.zygotes] == pids[1:]


async def test_zygotes_of_the_usual_seeds_start_with_the_host(tmp_path: Path) -> None:
    async with running(tmp_path, warm_seeds=(3,)) as (host, coordinator):
        (zygote,) = host._backend.zygotes
        await zygote.ready
        coordinator.start("echo:1", hash_seed=3)
        await coordinator.next("done")
        assert [other.pid for other in host._backend.zygotes] == [zygote.pid]


async def test_the_zygote_carries_none_of_our_dependencies_and_one_thread(tmp_path: Path) -> None:
    settings = config(tmp_path)
    launch.home(settings).mkdir(parents=True)
    zygotes = Zygotes(settings)
    zygote = await zygotes.get(await Interpreters().resolve(""), 0)
    maps = Path(f"/proc/{zygote.pid}/maps").read_text()
    assert "grpc" not in maps
    assert len(os.listdir(f"/proc/{zygote.pid}/task")) == 1
    zygotes.kill()


async def test_a_build_is_fetched_and_compiled_once(tmp_path: Path) -> None:
    async with running(tmp_path) as (_host, coordinator):
        for number in range(5):
            coordinator.start("echo:0", session_id=str(number))
        for _ in range(5):
            await coordinator.next("done")
        assert coordinator.fetched == 1
    code = tmp_path / "builds" / DIGEST / "code" / "handlers.py"
    assert code.stat().st_mode & 0o222 == 0
    assert [path.name for path in (tmp_path / "builds").iterdir()] == [DIGEST]
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start("echo:0")
        await coordinator.next("done")
        assert coordinator.fetched == 0


@pytest.mark.parametrize(
    ("blobs", "build", "code", "fatal"),
    [
        ({}, DIGEST, "P0212", True),
        ({}, "../../etc", "P0212", True),
        ({DIGEST: b"other bytes"}, DIGEST, "", False),
        ({hashlib.sha256(b"no tar").hexdigest(): b"no tar"}, hashlib.sha256(b"no tar").hexdigest(), "P0120", True),
    ],
    ids=["unknown", "no digest", "damaged", "no tarball"],
)
async def test_a_build_that_cannot_be_had(
    tmp_path: Path, blobs: dict[str, bytes], build: str, code: str, fatal: bool
) -> None:
    async with running(tmp_path, FakeCoordinator(blobs)) as (host, coordinator):
        coordinator.start("echo:1", build=build)
        lost = await coordinator.next("lost")
        assert (lost.code, lost.fatal) == (code, fatal)
        assert not host.sessions
    assert list((tmp_path / "builds").iterdir()) == []


async def test_a_build_with_a_syntax_error_still_runs(tmp_path: Path) -> None:
    data = tarball(handlers__py="def (")
    digest = hashlib.sha256(data).hexdigest()
    async with running(tmp_path, FakeCoordinator({digest: data})) as (_host, coordinator):
        coordinator.start("report", build=digest)
        seen = json.loads((await coordinator.next("done")).result.data)
        assert Path(seen["start"]["code"], "handlers.py").read_text() == "def ("


async def test_what_a_dead_host_left_unfinished_is_cleared(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec("true")
    await process.wait()
    dead, alive = (tmp_path / "builds" / f"tmp-{pid}-x" for pid in (process.pid, os.getpid()))
    for left in (dead, alive):
        left.mkdir(parents=True)
        (left / "file").write_text("x")
    async with running(tmp_path):
        assert not dead.exists()
        assert alive.exists()


async def test_a_kill_while_the_build_is_being_fetched(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        coordinator.start("echo:1")
        coordinator.stop(runner.STOP_KIND_KILL, reason="changed my mind")
        lost = await coordinator.next("lost")
        assert lost.reason == "killed: changed my mind"
        assert not host.sessions
        coordinator.start("echo:1", epoch=2)
        assert (await coordinator.next("done")).epoch == 2


@pytest.mark.parametrize("name", ["2.7", "3.99", "/no/such/python", "/bin/false", "python3", "3", "; true"])
async def test_an_interpreter_that_is_not_here(tmp_path: Path, name: str) -> None:
    async with running(tmp_path) as (_host, coordinator):
        coordinator.start("echo:1", python=name)
        lost = await coordinator.next("lost")
        assert (lost.code, lost.fatal) == ("P0213", True)
        assert name in lost.reason


async def test_interpreters_are_found_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    pythons = Interpreters()
    own = await pythons.resolve("")
    assert own.path == sys.executable
    assert own.version == sys.version_info[:3]
    assert await pythons.resolve(f"{own.version[0]}.{own.version[1]}") == own
    assert await pythons.resolve(sys.executable) == own
    assert f"{own.version[0]}.{own.version[1]}" in pythons.versions()
    with pytest.raises(InterpreterNotFoundError):
        await pythons.resolve("3.11.99")


@pytest.mark.parametrize("mode", ["attach", "module"])
def test_the_other_ways_in(tmp_path: Path, mode: str) -> None:
    """`attach` runs in the foreground with stdio kept; `-m perdure_runner` is the same program."""
    import socket

    from perdure_runner.frames import Stream, encode

    ours, theirs = socket.socketpair()
    settings = config(tmp_path)
    command = launch.command(settings, sys.executable, "attach", f"--fd={theirs.fileno()}", "--main=host_runner:main")
    if mode == "module":
        command[2:3] = ["-m", "perdure_runner"]
    with ours, subprocess.Popen(command, pass_fds=[theirs.fileno()]) as process:
        theirs.close()
        stream = Stream(ours)
        stream.write(encode({"t": "start", "entry": "report"}) + encode({"t": "hist", "e": [], "last": True}))
        kinds = [stream.recv()[0]["t"] for _ in range(3)]
        assert kinds == ["hello", "attached", "done"]
    assert process.returncode == 0


async def test_a_runner_is_heard_when_its_zygote_has_said_which_process_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be faster than that word; its own number would be that of its namespace, which is somebody else's here."""
    held: list[tuple[Zygote, dict[str, Any]]] = []
    report = Zygote._report

    def later(zygote: Zygote, message: dict[str, Any]) -> None:
        if message["op"] == "forked" and not zygote._children[message["id"]].spare:
            held.append((zygote, message))
        else:
            report(zygote, message)

    monkeypatch.setattr(Zygote, "_report", later)
    monkeypatch.setattr(processes, "_SPARES", dict.fromkeys(processes._SPARES, 0))
    async with running(tmp_path) as (host, coordinator):
        coordinator.start("wait")
        async with asyncio.timeout(PATIENT_S):
            while not held or not (connection := host.sessions["s"]._connection):
                await asyncio.sleep(0.001)
            waits = select.poll()
            waits.register(connection._socket, select.POLLIN)
            while not waits.poll(0):  # the runner has spoken
                await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)  # nor does the loop, whenever it looks
        assert host.sessions["s"].pid == 0
        assert not [told for told in coordinator.heard if told.HasField("attached")]
        ((zygote, message),) = held
        report(zygote, message)
        attached = await coordinator.next("attached")
        assert attached.pid == message["pid"] == host.sessions["s"].pid


def test_builds_are_what_the_support_says() -> None:
    assert hashlib.sha256(BUILD).hexdigest() == DIGEST

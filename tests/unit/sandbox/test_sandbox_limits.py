"""Limits: what holds them, and how one hears of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from inside import inside
from perdure_proto.v1 import runner_pb2 as runner
from perdure_proto.v1.journal_pb2 import Error, Frame
from perdure_runner.host.cgroups import Groups
from perdure_runner.host.naming import name_limit

MIB = 1 << 20


@pytest.fixture(name="counted")
def counted_fixture() -> None:
    """Skips where this machine gives us no control groups."""
    groups = Groups()
    have = groups.controllers
    groups.close()
    if missing := {"memory", "pids"} - set(have):
        pytest.skip(f"no control groups for {', '.join(missing)}")


async def test_memory_of_one_process(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        ended = await here.end(here.start("return len(bytearray(300 << 20))", memory_bytes=128 * MIB))
    assert ended.done.state == runner.DONE_STATE_FAILED
    assert (ended.done.error.type, ended.done.error.code) == ("MemoryError", "P0603")
    assert "memory: limit 128 MiB" in ended.done.error.help


@pytest.mark.usefixtures("counted")
async def test_memory_of_all_processes_together(tmp_path: Path, namespaces: str) -> None:
    body = """
        keep = b"x" * (100 << 20)
        eat = "import time; x = b'x' * (60 << 20); time.sleep(60)"
        subprocess.Popen([sys.executable, "-S", "-c", eat]).wait()
        time.sleep(60)
    """
    async with inside(tmp_path, namespaces) as here:
        other = here.start("time.sleep(60)")
        ended = await here.end(here.start(body, memory_bytes=128 * MIB))
        assert not here.host.sessions[other].over
    assert (ended.lost.code, ended.lost.fatal) == ("P0603", True)
    assert ended.lost.reason.startswith("memory: limit 128 MiB, used 12")


async def test_room(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        for place in ("/tmp/x", "x", "/dev/shm/x"):
            ended = await here.end(here.start(f"open({place!r}, 'wb').write(bytes(5 << 20))", disk_bytes=4 * MIB))
            assert (ended.done.error.type, ended.done.error.code) == ("OSError", "P0607")
            assert "disk: limit 4 MiB" in ended.done.error.help


async def test_files(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        body = "for number in range(1000): open(f'/tmp/{number}', 'w').close()"
        ended = await here.end(here.start(body, files=100))
    assert ended.done.error.code == "P0607"
    assert "files: limit 100, all of it used" in ended.done.error.help


async def test_processes_and_threads(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        threads = "for _ in range(100): threading.Thread(target=time.sleep, args=(30,), daemon=True).start()"
        ended = await here.end(here.start(threads, processes=20))
        assert ended.done.error.code == "P0606"
        forks = "return [subprocess.Popen(['sleep', '30']).pid for _ in range(100)]"
        ended = await here.end(here.start(forks, processes=20))
        assert (ended.done.error.type, ended.done.error.code) == ("BlockingIOError", "P0606")
        assert "processes: limit 20" in ended.done.error.help


async def test_open_files(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        opened = await here.see(
            "kept = []\nwhile type(last := attempt(os.dup, 0)) is int: kept.append(last)\nreturn [len(kept), last]",
            open_files=64,
        )
    assert opened == [60, "EMFILE"]


@pytest.mark.usefixtures("counted")
async def test_no_group_is_left(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        groups = here.host._backend._held.groups  # type: ignore[attr-defined]
        folders = [hierarchy.folder for hierarchy in groups._hierarchies]
        there = lambda: {path for folder in folders for path in folder.iterdir() if path.is_dir()}  # noqa: E731
        before = there()  # of this process' hosts before: what still had a process at their end
        await here.see("subprocess.Popen(['sleep', '60'], start_new_session=True)")
        await asyncio.wait_for(here.host._empty.wait(), 60)
        async with asyncio.timeout(60):
            while there() - before:
                await asyncio.sleep(0.005)
    assert not any(folder.exists() for folder in folders)


def error(kind: str, message: str, name: str = "f", source: str = "") -> Error:
    return Error(type=kind, message=message, traceback=[Frame(name=name, source=source)])


LIMITS = runner.Limits(memory_bytes=MIB, processes=3, disk_bytes=MIB, files=7)


@pytest.mark.parametrize(
    ("given", "code"),
    [
        (error("MemoryError", ""), "P0603"),
        (error("MemoryError", "said by the user"), ""),
        (error("OSError", "[Errno 28] No space left on device"), "P0607"),
        (error("OSError", "[Errno 2] No such file"), ""),
        (error("RuntimeError", "can't start new thread"), "P0606"),
        (error("BlockingIOError", "[Errno 11] Resource temporarily unavailable", source="pid = os.fork()"), "P0606"),
        (error("BlockingIOError", "[Errno 11] Resource temporarily unavailable", source="data = sock.recv(1)"), ""),
        (Error(type="OSError", message="[Errno 28] x", code="P0401"), "P0401"),
    ],
)
def test_names(given: Error, code: str) -> None:
    name_limit(given, LIMITS, confined=True)
    assert given.code == code
    assert bool(given.help) == (code.startswith("P06"))


def test_the_developer_s_own_full_disk_is_no_limit_of_the_project() -> None:
    given = error("OSError", "[Errno 28] No space left on device")
    name_limit(given, LIMITS, confined=False)
    assert given.code == ""

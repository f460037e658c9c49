"""A runner that waits in the place of the last session is held as one that is forked for it, and by nobody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from inside import Inside, inside
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.child.sandbox import places
from perdure_runner.host import spares
from perdure_runner.host.spares import _PASSED, Like, Spare

HELD = r"""
    status = [line for line in reading("/proc/self/status").splitlines() if line.startswith(KEPT)]
    limits = [resource.getrlimit(n) for n in range(16)]
    mounts = [line.split(" ", 1)[1] for line in reading("/proc/self/mounts").splitlines() if "overlay" not in line]
    while reading("/proc/1/comm") != "sleep\n":  # another program starts it
        os.sched_yield()
    opened = [n for n in os.listdir("/proc/self/fd") if os.path.lexists("/proc/self/fd/" + n)]
    files = sorted((int(n), os.readlink("/proc/self/fd/" + n).split(":")[0]) for n in opened)
    refused = [attempt(os.mkdir, "/usr/x"), call("unshare", 0x10000000), call("mount", b"x", b"/tmp", b"tmpfs", 0, 0)]
    found = [os.listdir("/tmp"), os.listdir("."), os.getcwd(), os.getpid(), os.getuid(), reading("/proc/1/comm")]
    open("/tmp/left", "w").close(); open("left", "w").close()
    return [status, limits, sorted(mounts), files, refused, found]
""".replace("KEPT", repr(("CapEff", "CapBnd", "NoNewPrivs", "Seccomp", "Uid", "Groups", "SigIgn", "SigCgt", "SigBlk")))


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.002)


async def _waiting(here: Inside) -> list[Spare]:
    """Those that wait, when all do that are to, and are known by their numbers."""
    backend: Any = here.host._backend
    (spares,) = backend._spares.values()
    known = lambda each: spares._keeps(each) and each.waits() and each.process.pid  # noqa: E731
    waits = lambda: [*filter(known, spares._spares)]  # noqa: E731
    await _until(lambda: len(waits()) == spares._count)
    return waits()


async def _settled(here: Inside) -> set[int]:
    """The pids of those that are in a place."""
    return {spare.process.pid for spare in await _waiting(here) if spare.place is not None}


async def test_it_is_held_as_one_that_is_forked_for_its_session(tmp_path: Path, namespaces: str) -> None:
    limits = {"memory_bytes": 512 << 20, "disk_bytes": 64 << 20, "files": 1000, "open_files": 64, "processes": 50}
    async with inside(tmp_path, namespaces) as here:
        forked = await here.see(HELD, **limits)
        before = await _settled(here)
        assert len(before) == len(await _waiting(here)) - 1  # one suits all sessions
        ahead = await here.see(HELD, **limits)
        assert before - await _settled(here)
        again = await here.see(HELD, **limits)
    assert ahead == again == forked


async def test_its_way_out_is_opened_for_its_own_session(tmp_path: Path, namespaces: str) -> None:
    body = "return socket.create_connection(('127.0.0.1', 3128)).getpeername()[1]"
    async with inside(tmp_path, namespaces) as here:
        assert await here.see(body, network=runner.NETWORK_MODE_HOSTS) == 3128
        before = await _settled(here)
        assert await here.see(body, network=runner.NETWORK_MODE_HOSTS) == 3128
        assert before - await _settled(here)


async def test_sessions_of_other_places_do_not_get_it_and_take_its_place_in_the_end(
    tmp_path: Path, namespaces: str
) -> None:
    async with inside(tmp_path, namespaces) as here:
        assert await here.see("return 'mine'") == "mine"
        mine = await _settled(here)
        assert await here.see("return 'other'") == "other"
        assert await _settled(here) == mine
        for n in range(_PASSED):
            assert await here.see(f"return {n}") == n
            await _waiting(here)
        assert not await _settled(here) & mine
        assert await here.see("return 'mine'") == "mine"


async def test_they_end_with_their_host(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        await here.see("return 1")
        pids = await _settled(here)
    await _until(lambda: not any(Path(f"/proc/{pid}/exe").exists() for pid in pids))


def _like(code: Path, **more: Any) -> Like:
    confine = {"network": "none", "open_files": 0, "code": str(code), "cache": str(code), "environment": "", **more}
    return Like(runner.Limits(), alone=True, confine=confine)


def test_a_place_is_another_one_once_its_folder_was_made_anew(tmp_path: Path) -> None:
    old, new = tmp_path / "code", tmp_path / "new"
    old.mkdir()
    new.mkdir()
    before = _like(old).settled()
    assert before == _like(old).settled() != None  # noqa: E711
    assert before != _like(old, disk=1).settled()
    old.rmdir()
    assert _like(old).settled() is None
    new.rename(old)
    assert before != _like(old).settled()


def test_a_place_is_another_one_once_the_machine_s_network_was_configured_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolvers, new = tmp_path / "resolv.conf", tmp_path / "new"
    monkeypatch.setattr(spares, "_OF_THE_NETWORK", (str(resolvers), str(tmp_path / "hosts")))
    unconfigured, alone = _like(tmp_path, network="all").settled(), _like(tmp_path).settled()
    resolvers.write_text("nameserver 192.0.2.1\n")
    before = _like(tmp_path, network="all").settled()
    assert unconfigured != before == _like(tmp_path, network="all").settled()
    new.write_text("nameserver 192.0.2.2\n")
    new.rename(resolvers)
    assert before != _like(tmp_path, network="all").settled()
    assert alone == _like(tmp_path).settled()


def test_the_files_of_the_network_are_those_that_the_sandbox_shows() -> None:
    assert spares._OF_THE_NETWORK == places.NETWORK


def test_nobody_waits_where_few_files_may_be_open(tmp_path: Path) -> None:
    assert _like(tmp_path, open_files=8).settled() is None
    assert _like(tmp_path, open_files=64).settled() is not None

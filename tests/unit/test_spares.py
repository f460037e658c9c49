"""Runners that are made ahead of their sessions: who gets them, and what becomes of those that nobody gets."""

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from host_support import FakeCoordinator, running
from perdure_proto.v1.runner_pb2 import Limits
from perdure_runner.host.cgroups import kinds
from perdure_runner.host.host import Host
from perdure_runner.host.spares import Spare, Spares

MIB = 1 << 20


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():
            await asyncio.sleep(0.002)


async def _filled(spares: Spares) -> Spare:
    """The runner that the next session gets, as soon as all wait that are to."""
    waits = lambda: [spare for spare in spares._spares if spare.waits() and spare.process.pid]  # noqa: E731
    await _until(lambda: len(waits()) == spares._count)
    return waits()[0]


async def _waiting(host: Host) -> Spare:
    """That of the one zygote."""
    (spares,) = host._backend._spares.values()
    return await _filled(spares)


async def _run(coordinator: FakeCoordinator, session_id: str) -> None:
    coordinator.start("echo:1", session_id)
    await coordinator.next("done")


async def _gone(pid: int) -> None:
    await _until(lambda: not Path(f"/proc/{pid}/exe").exists())


async def test_a_session_gets_the_runner_that_was_made_for_it(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        await _run(coordinator, "first")
        pid = (await _waiting(host)).process.pid
        assert os.getpgid(pid) != pid  # nothing but the zygote's yet
        coordinator.start("stubborn", "second")
        await coordinator.next("attached")
        assert host.sessions["second"]._process.pid == pid == os.getpgid(pid)
        assert (await _waiting(host)).process.pid != pid


async def test_who_waits_holds_nothing_of_the_zygotes(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        await _run(coordinator, "first")
        spare = await _waiting(host)
        (zygote,) = host._backend.zygotes
        theirs, its = (
            {os.readlink(file) for file in Path(f"/proc/{pid}/fd").iterdir()} for pid in (zygote.pid, spare.process.pid)
        )
        shared = {name for name in theirs & its if name.startswith("socket:")}
        assert not shared
        assert len([name for name in its if name.startswith("socket:")]) == 1


async def test_one_that_is_killed_is_replaced_and_never_used(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        await _run(coordinator, "first")
        killed = await _waiting(host)
        os.kill(killed.process.pid, signal.SIGKILL)
        await _until(lambda: not killed.waits())
        await _run(coordinator, "second")
        await _until(lambda: killed.process.exited)
        assert (await _waiting(host)).process.pid != killed.process.pid


async def test_they_end_with_their_zygote_and_with_their_host(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        await _run(coordinator, "first")
        first = (await _waiting(host)).process.pid
        (zygote,) = host._backend.zygotes
        os.kill(zygote.pid, signal.SIGKILL)
        await _gone(first)
        await _until(lambda: not zygote.alive)
        await _run(coordinator, "second")
        (*_, spares) = host._backend._spares.values()
        second = (await _filled(spares)).process.pid
    await _gone(second)


async def test_only_the_zygotes_used_last_have_any(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        pids = []
        for seed in (1, 2, 3):
            coordinator.start("echo:1", f"s{seed}", hash_seed=seed)
            await coordinator.next("done")
            pids.append((await _filled([*host._backend._spares.values()][-1])).process.pid)
        await _gone(pids[0])
        assert len(host._backend._spares) == 2
        assert all(Path(f"/proc/{pid}/exe").exists() for pid in pids[1:])


def test_what_is_limited_says_whose_group_it_can_be() -> None:
    assert kinds(Limits(memory_bytes=MIB)) == kinds(Limits(memory_bytes=2 * MIB, files=9)) == {"memory"}
    assert kinds(Limits(memory_bytes=MIB, cpus=0.5, processes=3)) == {"memory", "cpu", "pids"}

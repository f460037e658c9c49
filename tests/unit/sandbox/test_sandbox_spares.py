"""A session in a runner that was made ahead is held as any other: its limits, its network, its own random numbers."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from inside import Inside, inside
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.cgroups import Groups

MIB = 1 << 20


async def _waiting(here: Inside) -> set[int]:
    """The pids of the runners that wait for a session, when all do that are to."""
    backend: Any = here.host._backend
    (spares,) = backend._spares.values()
    async with asyncio.timeout(60):
        while True:
            pids = {spare.process.pid for spare in spares._spares if spares._keeps(spare) and spare.waits()} - {0}
            if len(pids) == spares._count:
                return pids
            await asyncio.sleep(0.002)


@asynccontextmanager
async def _made_ahead(here: Inside) -> AsyncIterator[None]:
    """What is run in here is run by a runner that was made ahead."""
    before = await _waiting(here)
    yield
    assert before - await _waiting(here)


async def test_limits_are_those_of_its_own_session(tmp_path: Path, namespaces: str) -> None:
    async with inside(tmp_path, namespaces) as here:
        await here.see("return 1", memory_bytes=512 * MIB, disk_bytes=64 * MIB, files=1000)
        for body, code, limits in (
            ("open('/tmp/x', 'wb').write(bytes(5 << 20))", "P0607", {"disk_bytes": 4 * MIB}),
            ("for n in range(99): open(f'/tmp/{n}', 'w').close()", "P0607", {"files": 50}),
            ("return len(bytearray(300 << 20))", "P0603", {}),
        ):
            async with _made_ahead(here):
                ended = await here.end(here.start(body, memory_bytes=128 * MIB, **limits))
            assert ended.done.error.code == code


async def test_its_control_group_has_the_limits_of_its_own_session(tmp_path: Path, namespaces: str) -> None:
    groups = Groups()
    have = groups.controllers
    groups.close()
    if "memory" not in have:
        pytest.skip("no control groups for memory")
    body = """
        keep = b"x" * (100 << 20)
        eat = "import time; x = b'x' * (60 << 20); time.sleep(60)"
        subprocess.Popen([sys.executable, "-S", "-c", eat]).wait()
        time.sleep(60)
    """
    async with inside(tmp_path, namespaces) as here:
        await here.see("return 1", memory_bytes=512 * MIB)
        async with _made_ahead(here):
            ended = await here.end(here.start(body, memory_bytes=128 * MIB))
    assert (ended.lost.code, ended.lost.fatal) == ("P0603", True)


async def test_its_namespaces_are_its_own_and_its_network_as_it_says(tmp_path: Path, namespaces: str) -> None:
    names = ("net", "ipc", "uts", "mnt", "pid", "user", "cgroup")
    body = f"return [os.readlink(f'/proc/self/ns/{{name}}') for name in {names}]"
    async with inside(tmp_path, namespaces) as here:
        await here.see("return 1")
        async with _made_ahead(here):
            alone = await here.see(body)
        forked = await here.see(body, network=runner.NETWORK_MODE_ALL)  # not by those that are without it already
        async with _made_ahead(here):
            connected = await here.see(body, network=runner.NETWORK_MODE_ALL)
        async with _made_ahead(here):
            left = await here.see(body)
    # Not with each other: the first ones are gone by then, and the kernel gives their numbers again.
    machines = [os.readlink(f"/proc/self/ns/{name}") for name in names]
    for seen in (alone, left):
        assert not set(seen) & set(machines)
    for seen in (forked, connected):
        assert set(seen) & set(machines) == {machines[0]}


async def test_random_numbers_are_its_own(tmp_path: Path, namespaces: str) -> None:
    body = "import random, uuid; return [random.random(), str(uuid.uuid4()), os.urandom(8).hex()]"
    async with inside(tmp_path, namespaces) as here:
        drawn = [await here.see("return [1, '', '']")]
        for _ in range(2):
            async with _made_ahead(here):
                drawn.append(await here.see(body))
    assert all(len(set(kind)) == 3 for kind in zip(*drawn, strict=True))

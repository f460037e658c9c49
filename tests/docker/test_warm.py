"""What a container does before it has a session: its runner waits, and is not needed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from docker_support import begin, docker_host, of_host, result
from perdure_proto.v1.runner_pb2 import Prepare, Prepared, ToHost
from perdure_runner.host.docker.backend import Docker
from perdure_runner.host.docker.engine import Engine
from perdure_runner.host.host import Host

CODE = """
import os
def number(event):
    return os.getpid()
"""
PATIENCE_S = 60.0


async def runner_that_waits(host: Host, url: str) -> tuple[int, int]:
    """Its number on this machine, and in its container, when there is a warm one."""
    backend = host.backend
    assert isinstance(backend, Docker)
    async with asyncio.timeout(PATIENCE_S):
        while not backend.waiting:
            await asyncio.sleep(0.01)
    (container,) = of_host(url, host.config.host_id)
    engine = Engine(url)
    top = await asyncio.to_thread(engine.ask, lambda client: client.api.top(container["Id"], ps_args="-o pid"))
    engine.close()
    numbers = [
        [int(number) for number in line.split()[1:]]
        for (pid,) in top["Processes"]
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if line.startswith("NSpid:")
    ]
    outer, inner = max(numbers, key=lambda pair: pair[-1])
    assert len(numbers) == 3  # the engine's init, the zygote, and its runner
    return outer, inner


async def test_the_runner_is_there_before_its_session(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE, warm_seeds=(0,)) as (host, coordinator, build):
        _, waits = await runner_that_waits(host, engine)
        begin(coordinator, build, "number")
        assert await result(coordinator) == waits


async def test_a_runner_that_dies_while_it_waits(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE, warm_seeds=(0,)) as (host, coordinator, build):
        pid, waited = await runner_that_waits(host, engine)
        os.kill(pid, signal.SIGKILL)
        async with asyncio.timeout(PATIENCE_S):
            while Path(f"/proc/{pid}/exe").exists():
                await asyncio.sleep(0.01)
        begin(coordinator, build, "number")
        assert await result(coordinator) > waited
    assert of_host(engine, host.config.host_id) == []


async def test_what_a_deployment_needs_is_made_before_its_session(tmp_path: Path, engine: str) -> None:
    async with docker_host(tmp_path, engine, CODE) as (host, coordinator, build):
        backend = host.backend
        assert isinstance(backend, Docker)
        python = await backend.interpreter("")
        host.receive(ToHost(prepare=Prepare(deployment_id="d", build=build)))
        assert await coordinator.next("prepared") == Prepared(deployment_id="d")
        assert host._builds.at_hand(build, python) is not None
        assert [*backend._images._known]
        assert backend.waiting == 0  # what waits is for who runs sessions now
        begin(coordinator, build, "number")
        await result(coordinator)
        assert coordinator.fetched == 1

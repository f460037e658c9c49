"""How soon a session starts in a warm container."""

import asyncio
import time
from contextlib import AsyncExitStack

from perdure_runner.host.config import HostConfig
from perdure_runner.host.docker.backend import Docker
from perdure_runner.host.docker.base import bases
from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.docker.engine import Engine, EngineError
from perdure_server.app.engine import open_coordinator
from perdure_server.app.link import InProcessLink
from perdure_server.cli.settings import Settings
from perdure_server.coordinator.control import Control
from perdure_server.coordinator.settings import Settings as Policy

from bench import client
from bench.place import Bench, Samples, Skipped

_SERIES = 3
_WARM = 2
_LOOK_S = 0.01  # between looks at the pool, which is filled while nothing is measured


def measure(bench: Bench) -> Samples:
    """`docker_start_ms_p50`, `docker_start_ms_p90`. Raises Skipped without an engine."""
    url = Settings.load().text("docker_url")
    try:
        engine = Engine(url)
        found = engine.ask(bases)
        engine.close()
    except EngineError as error:
        raise Skipped(str(error)) from None
    if not found:
        raise Skipped("the Docker Engine has no base image: perdure images build-base")
    return asyncio.run(_measure(bench, DockerConfig(url=url, warm=_WARM)))


async def _measure(bench: Bench, docker: DockerConfig) -> Samples:
    async with AsyncExitStack() as stack:
        coordinator = await stack.enter_async_context(open_coordinator(bench.folder("home"), Policy()))
        seeds = (coordinator.hash_seed,)
        link = InProcessLink(coordinator, HostConfig(state_dir=bench.folder("host"), docker=docker, warm_seeds=seeds))
        stack.push_async_callback(link.stop)
        await link.start()
        control, backend = Control(coordinator, str(bench.folder("home"))), link.host.backend
        assert isinstance(backend, Docker)
        await client.deploy(control)
        await client.run(control, "first_line")
        series = [await _series(control, backend, 5 if bench.quick else 15) for _ in range(_SERIES)]
    return {
        "docker_start_ms_p50": [took[len(took) // 2] for took in series],
        "docker_start_ms_p90": [took[len(took) * 9 // 10] for took in series],
    }


async def _series(control: Control, backend: Docker, count: int) -> list[float]:
    """Milliseconds of starts, one after the other, each when the pool is full and quiet."""
    took = []
    for _ in range(count):
        while backend.waiting < _WARM:  # noqa: ASYNC110 (it takes a quarter of a second)
            await asyncio.sleep(_LOOK_S)
        asked = time.clock_gettime(time.CLOCK_MONOTONIC)
        took.append((await client.run(control, "first_line") - asked) * 1e3)
    return sorted(took)

"""`perdure serve`: the coordinator behind gRPC and HTTP, and a host beside it as a process of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.egress.rules import Rules, ranges

from perdure_server.app import interpreter, isolating, logs, ray_hosts
from perdure_server.app.beside import Beside, HostBeside
from perdure_server.app.engine import CAPACITY, open_coordinator
from perdure_server.app.entrance import Addresses, Entrance, entrance
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.store.home import absolute, make_home


@asynccontextmanager
async def serving(
    home: Path,
    at: Addresses | None = None,
    *,
    runner: str = "local",
    isolation: str = "auto",
    docker: DockerConfig | None = None,
    private: str = "",
    ray_address: str = "",
    settings: Settings | None = None,
) -> AsyncIterator[Entrance]:
    """A coordinator that serves `home`: its `Control`, and the addresses with the ports that they got.

    `runner`: "local" starts a host beside it, "docker" one with containers, as `docker` says, "ray" has one on each
    node of the cluster at `ray_address`, "none" waits for hosts to dial in. `isolation`: of its runners. `private`:
    ranges of addresses of internal services that sessions may reach if their project lists them. Raises `PerdureError`:
    P0103 there is no Ray, P0202 home in use, P0203 address in use, P0209 and P0210 about the journal, P0213 runners
    cannot be held so, P0217 an address needs TLS.
    """
    home = absolute(home)
    make_home(home)
    if runner == "local":
        await isolating.require(isolation, home / "host")
    async with AsyncExitStack() as stack:
        coordinator = await stack.enter_async_context(open_coordinator(home, settings or Settings()))
        opened = await stack.enter_async_context(entrance(coordinator, home, at or Addresses()))
        if runner in {"local", "docker"}:
            beside = HostBeside(
                opened.local, home / "host", CAPACITY, coordinator.hash_seed, isolation, docker, private
            )
            stack.push_async_callback(beside.stop)
            beside.start()
        elif runner == "ray":
            driver = Beside("the driver of Ray", "ray_hosts", _ray_plan(coordinator, opened, ray_address, isolation))
            stack.push_async_callback(driver.stop)
            driver.start()
        yield opened


async def serve(
    home: Path,
    at: Addresses | None = None,
    *,
    runner: str = "local",
    isolation: str = "auto",
    docker: DockerConfig | None = None,
    private: str = "",
    ray_address: str = "",
    settings: Settings | None = None,
) -> int:
    """Serve until SIGTERM or SIGINT; then end gracefully. Gives the exit code; raises as `serving`.

    What projects have the coordinator connect to is held to the same addresses as their sessions.
    """
    logs.to_stderr()
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    how: dict[str, Any] = {"runner": runner, "isolation": isolation, "docker": docker, "private": private}
    chosen = replace(settings or Settings(), reaches=Rules((), ranges(private)).reaches)
    with interpreter.serving():
        async with serving(home, at, **how, ray_address=ray_address, settings=chosen) as opened:
            more = "".join(f" {name}={at}" for name, at in (("hosts", opened.hosts), ("http", opened.http)) if at)
            print(f"ready grpc={opened.grpc}{more}", file=sys.stderr, flush=True)
            await ending.wait()
    return 0


def _ray_plan(coordinator: Coordinator, opened: Entrance, ray_address: str, isolation: str) -> str:
    """What the driver of Ray is told. Raises `PerdureError` P0103 where Ray is not installed."""
    if importlib.util.find_spec("ray") is None:
        raise PerdureError("P0103", "there is no Ray here", help="pip install 'perdure[ray]'")
    cluster = coordinator.store.coordinator_id
    plan = ray_hosts.Plan(ray_address, opened.local, bool(opened.hosts), cluster, os.getpid(), CAPACITY, isolation)
    return ray_hosts.arguments(plan)

"""The process of the host beside a server.

Arguments: COORDINATOR STATE_DIR CAPACITY HASH_SEED SERVER_PID ISOLATION DOCKER PRIVATE.
DOCKER is the JSON of a `DockerConfig`, or empty. PRIVATE is a list of ranges of addresses, as `HostBeside` gets it.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

from perdure_runner.host.backend import BackendError
from perdure_runner.host.config import HostConfig
from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.egress.config import EgressConfig
from perdure_runner.host.egress.rules import ranges
from perdure_runner.host.remote import run_remote

from perdure_server.app.dying import die_with

_NICE = 10  # of sessions: the coordinator beside them, which answers webhooks, goes first


def main(
    coordinator: str,
    state_dir: str,
    capacity: str,
    hash_seed: str,
    server_pid: str,
    isolation: str,
    docker: str,
    private: str,
) -> None:
    """Be a host until it is drained, until SIGTERM (exit code 143), or until the server dies in whatever way."""
    die_with(int(server_pid))
    config = HostConfig(
        state_dir=Path(state_dir),
        capacity=int(capacity),
        warm_seeds=(int(hash_seed),),
        isolation=isolation,
        docker=DockerConfig(**json.loads(docker)) if docker else None,
        egress=EgressConfig(private=ranges(private)),
        nice=_NICE,
    )
    try:
        asyncio.run(_serve(coordinator, config))
    except BackendError as error:
        sys.exit(f"perdure: {error}")


async def _serve(coordinator: str, config: HostConfig) -> None:
    serving = asyncio.create_task(run_remote(coordinator, config))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, lambda: serving.cancelling() or serving.cancel())  # systemd tells it as we do
    await asyncio.wait([serving])
    if serving.cancelled():
        sys.exit(128 + signal.SIGTERM)
    serving.result()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""`perdure host`: a host as a process of its own."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

from perdure_runner.host.config import HostConfig
from perdure_runner.host.dialling import Dialler
from perdure_runner.host.docker.config import DockerConfig
from perdure_runner.host.egress.config import EgressConfig
from perdure_runner.host.egress.rules import ranges
from perdure_runner.host.remote import run_remote

DEFAULT_CAPACITY = 64
_ENOUGH = (signal.SIGTERM, signal.SIGINT)


async def main(
    address: str,
    state_dir: Path,
    *,
    capacity: int = DEFAULT_CAPACITY,
    labels: Mapping[str, str] | None = None,
    host_id: str = "",
    isolation: str = "auto",
    docker: DockerConfig | None = None,
    private: str = "",
    dialler: Dialler | None = None,
) -> int:
    """Serve the coordinator at `address` until it drains this host, or until SIGTERM or SIGINT. Gives the exit code.

    The first signal has the sessions moved elsewhere, by replay; a second one kills the runners at once. `private`:
    ranges of addresses of internal services that sessions may reach if their project lists them.

    Raises:
        OSError, BackendError, InterpreterNotFoundError: this machine or the configuration will not do.
    """
    config = HostConfig(
        state_dir=state_dir,
        capacity=capacity,
        labels=dict(labels or {}),
        host_id=host_id,
        isolation=isolation,
        docker=docker,
        egress=EgressConfig(private=ranges(private)),
    )
    leaving = asyncio.Event()
    serving = asyncio.create_task(run_remote(address, config, leaving=leaving, dialler=dialler))

    def told() -> None:
        if leaving.is_set() and not serving.cancelling():
            serving.cancel()
        leaving.set()

    loop = asyncio.get_running_loop()
    for number in _ENOUGH:
        loop.add_signal_handler(number, told)
    try:
        await asyncio.wait((serving,))
    finally:
        for number in _ENOUGH:
            loop.remove_signal_handler(number)
        serving.cancel()
        await asyncio.wait((serving,))
    if not serving.cancelled():
        serving.result()
    return 0

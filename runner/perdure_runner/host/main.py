"""`perdure host`: a host as a process of its own."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

from perdure_runner.host.config import HostConfig
from perdure_runner.host.remote import run_remote

DEFAULT_CAPACITY = 64


async def main(
    address: str,
    state_dir: Path,
    *,
    capacity: int = DEFAULT_CAPACITY,
    labels: Mapping[str, str] | None = None,
    host_id: str = "",
) -> int:
    """Serve the coordinator at `address` until SIGTERM or SIGINT; then kill the runners and leave. Gives the exit code.

    Raises:
        OSError, InterpreterNotFoundError: this machine or the configuration will not do.
    """
    config = HostConfig(state_dir=state_dir, capacity=capacity, labels=dict(labels or {}), host_id=host_id)
    serving = asyncio.ensure_future(run_remote(address, config))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, serving.cancel)
    try:
        await serving
    except asyncio.CancelledError:
        if not serving.done():  # it was us who were cancelled, not the serving
            serving.cancel()
            raise
    return 0

"""`perdure host`: a host as a process of its own."""

import asyncio
import signal
from collections.abc import Mapping
from pathlib import Path

from perdure_runner.host.config import HostConfig
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
) -> int:
    """Serve the coordinator at `address` until SIGTERM or SIGINT; then kill the runners and leave. Gives the exit code.

    Raises:
        OSError, InterpreterNotFoundError: this machine or the configuration will not do.
    """
    config = HostConfig(state_dir=state_dir, capacity=capacity, labels=dict(labels or {}), host_id=host_id)
    serving = asyncio.create_task(run_remote(address, config))
    told = asyncio.Event()
    telling = asyncio.create_task(told.wait())
    loop = asyncio.get_running_loop()
    for number in _ENOUGH:
        loop.add_signal_handler(number, told.set)
    try:
        await asyncio.wait((serving, telling), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for number in _ENOUGH:
            loop.remove_signal_handler(number)
        telling.cancel()
        serving.cancel()
        await asyncio.wait((serving,))
    if not serving.cancelled():
        serving.result()  # it never ends by itself but by an error
    return 0

"""The host beside a server: a process of its own, started again when it dies, and gone when the server is."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import sys
import time
from pathlib import Path
from typing import Final

from perdure_runner.host.docker.config import DockerConfig

from perdure_server.secrets import KEY_VARIABLE

log: Final = logging.getLogger("perdure.server")

BACKOFF_S: Final = (0.1, 10.0)  # first and longest pause before it is started again
STEADY_S: Final = 30.0  # a host that lived this long starts the count anew
END_S: Final = 5.0  # for a clean end, before it is killed


class HostBeside:
    """Supervises `python -m perdure_server.app.host_process`. Its output goes to the server's stderr.

    One that ends by itself, with exit code 0, was drained by the operator.
    """

    def __init__(
        self,
        coordinator: str,
        state_dir: Path,
        capacity: int,
        hash_seed: int,
        isolation: str = "auto",
        docker: DockerConfig | None = None,
    ) -> None:
        numbers = (str(capacity), str(hash_seed), str(os.getpid()))
        containers = "" if docker is None else json.dumps(dataclasses.asdict(docker))
        self._arguments = (coordinator, str(state_dir), *numbers, isolation, containers)
        self._process: asyncio.subprocess.Process | None = None
        self._supervising: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Of the host's process; 0 while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    def start(self) -> None:
        self._supervising = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End the host and, with it, its runners."""
        if self._supervising is not None:
            self._supervising.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._supervising
        process = self._process
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), END_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    async def _supervise(self) -> None:
        pause_s = BACKOFF_S[0]
        while True:
            began = time.monotonic()
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-m",
                "perdure_server.app.host_process",
                *self._arguments,
                env={name: value for name, value in os.environ.items() if name != KEY_VARIABLE},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the server, which ends its host in order
            )
            code = await self._process.wait()
            if code == 0:
                log.info("the host was drained; it stays away")
                return
            pause_s = BACKOFF_S[0] if time.monotonic() - began > STEADY_S else pause_s
            log.warning("the host ended with exit code %s; starting it again in %.1f s", code, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, BACKOFF_S[1])

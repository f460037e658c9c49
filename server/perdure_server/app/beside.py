"""What runs beside a server, a host above all: a process of its own, started again when it dies, and gone when the
server is."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Final

from perdure_runner.host.backend import BackendError
from perdure_runner.host.docker import ending
from perdure_runner.host.docker.config import DockerConfig

from perdure_server.secrets import KEY_VARIABLE

log: Final = logging.getLogger("perdure.server")

BACKOFF_S: Final = (0.1, 10.0)  # first and longest pause before it is started again
STEADY_S: Final = 30.0  # a host that lived this long starts the count anew
_CLEAN: Final = (0, 128 + signal.SIGTERM)  # exit codes of a host that had time to have its containers removed
END_S: Final = 45.0  # for a clean end, before it is killed: more than a host takes to have its containers removed


class Beside:
    """Supervises `python -m MODULE ARGUMENTS`. Its output goes to the server's stderr.

    One that ends by itself, with exit code 0, was drained by the operator.
    """

    def __init__(self, what: str, module: str, *arguments: str) -> None:
        self._what = what
        self._command = (sys.executable, "-P", "-m", f"perdure_server.app.{module}", *arguments)
        self._process: asyncio.subprocess.Process | None = None
        self._supervising: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Of the process; 0 while there is none."""
        return self._process.pid if self._process is not None and self._process.returncode is None else 0

    def start(self) -> None:
        self._supervising = asyncio.create_task(self._supervise())

    async def stop(self) -> None:
        """End the process and, with it, what it runs."""
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
                *self._command,
                env={name: value for name, value in os.environ.items() if name != KEY_VARIABLE},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                process_group=0,  # Ctrl-C is for the server, which ends what is beside it in order
            )
            code = await self._process.wait()
            if code == 0:
                log.info("%s was drained; it stays away", self._what)
                return
            pause_s = BACKOFF_S[0] if time.monotonic() - began > STEADY_S else pause_s
            log.warning("%s ended with exit code %s; starting it again in %.1f s", self._what, code, pause_s)
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, BACKOFF_S[1])


class HostBeside(Beside):
    """The host beside a server: see `host_process`."""

    def __init__(
        self,
        coordinator: str,
        state_dir: Path,
        capacity: int,
        hash_seed: int,
        isolation: str = "auto",
        docker: DockerConfig | None = None,
        private: str = "",
    ) -> None:
        numbers = (str(capacity), str(hash_seed), str(os.getpid()))
        containers = "" if docker is None else json.dumps(dataclasses.asdict(docker))
        how = (isolation, containers, private)
        super().__init__("the host", "host_process", coordinator, str(state_dir), *numbers, *how)
        self._docker = docker

    async def stop(self) -> None:
        """As `Beside.stop`. Containers of a host that died, and was not started again, are removed in its place."""
        await super().stop()
        if self._docker is None or self._process is None or self._process.returncode in _CLEAN:
            return
        try:
            await asyncio.to_thread(ending.sweep, self._docker.url)
        except BackendError as error:
            log.warning("containers are left to the next host: %s", error)

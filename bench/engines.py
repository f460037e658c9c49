"""The two ways of running perdure that are measured: embedded in this process, and served by processes of its own."""

import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from perdure_server.app.engine import Engine
from perdure_server.rpc.client import RemoteControl

from bench import client
from bench.client import Control
from bench.place import PERDURE, Bench, end, family, family_kib, start

CAPACITY = 128  # sessions at once: more than any figure has
READY_S = 20.0


@asynccontextmanager
async def embedded(home: Path) -> AsyncIterator[Control]:
    """Coordinator and host in this process, bench/project deployed, one session run."""
    async with Engine.embedded(home, capacity=CAPACITY) as engine:
        await client.deploy(engine.control)
        await client.run(engine.control, "first_line")
        yield engine.control


class Server:
    """`perdure serve`: a coordinator, a host beside it as a process of its own, and what that starts."""

    def __init__(self, home: Path, isolation: str) -> None:
        self._home = home
        self._isolation = isolation
        self._log = home.parent / f"{home.name}.log"
        self._process = self._start()
        self.address = self._ready()

    @property
    def pid(self) -> int:
        """The coordinator's."""
        return self._process.pid

    def host_pid(self) -> int:
        """The host's: the coordinator's one child. Raises RuntimeError when there is none."""
        for child in family(self.pid)[1:]:
            return child
        raise RuntimeError("the coordinator has no host beside it")

    def pids(self) -> list[int]:
        """Coordinator, host, zygotes and runners."""
        return family(self.pid)

    def kib(self) -> float:
        """Memory (PSS) of all of these; one that ends meanwhile does not count."""
        return family_kib(self.pid)

    def kill(self) -> None:
        """End the coordinator with SIGKILL."""
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        """Start it again; returns when it is ready."""
        self._process = self._start()
        self.address = self._ready()

    def end(self) -> None:
        """End it politely, and kill what is left of its processes."""
        pids = self.pids()[1:] if self._process.poll() is None else []
        end(self._process)
        for pid in pids:
            with suppress(OSError):
                if "perdure" in Path(f"/proc/{pid}/cmdline").read_text():
                    os.kill(pid, signal.SIGKILL)

    def _start(self) -> "subprocess.Popen[str]":
        with self._log.open("w") as log:
            return start(
                [*PERDURE, "serve", "--home", str(self._home), "--isolation", self._isolation], stdout=log, stderr=log
            )

    def _ready(self) -> str:
        until = time.monotonic() + READY_S
        while time.monotonic() < until and self._process.poll() is None:
            if found := re.search(r"^ready grpc=(\S+)", self._log.read_text(), re.MULTILINE):
                return found[1]
            time.sleep(0.005)
        self._process.kill()
        raise RuntimeError(f"perdure serve was not ready: {self._log.read_text()[-2000:]}")


@asynccontextmanager
async def served(bench: Bench, name: str, isolation: str = "own") -> AsyncIterator[tuple[Server, Control]]:
    """A server on a home of its own, bench/project deployed, one session run, and a client of it."""
    server = Server(bench.folder(name), isolation)
    try:
        async with RemoteControl(server.address) as control:
            await client.deploy(control)
            await client.run(control, "first_line")
            yield server, control
    finally:
        server.end()

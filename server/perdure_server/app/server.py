"""`perdure serve`: the coordinator behind gRPC, and a host beside it as a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from perdure._version import __version__

from perdure_server.app.beside import HostBeside
from perdure_server.app.engine import CAPACITY, open_coordinator
from perdure_server.coordinator.control import Control
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.server import GrpcServer

ENDPOINT: Final = "endpoint.json"
SOCKET: Final = "grpc.sock"
GRACE_S: Final = 2.0

# A Unix socket's path has to fit into sockaddr_un.
_SOCKET_PATH_BYTES: Final = 107


@asynccontextmanager
async def serving(
    home: Path, *, grpc: str = "127.0.0.1:0", runner: str = "local", settings: Settings | None = None
) -> AsyncIterator[tuple[Control, str]]:
    """A coordinator that serves `home` on `grpc`: its `Control`, and the address with the port that it got.

    `runner`: "local" starts a host beside it, "none" waits for hosts to dial in. Raises `PerdureError`: P0202 home in
    use, P0203 address in use, P0209 and P0210 about the journal.
    """
    home = _absolute(home)
    async with AsyncExitStack() as stack:
        coordinator = await stack.enter_async_context(open_coordinator(home, settings or Settings()))
        control = Control(coordinator, str(home))
        local = _local_address(home)
        server = GrpcServer(coordinator, control, (grpc, local) if local else (grpc,))
        address = (await server.start())[0]
        stack.push_async_callback(server.stop, GRACE_S)
        stack.callback(coordinator.watchers.fail_all, PerdureError("P0207", "the coordinator is shutting down"))
        if runner == "local":
            beside = HostBeside(local or address, home / "host", CAPACITY, coordinator.hash_seed)
            stack.push_async_callback(beside.stop)
            beside.start()
        endpoint = home / ENDPOINT
        _write_endpoint(endpoint, address)
        stack.callback(endpoint.unlink, missing_ok=True)
        yield control, address


async def serve(
    home: Path, *, grpc: str = "127.0.0.1:0", runner: str = "local", settings: Settings | None = None
) -> int:
    """Serve until SIGTERM or SIGINT; then end gracefully. Gives the exit code; raises as `serving`."""
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    async with serving(home, grpc=grpc, runner=runner, settings=settings) as (_control, address):
        print(f"ready grpc={address}", file=sys.stderr, flush=True)
        await ending.wait()
    return 0


def _absolute(home: Path) -> Path:
    return home.absolute()


def _local_address(home: Path) -> str | None:
    """The Unix socket for what runs on this machine; None when its path would be too long."""
    path = home / SOCKET
    return f"unix:{path}" if len(os.fsencode(path)) <= _SOCKET_PATH_BYTES else None


def _write_endpoint(path: Path, grpc: str) -> None:
    """Whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(json.dumps({"grpc": grpc, "http": None, "pid": os.getpid(), "version": __version__}) + "\n")
    draft.rename(path)

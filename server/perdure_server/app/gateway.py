"""`perdure serve --http`: the gateway, and the coordinator behind it as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

from perdure_server.app import interpreter, logs
from perdure_server.app.coordinating import CoordinatorProcess
from perdure_server.app.listening import HttpAddress
from perdure_server.app.sockets import socket_path
from perdure_server.core.errors import PerdureError
from perdure_server.gateway import inbox
from perdure_server.gateway.gateway import Gateway
from perdure_server.security.addresses import is_loopback, needs_tls
from perdure_server.store.home import HomeLock, absolute
from perdure_server.web.server import HttpServer

if TYPE_CHECKING:
    from perdure_server.security.authority import Authority

LOCK: Final = "gateway.lock"
SOCKET: Final = "http.sock"
GRACE_S: Final = 2.0
_BACKLOG: Final = 2048  # as the coordinator's server sets it
_DYING_S: Final = 5.0
_LOOK_S: Final = 0.05


async def serve_with_gateway(home: Path, wanted: HttpAddress, names: tuple[str, ...], arguments: Sequence[str]) -> int:
    """Serve until SIGTERM or SIGINT, then end gracefully; the coordinator's exit code.

    `arguments`: of the command that the coordinator is. Raises `PerdureError`: P0202 home in use, P0203 address in use,
    P0209 and P0211 about the inbox, P0217 the address needs TLS.
    """
    logs.to_stderr()
    home = absolute(home)
    plain = is_loopback(wanted.listen)
    if not plain and not names:
        raise needs_tls(wanted.listen)
    async with AsyncExitStack() as stack:
        stack.enter_context(HomeLock(home, LOCK))
        opened = stack.enter_context(wanted.open())
        path = stack.enter_context(socket_path(home, SOCKET))
        listening = stack.enter_context(_listening(path))
        gateway = Gateway(home / inbox.NAME, path)
        stack.push_async_callback(gateway.close)
        gateway.start()
        await let_go(home)
        at = f"{wanted.listen.rpartition(':')[0]}:{opened.getsockname()[1]}"
        coordinator = CoordinatorProcess(arguments, listening, at, gateway.upstream.attach, plain=plain)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, coordinator.end)
        running = asyncio.create_task(coordinator.run(lambda: gateway.upstream.came))
        there = asyncio.create_task(gateway.upstream.there())
        await asyncio.wait({running, there}, return_when=asyncio.FIRST_COMPLETED)
        if not there.done():
            there.cancel()
            return await running
        server = HttpServer(gateway.app, opened, None if plain else _authority(home), names)
        await server.start()
        with interpreter.serving():
            code = await running
        await server.stop(GRACE_S)
        return code


async def let_go(home: Path) -> None:
    """Returns when nobody has the home, or after `_DYING_S`.

    The coordinator of a gateway that was killed is killed, too, but has its lock until the disk has answered it. Who
    starts the next gateway at once is not to be told that the home is in use.
    """
    with contextlib.suppress(TimeoutError, OSError):  # the coordinator says what is wrong with it
        async with asyncio.timeout(_DYING_S):
            while True:
                try:
                    HomeLock(home).release()
                except PerdureError:
                    await asyncio.sleep(_LOOK_S)
                else:
                    return


@contextlib.contextmanager
def _listening(path: str) -> Iterator[socket.socket]:
    """For requests that are passed on: those that come while there is no coordinator wait in it."""
    Path(path).unlink(missing_ok=True)  # of a gateway that was killed: we have its lock
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        os.chmod(path, 0o600)
        listening.listen(_BACKLOG)
        try:
            yield listening
        finally:
            Path(path).unlink(missing_ok=True)


def _authority(home: Path) -> Authority:
    """The CA that the coordinator has or made."""
    from perdure_server.security.authority import Authority

    return Authority.of(home)

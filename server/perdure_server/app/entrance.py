"""How a server is reached: its addresses, its certificate, and the file that tells who can read the home."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from perdure._version import __version__

from perdure_server.app.http import http_behind, http_face
from perdure_server.app.listening import HttpAddress
from perdure_server.app.sockets import socket_path
from perdure_server.app.writing import writing
from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.doors import Tls
from perdure_server.rpc.local import ENDPOINT
from perdure_server.rpc.server import GrpcServer
from perdure_server.security.access import Access
from perdure_server.security.addresses import obstacle
from perdure_server.security.joining import DAY_S

SOCKET: Final = "grpc.sock"
GRACE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where to listen: `grpc` for clients, `hosts` for hosts that joined (empty: the next port).

    `tls_names`: names and IP addresses by which this machine is dialled; without one, there is no TLS.
    """

    grpc: str = "127.0.0.1:0"
    hosts: str = ""
    tls_names: tuple[str, ...] = ()
    certificate_valid_s: float = DAY_S  # of hosts
    http: HttpAddress | None = None


@dataclass(frozen=True, slots=True)
class Entrance:
    """An open one: `grpc` and `http` with the ports they got, `local` the Unix socket; what is not served is empty."""

    control: Control
    grpc: str
    local: str
    hosts: str
    http: str = ""
    public_url: str = ""  # by which others reach HTTP


@asynccontextmanager
async def entrance(coordinator: Coordinator, home: Path, wanted: Addresses) -> AsyncIterator[Entrance]:
    """Serve until the context ends. Raises `PerdureError`: P0203 address in use, P0217 it needs TLS, P0209, P0211."""
    async with AsyncExitStack() as stack:
        tls_home = home if wanted.tls_names else None
        access = Access(
            coordinator.store,
            coordinator.clock.now_us,
            home=tls_home,
            certificate_valid_s=wanted.certificate_valid_s,
        )
        control = Control(coordinator, str(home), access)
        tls = Tls(access.authority, wanted.tls_names) if access.authority is not None else None
        local = f"unix:{stack.enter_context(socket_path(home, SOCKET))}"
        before = _told_before(home / ENDPOINT)
        addresses = (_again(wanted.grpc, before.get("grpc")), local)
        hosts = _again(_hosts_address(wanted), before.get("hosts"))
        server = GrpcServer(coordinator, control, addresses, tls=tls, hosts=hosts)
        grpc = (await server.start())[0]
        stack.push_async_callback(server.stop, GRACE_S)
        http = ""
        if wanted.http is not None:
            behind, names = wanted.http.behind, wanted.tls_names
            face = (
                http_behind(coordinator, control, names, behind, wanted.http.public_url)
                if behind is not None
                else http_face(coordinator, control, access, names, wanted.http)
            )
            http = await stack.enter_async_context(face)
        stack.callback(coordinator.watchers.fail_all, PerdureError("P0207", "the coordinator is shutting down"))
        if tls is not None:
            access.address, access.hosts = (_dialled(tls.names[0], at) for at in (grpc, server.hosts_address))
        told = {"grpc": grpc, "socket": local, "hosts": server.hosts_address or None, "token": access.home_token}
        told |= {"http": http or None, "url": coordinator.public_url or None}
        _write_endpoint(home / ENDPOINT, told)
        stack.callback((home / ENDPOINT).unlink, missing_ok=True)
        yield Entrance(control, grpc, local, server.hosts_address, http, coordinator.public_url)


def _hosts_address(wanted: Addresses) -> str:
    """Beside the clients' address, one port up, unless somebody says otherwise."""
    if wanted.hosts or not wanted.tls_names:
        return wanted.hosts
    host, _, port = wanted.grpc.rpartition(":")
    if not port.isdecimal():
        raise PerdureError("P0103", "TLS is for HOST:PORT", help="say where hosts attach with --grpc-hosts HOST:PORT")
    return f"{host}:{int(port) + 1 if int(port) else 0}"


def _told_before(path: Path) -> dict[str, Any]:
    """What a server wrote that was killed: one that ends in order leaves nothing."""
    try:
        told = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return told if isinstance(told, dict) else {}


def _again(wanted: str, before: object) -> str:
    """Where any port will do: that of a server that was killed, as clients and hosts still dial it."""
    host, _, port = wanted.rpartition(":")
    if port == "0" and isinstance(before, str) and before.rpartition(":")[0] == host and obstacle(before) is None:
        return before
    return wanted


def _dialled(name: str, address: str) -> str:
    """An address as others dial it: by the certificate's first name."""
    return f"{f'[{name}]' if ':' in name else name}:{address.rpartition(':')[2]}"


def _write_endpoint(path: Path, told: dict[str, str | None]) -> None:
    """Its owner's only: there is a token in it. Raises `PerdureError` as `writing` does."""
    with writing(path) as file:
        file.write(json.dumps(told | {"pid": os.getpid(), "version": __version__}).encode() + b"\n")

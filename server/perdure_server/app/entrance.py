"""How a server is reached: its addresses, its certificate, and the file that tells who can read the home."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from perdure._version import __version__

from perdure_server.app.http import HttpAddress, http_face
from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.doors import Tls
from perdure_server.rpc.local import ENDPOINT
from perdure_server.rpc.server import GrpcServer
from perdure_server.security.access import Access
from perdure_server.security.joining import DAY_S

SOCKET: Final = "run/grpc.sock"
GRACE_S: Final = 2.0

# A Unix socket's path has to fit into sockaddr_un.
_SOCKET_PATH_BYTES: Final = 107


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
    """Serve until the context ends. Raises `PerdureError`: P0203 address in use, P0217 it needs TLS, P0209."""
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
        local = _local_address(home, stack)
        addresses = (wanted.grpc, local)
        server = GrpcServer(coordinator, control, addresses, tls=tls, hosts=_hosts_address(wanted))
        grpc = (await server.start())[0]
        stack.push_async_callback(server.stop, GRACE_S)
        http = ""
        if wanted.http is not None:
            face = http_face(coordinator, control, access, wanted.tls_names, wanted.http)
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


def _dialled(name: str, address: str) -> str:
    """An address as others dial it: by the certificate's first name."""
    return f"{f'[{name}]' if ':' in name else name}:{address.rpartition(':')[2]}"


def _local_address(home: Path, stack: AsyncExitStack) -> str:
    """The Unix socket for what runs on this machine: 0600, in a folder of 0700, wherever its path is short enough."""
    path = home / SOCKET
    if len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
        folder = tempfile.mkdtemp(prefix="perdure-")
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        return f"unix:{folder}/{path.name}"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    path.parent.chmod(0o700)
    return f"unix:{path}"


def _write_endpoint(path: Path, told: dict[str, str | None]) -> None:
    """Whole or not at all, and its owner's only: there is a token in it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(file, "w", encoding="utf-8") as opened:
        opened.write(json.dumps(told | {"pid": os.getpid(), "version": __version__}) + "\n")
    draft.rename(path)

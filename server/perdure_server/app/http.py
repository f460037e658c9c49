"""The HTTP face of a server: where it listens, and the URL by which others know it."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from perdure_server.app.listening import HttpAddress
from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.security.access import Access
from perdure_server.security.addresses import is_loopback, needs_tls
from perdure_server.security.needs import Kind
from perdure_server.web.wire import Behind

GRACE_S: Final = 2.0


@asynccontextmanager
async def http_face(
    coordinator: Coordinator, control: Control, access: Access, names: tuple[str, ...], wanted: HttpAddress
) -> AsyncIterator[str]:
    """Serve HTTP until the context ends; the address with its port. The coordinator learns its public URL.

    On loopback it is plain, so that a proxy can stand before it; elsewhere it is HTTPS with a certificate for `names`.
    Raises `PerdureError`: P0203 address in use, P0217 it needs TLS.
    """
    # Who serves no HTTP does not pay for the import.
    from perdure_server.web.app import application
    from perdure_server.web.server import HttpServer

    plain = is_loopback(wanted.listen)
    if not plain and not names:
        raise needs_tls(wanted.listen)
    opened = wanted.open()
    app = application(coordinator, control, Kind.LOOPBACK if plain else Kind.TLS)
    server = HttpServer(app, opened, None if plain else access.authority, names)
    address = f"{wanted.listen.rpartition(':')[0]}:{opened.getsockname()[1]}"
    coordinator.public_url = wanted.public_url.rstrip("/") or _own_url(address, plain, names)
    await server.start()
    try:
        yield address
    finally:
        await server.stop(GRACE_S)
        coordinator.public_url = ""


@asynccontextmanager
async def http_behind(
    coordinator: Coordinator, control: Control, names: tuple[str, ...], behind: Behind, public_url: str
) -> AsyncIterator[str]:
    """As `http_face`, of a coordinator that is behind a gateway; the gateway's address."""
    from perdure_server.web.app import application
    from perdure_server.web.behind import GatewayEnd
    from perdure_server.web.passing import PassedOn
    from perdure_server.web.server import HttpServer

    app = PassedOn(application(coordinator, control, Kind.LOOPBACK if behind.plain else Kind.TLS))
    server = HttpServer(app, socket.socket(fileno=behind.http), None, ())
    coordinator.public_url = public_url.rstrip("/") or _own_url(behind.at, behind.plain, names)
    await server.start()
    end = GatewayEnd(coordinator)
    await end.open(behind.wire)
    try:
        yield behind.at
    finally:
        end.close()
        await server.stop(GRACE_S)
        coordinator.public_url = ""


def _own_url(address: str, plain: bool, names: tuple[str, ...]) -> str:
    return f"http://{address}" if plain else f"https://{names[0]}:{address.rpartition(':')[2]}"

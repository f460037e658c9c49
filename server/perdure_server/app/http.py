"""The HTTP face of a server: where it listens, and the URL by which others know it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.core.errors import PerdureError
from perdure_server.security.access import Access
from perdure_server.security.addresses import is_loopback, listen, needs_tls
from perdure_server.security.needs import Kind

if TYPE_CHECKING:
    import socket

GRACE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class HttpAddress:
    """`listen`: HOST:PORT. `or_any`: if it is taken, any other port. `public_url`: what others are told instead."""

    listen: str
    or_any: bool = False
    public_url: str = ""


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
    opened = _listen(wanted)
    app = application(coordinator, control, Kind.LOOPBACK if plain else Kind.TLS)
    server = HttpServer(app, opened, None if plain else access.authority, names)
    host = wanted.listen.rpartition(":")[0]
    coordinator.public_url = wanted.public_url.rstrip("/") or (
        f"http://{host}:{server.port}" if plain else f"https://{names[0]}:{server.port}"
    )
    await server.start()
    try:
        yield f"{host}:{server.port}"
    finally:
        await server.stop(GRACE_S)
        coordinator.public_url = ""


def _listen(wanted: HttpAddress) -> socket.socket:
    try:
        return listen(wanted.listen)
    except PerdureError:
        if not wanted.or_any:
            raise
        return listen(wanted.listen.rpartition(":")[0] + ":0")

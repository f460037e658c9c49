"""Addresses to listen on: who can reach them, and why nobody can listen there."""

from __future__ import annotations

import errno
import ipaddress
import socket

from perdure_server.core.errors import PerdureError


def is_loopback(address: str) -> bool:
    """Is `HOST:PORT` this machine only? A name is if all that it stands for is."""
    host = address.rpartition(":")[0].strip("[]")
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        pass
    try:
        found = {info[4][0] for info in socket.getaddrinfo(host or "0.0.0.0", None)}  # noqa: S104  # as gRPC would
    except OSError:
        return False
    return bool(found) and all(ipaddress.ip_address(str(each).partition("%")[0]).is_loopback for each in found)


def listen(address: str) -> socket.socket:
    """A socket that listens on `HOST:PORT`; port 0: any free one. Raises `PerdureError` P0203."""
    opened = _opened(address)
    if isinstance(opened, str):
        raise cannot_listen(address, opened)
    return opened


def obstacle(address: str) -> str | None:
    """Why nobody can listen there, None if one can. Asked first: gRPC does not say why, but logs lines of its own."""
    if address.startswith("unix:"):
        return None
    opened = _opened(address)
    if isinstance(opened, str):
        return opened
    opened.close()
    return None


def _opened(address: str) -> socket.socket | str:
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host or "0.0.0.0", int(port)), family=family, backlog=1024)  # noqa: S104  # as asked
    except OSError as error:
        return "the address is in use" if error.errno == errno.EADDRINUSE else str(error.strerror or error)
    except (ValueError, OverflowError):
        return "it is no HOST:PORT"


def cannot_listen(address: str, why: str) -> PerdureError:
    return PerdureError("P0203", f"cannot listen on {address}: {why}", help="choose another address, or port 0")


def needs_tls(address: str) -> PerdureError:
    """Of one that others can reach."""
    return PerdureError(
        "P0217",
        f"{address} can be reached by others, and there is no TLS",
        help="add --tls-name NAME (the name by which clients and hosts dial this machine), or listen on 127.0.0.1",
    )

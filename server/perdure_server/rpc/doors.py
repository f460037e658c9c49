"""The addresses a coordinator listens on, and what each asks of those who come."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import socket
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import grpc

from perdure_server.core.errors import PerdureError
from perdure_server.security.addresses import cannot_listen, is_loopback, needs_tls, obstacle
from perdure_server.security.needs import Kind

if TYPE_CHECKING:
    from perdure_server.security.authority import Authority, ServerCertificate

RENEW_BEFORE: Final = dt.timedelta(days=10)  # the server's certificate is valid for 30


@dataclass(frozen=True, slots=True)
class Door:
    kind: Kind
    address: str


class Tls:
    """What a server shows of itself: a certificate for `names`, made anew in time."""

    def __init__(self, authority: Authority, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._authority = authority
        self._lock = threading.Lock()  # handshakes are made in threads of gRPC's
        self._shown = self._made()

    def credentials(self, kind: Kind) -> grpc.ServerCredentials:
        """Of a door. Each remembers which certificate it has shown last."""
        of_hosts = kind is Kind.HOSTS
        last = [self._shown]

        def newer() -> grpc.ServerCertificateConfiguration | None:
            with self._lock:
                if dt.datetime.now(dt.UTC) > self._shown.until - RENEW_BEFORE:
                    self._shown = self._made()
                if last[0] is self._shown:
                    return None
                last[0] = self._shown
            return self._configuration(last[0], of_hosts)

        return grpc.dynamic_ssl_server_credentials(
            self._configuration(last[0], of_hosts),
            newer,  # type: ignore[arg-type]  # None means no change, whatever the stubs say
            require_client_authentication=of_hosts,
        )

    def _made(self) -> ServerCertificate:
        return self._authority.for_server(self.names, dt.datetime.now(dt.UTC))

    def _configuration(self, shown: ServerCertificate, of_hosts: bool) -> grpc.ServerCertificateConfiguration:
        roots = self._authority.certificate if of_hosts else None
        return grpc.ssl_server_certificate_configuration([(shown.key, shown.chain)], root_certificates=roots)


def doors_of(addresses: Sequence[str], tls: Tls | None, hosts: str) -> list[Door]:
    """What to listen on: `addresses`, and with TLS also `hosts`, for hosts that have joined.

    Raises `PerdureError`: P0217 for an address that others can reach, without TLS; P0203 for what is none of ours.
    """
    doors = [Door(_kind(address, tls), address) for address in addresses]
    if tls is not None and hosts:
        doors.append(Door(Kind.HOSTS, hosts))
    return doors


def _kind(address: str, tls: Tls | None) -> Kind:
    if address.startswith("unix:"):
        return Kind.SOCKET
    if tls is not None:
        return Kind.TLS
    if is_loopback(address):
        return Kind.LOOPBACK
    if why := obstacle(address):
        raise cannot_listen(address, why)
    raise needs_tls(address)


def bind(server: grpc.aio.Server, door: Door, tls: Tls | None) -> str:
    """Listen at a door; the address with the port that was given. Raises `PerdureError` P0203."""
    address = door.address
    if door.kind is Kind.SOCKET:
        with _private_file(address.removeprefix("unix:")):
            return _add(server, door, None, address)
    if why := obstacle(address):
        raise cannot_listen(address, why)
    return _add(server, door, tls, address)


def _add(server: grpc.aio.Server, door: Door, tls: Tls | None, address: str) -> str:
    try:
        if door.kind in {Kind.TLS, Kind.HOSTS}:
            assert tls is not None
            port = server.add_secure_port(address, tls.credentials(door.kind))
        else:
            port = server.add_insecure_port(address)
    except RuntimeError:
        raise cannot_listen(address, obstacle(address) or "gRPC refused it") from None
    return address if address.startswith("unix:") else f"{address.rpartition(':')[0]}:{port}"


@contextlib.contextmanager
def _private_file(path: str) -> Iterator[None]:
    """What is made meanwhile is its owner's only. A socket file outlives its server; it makes way if nobody listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except FileNotFoundError:
            pass
        except OSError:
            os.unlink(path)
        else:
            raise PerdureError("P0203", f"somebody listens on {path}")
    before = os.umask(0o177)
    try:
        yield
    finally:
        os.umask(before)

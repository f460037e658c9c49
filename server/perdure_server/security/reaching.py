"""Requests that the coordinator makes to addresses that projects name.

A project that names an address could have the coordinator ask what only it can reach: itself, its neighbours, the
metadata service of its cloud. So the address that a name leads to is checked, and that very one is connected to. Where
the operator has set a proxy (`HTTPS_PROXY`), requests go there, and what it reaches is for it to say.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import socket
import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from perdure_server.core.errors import PerdureError

_TRIED: Final = 4  # addresses of one name

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Reaches = Callable[[Address], bool]
"""May the coordinator connect there, whatever name led to it?"""


def anywhere(_address: Address) -> bool:
    """Who runs their own code may reach what they like."""
    return True


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


class _Way:
    """How one request gets to its server; all of it is over after `within_s` seconds."""

    def __init__(self, reaches: Reaches, within_s: float) -> None:
        self._reaches = reaches
        self._within_s = within_s
        self._sockets: list[socket.socket] = []
        self._over = False

    def connect(self, host: str, port: int) -> socket.socket:
        """To the first of the host's addresses that answers. PerdureError P0306 when none of them may be reached."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses = dict.fromkeys(str(each[4][0]) for each in found)
        allowed = [each for each in addresses if self._reaches(ipaddress.ip_address(each.partition("%")[0]))]
        if not allowed:
            raise _refused(host)
        fault: OSError | None = None
        for address in allowed[:_TRIED]:
            try:
                return self._opened(address, port)
            except OSError as error:
                fault = error
        raise fault or TimeoutError

    def _opened(self, address: str, port: int) -> socket.socket:
        opened = socket.create_connection((address, port), self._within_s)
        self._sockets.append(opened.dup())  # TLS takes the other one over
        if self._over:
            raise TimeoutError("it took too long")
        return opened

    def end(self) -> None:
        """Whoever still waits for the server is told that it has hung up."""
        self._over = True
        for each in tuple(self._sockets):
            with contextlib.suppress(OSError):  # it had
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        for each in self._sockets:
            each.close()


class _Plain(http.client.HTTPConnection):
    def __init__(self, *arguments: Any, way: _Way, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self._way = way

    def connect(self) -> None:
        self.sock = self._way.connect(self.host, self.port)


class _Secure(http.client.HTTPSConnection):
    def __init__(self, *arguments: Any, way: _Way, tls: ssl.SSLContext, **more: Any) -> None:
        super().__init__(*arguments, context=tls, **more)
        self._way = way
        self._tls = tls

    def connect(self) -> None:
        self.sock = self._tls.wrap_socket(self._way.connect(self.host, self.port), server_hostname=self.host)


class _Direct(urllib.request.HTTPSHandler, urllib.request.HTTPHandler):
    """Both kinds of connections, made by our own way."""

    def __init__(self, way: _Way) -> None:
        super().__init__()
        self._way = way

    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Plain, way=self._way), req)

    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        return self.do_open(partial(_Secure, way=self._way, tls=ssl.create_default_context()), req)


@contextlib.contextmanager
def opener(url: str, reaches: Reaches, within_s: float) -> Iterator[urllib.request.OpenerDirector]:
    """What opens `url`, and follows no redirect. Its `open` raises P0306 where the address may not be reached."""
    host = urlsplit(url).hostname or ""
    if _by_proxy(url, host):
        if (address := _literal(host)) is not None and not reaches(address):
            raise _refused(host)
        yield urllib.request.build_opener(_NoRedirects)
        return
    way = _Way(reaches, within_s)
    deadline = threading.Timer(within_s, way.end)
    deadline.daemon = True
    deadline.start()
    try:
        yield urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}), _Direct(way))
    finally:
        deadline.cancel()
        way.close()


def _by_proxy(url: str, host: str) -> bool:
    return urlsplit(url).scheme in urllib.request.getproxies() and not urllib.request.proxy_bypass(host)


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refused(host: str) -> PerdureError:
    return PerdureError(
        "P0306",
        f"{host[:200]} is at no public address: the coordinator does not connect there for a project",
        help="the operator may allow it: `perdure serve --egress-allow-private CIDR`",
    )

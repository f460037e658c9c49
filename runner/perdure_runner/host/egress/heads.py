"""The first lines of a request to an HTTP proxy (RFC 9110, RFC 9112), read strictly: others may read laxly. Pure."""

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from perdure_runner.host.egress.rules import plain_host

CHUNKED: Final = -1
"""The length of a body that says itself where it ends."""

_LINE: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.([01])")
_FIELD: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_AUTHORITY: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^:\[\]]+):([0-9]{1,5})")
# Of this connection only, not of the request (RFC 9110, 7.6.1), or no business of the one who is asked.
_OUR_OWN: Final = frozenset(
    {
        b"connection",
        b"host",
        b"keep-alive",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"upgrade",
    }
)


class BadRequest(Exception):  # noqa: N818 (its name in the protocol)
    """The client sent no request that a proxy can serve. The message is for it to read."""


@dataclass(frozen=True, slots=True)
class Request:
    """`host` is in plain form. `forward`: what to send to it before the body; empty: CONNECT, pass bytes both ways."""

    host: str
    port: int
    forward: bytes = b""
    length: int = 0  # of the body, in bytes

    @property
    def tunnel(self) -> bool:
        return not self.forward


def parse(head: bytes) -> Request:
    """Read everything up to and with the empty line.

    Raises:
        BadRequest: what came is no request to a proxy.
    """
    lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    first = _LINE.fullmatch(lines[0])
    if first is None:
        raise BadRequest("the first line is no request")
    fields = [_field(line) for line in lines[1:]]
    method, target = first[1], first[2].decode("ascii")
    if method == b"CONNECT":
        host, port = _authority(target)
        return Request(host, port)
    return _forwarded(method, target, first[3], fields)


def _field(line: bytes) -> tuple[bytes, bytes]:
    found = _FIELD.fullmatch(line)
    if found is None:
        raise BadRequest("a header field is malformed")
    return found[1], found[2].rstrip(b" \t")


def _forwarded(method: bytes, target: str, minor: bytes, fields: list[tuple[bytes, bytes]]) -> Request:
    """A request by whole URL, as it goes on: with the path alone, for one answer."""
    try:
        url = urlsplit(target)
        port = url.port or 80
    except ValueError:
        raise BadRequest("the URL is malformed") from None
    if url.scheme != "http" or not url.netloc or "@" in url.netloc:
        raise BadRequest("a proxy is asked with a whole http:// URL, or with CONNECT")
    host = _host(url.hostname or "")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    # The name that is asked for is the one that was judged.
    kept = [(b"Host", url.netloc.encode()), *(field for field in fields if field[0].lower() not in _OUR_OWN)]
    kept.append((b"Connection", b"close"))
    head = b"".join(name + b": " + value + b"\r\n" for name, value in kept)
    line = b"%s %s HTTP/1.%s\r\n" % (method, path.encode(), minor)
    return Request(host, port, line + head + b"\r\n", _length(fields))


def _length(fields: list[tuple[bytes, bytes]]) -> int:
    """The body's length. Two ways to tell it are an attack on somebody (RFC 9112, 6.3)."""
    lengths = [value for name, value in fields if name.lower() == b"content-length"]
    codings = [value.lower() for name, value in fields if name.lower() == b"transfer-encoding"]
    match lengths, codings:
        case [], []:
            return 0
        case [length], [] if length.isdigit() and len(length) < 19:
            return int(length)
        case [], [b"chunked"]:
            return CHUNKED
    raise BadRequest("the body's length is unclear")


def _authority(text: str) -> tuple[str, int]:
    found = _AUTHORITY.fullmatch(text)
    if found is None or not 0 < int(found[2]) < 65536:
        raise BadRequest("CONNECT takes HOST:PORT")
    return _host(found[1]), int(found[2])


def _host(text: str) -> str:
    host = plain_host(text)
    if host is None:
        raise BadRequest("the host's name is malformed")
    return host

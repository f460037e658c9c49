"""A library that is not the user's: each call of its functions leaves user code, so perdure makes it an activity.

Programs add the folder to `sys.path` (`event["lib"]`) and import it. Plain sockets: importing an HTTP client would
cost every runner of the suite more than the rest of its work.
"""

from __future__ import annotations

import socket


class OutsideError(Exception):
    """The server's answer was not 200."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status = status
        self.text = text

    def __str__(self) -> str:
        return f"{self.status} {self.text}"


def request(method: str, url: str, body: bytes = b"", key: str = "") -> bytes:
    """The answer's body. Raises OutsideError unless the status is 200."""
    host, _, path = url.removeprefix("http://").partition("/")
    name, _, port = host.partition(":")
    head = f"{method} /{path} HTTP/1.0\r\nContent-Length: {len(body)}\r\n"
    if key:
        head += f"Idempotency-Key: {key}\r\n"
    with socket.create_connection((name, int(port)), timeout=30) as connection:
        connection.sendall(head.encode() + b"\r\n" + body)
        with connection.makefile("rb") as stream:
            answer = stream.read()
    header, _, text = answer.partition(b"\r\n\r\n")
    status = int(header.split(b" ", 2)[1])
    if status != 200:
        raise OutsideError(status, text.decode())
    return text


def get(url: str) -> str:
    """GET, as text."""
    return request("GET", url).decode()


def post(url: str, body: str, key: str = "") -> str:
    """POST, as text."""
    return request("POST", url, body.encode(), key).decode()


def is_long(url: str) -> bool:
    """Whether the answer has more than three characters."""
    return len(get(url)) > 3


def length(url: str) -> int:
    """How many characters the answer has."""
    return len(get(url))


def add(url: str, left: str, right: str) -> str:
    """Two texts joined by the answer, for reductions."""
    return left + get(url) + right


async def aget(url: str) -> str:
    """GET, as a coroutine."""
    return get(url)


def double(number: int) -> int:
    """Deterministic, which perdure cannot know unless it is told."""
    return 2 * number


def extend(numbers: list[int]) -> int:
    """Changes its argument in place."""
    numbers.append(len(numbers))
    return len(numbers)


def keywords(**named: object) -> dict[str, object]:
    """Its keyword arguments, whatever they are called."""
    return named


class Connection:
    """A live object: nothing that could be written down."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.file = open(__file__)  # noqa: SIM115 - that it stays open is the point

    def get(self, path: str) -> str:
        """GET below the connection's base."""
        return get(self.url + path)

"""The outside world of the test programs: a local HTTP server that counts what is done to it.

Paths are `/RUN/...`: the first part names the run, so that many runs share one server and each has its own ledger.
What follows says what to answer, always the same for the same request (except `fail`, which is what it counts for):

    /RUN/NAME              the text NAME
    /RUN/status/404/NAME   that status, with NAME as its text
    /RUN/fail/2/NAME       503 to the first two requests for this path, then NAME
    /RUN/slow/0.2/NAME     NAME, after 0.2 seconds
    /RUN/with/3/NAME       NAME, when the run has asked for three different paths, this one included
    /RUN/big/N             N bytes, the same ones every time

A POST is answered with its own body. A header `Idempotency-Key` is kept in the ledger.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import cycle, islice

PATIENCE_S = 120.0


@dataclass
class Ledger:
    """What one run has done: requests by "METHOD path" (without the run's name), and the idempotency keys it sent."""

    requests: Counter[str] = field(default_factory=Counter)
    keys: set[str] = field(default_factory=set)

    @property
    def total(self) -> int:
        """Requests in all."""
        return self.requests.total()


class EffectServer(ThreadingHTTPServer):
    """The server; `url` is its base, `ledger(run)` what a run has done so far."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), _Handler)
        self._lock = threading.Condition()
        self._ledgers: defaultdict[str, Ledger] = defaultdict(Ledger)

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://{self.server_address[0]!s}:{self.server_address[1]}"

    def ledger(self, run: str) -> Ledger:
        """A copy, so that what arrives later does not change it."""
        with self._lock:
            ledger = self._ledgers[run]
            return Ledger(Counter(ledger.requests), set(ledger.keys))

    def count(self, run: str, request: str, key: str | None) -> int:
        """Enter a request; how often it has come, this time included."""
        with self._lock:
            ledger = self._ledgers[run]
            ledger.requests[request] += 1
            if key:
                ledger.keys.add(key)
            self._lock.notify_all()
            return ledger.requests[request]

    def wait_for(self, run: str, paths: int) -> None:
        """Until the run has asked for so many different ones."""
        with self._lock:
            self._lock.wait_for(lambda: len(self._ledgers[run].requests) >= paths, PATIENCE_S)


class _Handler(BaseHTTPRequestHandler):
    server: EffectServer
    protocol_version = "HTTP/1.0"

    def do_GET(self) -> None:
        run, _, path = self.path.lstrip("/").partition("/")
        times = self.server.count(run, f"GET /{path}", self.headers["Idempotency-Key"])
        match path.split("/"):
            case ["with", paths, _]:
                self.server.wait_for(run, int(paths))
        status, body = _answer(path, times)
        self._send(status, body)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        run, _, path = self.path.lstrip("/").partition("/")
        self.server.count(run, f"POST /{path}", self.headers["Idempotency-Key"])
        self._send(HTTPStatus.OK, body)

    def _send(self, status: int, body: bytes) -> None:
        try:
            self.send_response(status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the runner that asked has been killed

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Keep quiet: the ledger is the log."""


def _answer(path: str, times: int) -> tuple[int, bytes]:
    match path.split("?", maxsplit=1)[0].split("/"):
        case ["status", status, *_, name]:
            return int(status), name.encode()
        case ["fail", first, *_, name]:
            return (
                (HTTPStatus.SERVICE_UNAVAILABLE, b"not yet") if times <= int(first) else (HTTPStatus.OK, name.encode())
            )
        case ["slow", seconds, *_, name]:
            time.sleep(float(seconds))
            return HTTPStatus.OK, name.encode()
        case ["big", size]:
            return HTTPStatus.OK, bytes(islice(cycle(range(256)), int(size)))
        case [*_, name]:
            return HTTPStatus.OK, name.encode()
    raise AssertionError(path)


@contextmanager
def serving() -> Iterator[EffectServer]:
    """A server on a free port of 127.0.0.1, for the length of the block."""
    with EffectServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()

"""Servers that speak the little of a service that a test needs, on loopback, and remember what they were asked."""

from __future__ import annotations

import json
import re
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True)
class Asked:
    """One request. `body` is JSON, the fields of a form, or text."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: Any

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


Answer = Callable[[Asked], Any] | dict[str, Any] | list[Any] | str
Routes = dict[str, Answer]
"""By method and a pattern of the path: what is answered. A tuple is (status, body); texts are XML or HTML."""


@dataclass
class Stub:
    """`url` is where it listens; `asked` is what it was asked, in order."""

    url: str
    asked: list[Asked] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        return [asked.line for asked in self.asked]


@contextmanager
def http_stub(routes: Routes) -> Iterator[Stub]:
    """A server of HTTP."""
    patterns = [(re.compile(pattern), answer) for pattern, answer in routes.items()]
    stub = Stub("")

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def serve(self) -> None:
            asked = self._asked()
            stub.asked.append(asked)
            found = next((answer for pattern, answer in patterns if pattern.fullmatch(asked.line)), None)
            answer = found(asked) if callable(found) else found
            status, content = answer if isinstance(answer, tuple) else (200, answer)
            if found is None:
                status, content = 404, {"error": f"no route {asked.line}"}
            is_text = isinstance(content, str)
            data = content.encode() if is_text else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/xml" if is_text else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _asked(self) -> Asked:
            parts = urlsplit(self.path)
            text = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
            kind = self.headers.get("Content-Type") or ""
            body: Any = text
            if "json" in kind and text:
                body = json.loads(text)
            elif "urlencoded" in kind:
                body = {name: values[-1] for name, values in parse_qs(text).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            return Asked(self.command, parts.path, parse_qs(parts.query), headers, body)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = serve

        def log_message(self, *_: Any) -> None:
            pass

    with _running(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as port:
        stub.url = f"http://127.0.0.1:{port}"
        yield stub


@contextmanager
def redis_stub() -> Iterator[Stub]:
    """A server of Redis' protocol that can count."""
    stub, values = Stub(""), dict[str, int]()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while line := self.rfile.readline():
                words = [self._word() for _ in range(int(line[1:]))]
                self.wfile.write(self._answer(words[0].upper(), words[1:]))

        def _word(self) -> str:
            size = int(self.rfile.readline()[1:])
            return self.rfile.read(size + 2)[:-2].decode()

        def _answer(self, name: str, words: list[str]) -> bytes:
            match name:
                case "HELLO":
                    return b"-ERR unknown command\r\n"
                case "INCRBY":
                    stub.asked.append(Asked(name, words[0], {}, {}, None))
                    values[words[0]] = values.get(words[0], 0) + 1
                    return b":%d\r\n" % values[words[0]]
                case "GET":
                    stub.asked.append(Asked(name, words[0], {}, {}, None))
                    text = str(values[words[0]]).encode()
                    return b"$%d\r\n%s\r\n" % (len(text), text)
            return b"+OK\r\n"

    with _running(_Threads(("127.0.0.1", 0), Handler)) as port:
        stub.url = f"redis://127.0.0.1:{port}/0?protocol=2"
        yield stub


@contextmanager
def smtp_stub() -> Iterator[Stub]:
    """A server of mail that takes everything."""
    stub = Stub("")

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self._say("220 stub")
            receivers: list[str] = []
            while line := self.rfile.readline().decode().strip():
                verb = line.partition(" ")[0].upper()
                if verb == "EHLO":
                    self._say("250-stub\r\n250 AUTH PLAIN")
                elif verb == "AUTH":
                    stub.asked.append(Asked(verb, "", {}, {}, line))
                    self._say("235 ok")
                elif verb == "RCPT":
                    receivers.append(line.partition("<")[2].rstrip(">"))
                    self._say("250 ok")
                elif verb == "DATA":
                    self._say("354 go on")
                    text = b"".join(iter(self.rfile.readline, b".\r\n")).decode()
                    stub.asked.append(Asked(verb, ",".join(receivers), {}, {}, text))
                    receivers = []
                    self._say("250 ok")
                elif verb == "QUIT":
                    self._say("221 bye")
                    return
                else:
                    self._say("250 ok")

        def _say(self, text: str) -> None:
            self.wfile.write(text.encode() + b"\r\n")

    with _running(_Threads(("127.0.0.1", 0), Handler)) as port:
        stub.url = f"127.0.0.1:{port}"
        yield stub


class _Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def _running(server: socketserver.TCPServer) -> Iterator[int]:
    server.daemon_threads = True  # type: ignore[attr-defined]
    server.block_on_close = False  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

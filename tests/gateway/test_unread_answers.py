"""Who asks for much and reads none of it holds a connection, of which there are only so many: not for long."""

from __future__ import annotations

import asyncio
import contextlib
import socket

import pytest
from perdure_server.web import server
from perdure_server.web.server import HttpServer
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

MIB = 1 << 20


class Endless:
    """An ASGI application whose answers do not end. `sent` by request, `cut`: those whose connection is gone."""

    def __init__(self) -> None:
        self.sent = {"/read": 0, "/unread": 0}
        self.cut: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def pieces():  # type: ignore[no-untyped-def]
            while True:
                self.sent[scope["path"]] += MIB
                yield b"x" * MIB
                await asyncio.sleep(0)

        try:
            await StreamingResponse(pieces())(scope, receive, send)
        finally:
            self.cut.add(scope["path"])


async def test_a_connection_whose_peer_does_not_read_is_cut_and_one_that_reads_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "UNREAD_S", 5.0)  # less than this process may stand still while it reads
    app = Endless()
    listening = socket.create_server(("127.0.0.1", 0))
    serving = HttpServer(app, listening, None, ())
    await serving.start()
    asked = {}
    for path in app.sent:
        reader, writer = await asyncio.open_connection("127.0.0.1", serving.port, limit=1000)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        asked[path] = reader, writer  # a writer that nobody has closes its connection
        if path == "/unread":
            writer.transport.pause_reading()  # type: ignore[attr-defined]
    async with asyncio.timeout(60):
        while "/unread" not in app.cut:
            assert await asked["/read"][0].read(MIB)
            await asyncio.sleep(0.005)  # the other end would send without end
    assert app.cut == {"/unread"}
    assert app.sent["/unread"] < 64 * MIB
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(serving.stop(1), 30)

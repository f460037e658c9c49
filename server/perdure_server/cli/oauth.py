"""Signing in to a service in a browser: OAuth 2.0, authorization code with PKCE, redirect to this machine.

What is sent and what is made of the answers is oauthlib's; here are the browser, the redirect and the HTTP. Sources:
RFC 6749 (OAuth 2.0), RFC 7636 (PKCE), RFC 8252 (native apps: a redirect to a loopback address).
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import html
import secrets
import webbrowser
from collections.abc import Mapping
from typing import Any, Final, Self
from urllib.parse import urlsplit

from perdure_server.cli import render
from perdure_server.core import integrations
from perdure_server.core.errors import PerdureError
from perdure_server.core.integrations import Integration
from perdure_server.security import oauth

WAIT_S: Final = 300.0
_HEAD_BYTES: Final = 16 * 1024
_PAGE: Final = "<!doctype html><meta charset=utf-8><title>perdure</title><p>{}</p>"


async def sign_in(
    entry: Integration, values: Mapping[str, str], scopes: tuple[str, ...], port: int, *, browser: bool
) -> dict[str, str]:
    """The values of OAuth that a connection gets. Raises P0306 when the service or the person refuses."""
    known = entry.oauth
    authorize_url = values.get(integrations.AUTHORIZE_URL) or (known.authorize_url if known else "")
    token_url = values.get(integrations.TOKEN_URL) or (known.token_url if known else "")
    if not (authorize_url and token_url):
        raise PerdureError("P0306", f"perdure knows no OAuth of {entry.title}", help="give it a token: --token @FILE")
    client_id = values.get(integrations.CLIENT_ID)
    if not client_id:
        raise PerdureError(
            "P0306",
            f"signing in to {entry.title} needs an OAuth application of yours",
            help=f"make one at {entry.title}, allow the redirect http://127.0.0.1:PORT/, then give --client-id "
            "and --client-secret",
        )
    wanted = scopes or (known.scopes if known else ())
    flow = oauth.Flow(client_id, values.get(integrations.CLIENT_SECRET, ""), token_url)
    state = secrets.token_urlsafe(32)
    async with _Redirect(port) as redirect:
        address = flow.address(authorize_url, redirect.url, wanted, state, dict(known.more) if known else {})
        render.say(f"open this address and sign in to {entry.title}:\n  {address}")
        if browser:
            await asyncio.to_thread(webbrowser.open, address)
        try:
            answer = await asyncio.wait_for(redirect.answer(), WAIT_S)
        except TimeoutError:
            raise PerdureError("P0306", f"nobody signed in within {WAIT_S:g} seconds") from None
    token = await asyncio.to_thread(flow.redeem, answer, redirect.url, state)
    return token.values(dt.datetime.now(dt.UTC))


class _Redirect:
    """A server for the one request that the service sends the browser back with."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.url = ""

    async def __aenter__(self) -> Self:
        try:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._port, limit=_HEAD_BYTES)
        except OSError as error:
            raise PerdureError("P0203", f"port {self._port} of this machine is in use: {error.strerror}") from None
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def answer(self) -> str:
        """The query that the service sent."""
        return await self._answer

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n", 1)[0].decode("latin-1")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.close()
            return
        method, _, rest = line.partition(" ")
        target = urlsplit(rest.partition(" ")[0])
        ours = method == "GET" and target.path == "/" and bool(target.query)
        says = "You can close this page now." if ours else "This is not the page of a sign-in."
        body = _PAGE.format(html.escape(says)).encode()
        head: dict[str, Any] = {"Content-Type": "text/html; charset=utf-8", "Content-Length": len(body)}
        head |= {"Connection": "close", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        lines = [f"HTTP/1.1 {'200 OK' if ours else '404 Not Found'}", *(f"{k}: {v}" for k, v in head.items())]
        writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()
        if ours and not self._answer.done():
            self._answer.set_result(target.query)

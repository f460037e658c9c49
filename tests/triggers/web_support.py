"""The HTTP face of a world, and clients of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from coordinator_support import World
from perdure_server.app.http import HttpAddress, http_face
from perdure_server.coordinator.control import Control
from perdure_server.security.access import Access

PATIENCE_S = 30.0


@dataclass
class Web:
    """`client` shows no token; `as_` makes headers that do."""

    world: World
    control: Control
    access: Access
    address: str
    client: httpx.AsyncClient

    async def as_(self, scope: str, project: str = "") -> dict[str, str]:
        row, secret = await self.access.tokens.create("t", scope, project, 0)
        return {"authorization": f"Bearer pt.{row.token_id}.{secret}"}

    async def api(self, method: str, path: str, scope: str = "admin", project: str = "", **more: Any) -> httpx.Response:
        headers = await self.as_(scope, project) | more.pop("headers", {})
        return await self.client.request(method, f"/api/v1{path}", headers=headers, **more)

    @asynccontextmanager
    async def bare(self) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        """A connection on which the test says every byte itself."""
        host, _, port = self.address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        try:
            yield reader, writer
        finally:
            writer.close()


@asynccontextmanager
async def open_web(world: World, home: Path, names: tuple[str, ...] = ()) -> AsyncIterator[Web]:
    """On a port of its own."""
    access = Access(world.store, world.clock.now_us, home=home if names else None)
    control = Control(world.coordinator, str(home), access)
    async with (
        http_face(world.coordinator, control, access, names, HttpAddress("127.0.0.1:0")) as address,
        httpx.AsyncClient(base_url=f"http://{address}", timeout=PATIENCE_S) as client,
    ):
        yield Web(world, control, access, address, client)

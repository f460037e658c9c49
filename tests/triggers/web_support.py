"""The HTTP face of a world, and clients of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from coordinator_support import World
from perdure_proto.v1 import control_pb2 as pb
from perdure_server.app.http import HttpAddress, http_face
from perdure_server.coordinator.control import Control
from perdure_server.manifest.build import pack
from perdure_server.security.access import Access

PATIENCE_S = 60.0


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

    async def deploy(
        self, folder: Path, manifest: str, project: str = "p", file: str = "perdure.yaml"
    ) -> dict[str, pb.Trigger]:
        """A project whose handler is never really run. Its triggers, by name."""
        folder.mkdir(exist_ok=True)
        (folder / file).write_text(manifest)
        (folder / "main.py").write_text("def main(event):\n    pass\n")
        tarball = pack(folder)

        async def parts() -> AsyncIterator[pb.DeployRequest]:
            yield pb.DeployRequest(header=pb.DeployHeader(project=project))
            yield pb.DeployRequest(chunk=tarball)

        made = await self.control.deploy(parts())
        return {trigger.name: trigger for trigger in made.triggers}

    def event(self, event_id: str) -> dict[str, Any]:
        """The data of a stored event."""
        row = self.world.store.event(event_id)
        assert row is not None
        data: dict[str, Any] = json.loads(row.data)
        return data

    def sessions(self, event_id: str) -> list[str]:
        """Those that an event has started."""
        row = self.world.store.event(event_id)
        assert row is not None
        return [each.session_id for each in self.world.store.dispatches(row.seq) if each.session_id]

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

"""Where HTTP is served, and what others are told of it."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from pathlib import Path

import httpx
import pytest
from coordinator_support import World, refused
from perdure_server.app.http import HttpAddress, http_face
from perdure_server.coordinator.control import Control
from perdure_server.security.access import Access
from web_support import PATIENCE_S, Web


async def test_serve_says_where_and_takes_the_token_of_its_home(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "perdure_server", "serve", "--home", str(tmp_path), "--runner", "none"]
    process = await asyncio.create_subprocess_exec(
        *command, "--http", "127.0.0.1:0", "--public-url", "https://hooks.example/", stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(90):
            ready = re.fullmatch(rb"ready grpc=(\S+) http=(\S+)\n", await process.stderr.readline())
        assert ready
        told = json.loads((tmp_path / "endpoint.json").read_text())
        assert (told["http"], told["url"]) == (ready[2].decode(), "https://hooks.example")
        headers = {"authorization": f"Bearer {told['token']}"}
        async with httpx.AsyncClient(base_url=f"http://{told['http']}", headers=headers, timeout=PATIENCE_S) as client:
            assert (await client.get("/api/v1/version")).json()["home"] == str(tmp_path)
            assert (await client.get("/livez")).status_code == 200
    finally:
        process.terminate()
        assert await process.wait() == 0


async def test_a_port_that_is_taken(web: Web, world: World) -> None:
    async def address(wanted: HttpAddress) -> str:
        async with http_face(world.coordinator, web.control, web.access, (), wanted) as found:
            return found

    with refused("P0203"):
        await address(HttpAddress(web.address))
    with refused("P0203"):
        await address(HttpAddress("127.0.0.1:http"))
    assert await address(HttpAddress(web.address, or_any=True)) != web.address


@pytest.mark.parametrize("address", ["0.0.0.0:0", "192.0.2.1:80", "[::]:0"])
async def test_others_are_answered_over_tls_only(world: World, address: str) -> None:
    access = Access(world.store, world.clock.now_us)
    with refused("P0217"):
        async with http_face(
            world.coordinator, Control(world.coordinator, "", access), access, (), HttpAddress(address)
        ):
            pass


async def test_it_ends_with_a_request_open_that_has_no_end(world: World) -> None:
    await world.start("s")
    access = Access(world.store, world.clock.now_us)
    control = Control(world.coordinator, "", access)
    row, secret = await access.tokens.create("t", "read", "", 0)
    headers = {"authorization": f"Bearer pt.{row.token_id}.{secret}"}
    async with asyncio.timeout(PATIENCE_S), httpx.AsyncClient(headers=headers, timeout=PATIENCE_S) as client:
        async with http_face(world.coordinator, control, access, (), HttpAddress("127.0.0.1:0")) as address:
            watched = await client.send(
                client.build_request("GET", f"http://{address}/api/v1/sessions/s/watch"), stream=True
            )
            assert "created" in await anext(watched.aiter_text())
        with pytest.raises(httpx.ConnectError):
            await client.get(f"http://{address}/livez")
        await watched.aclose()

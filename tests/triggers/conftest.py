"""A coordinator behind a real HTTP server, with a clock that is turned by hand and hosts that only pretend."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "unit"))

from coordinator_support import World
from perdure_server.coordinator.settings import Settings
from web_support import Web, open_web


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    """Its sessions do one activity, write one line, and end."""
    world = World(
        tmp_path,
        [("activity", "a"), ("log", "one")],
        Settings(host_timeout_s=1e9, isolate_scan=False, environments=False),
    )
    await world.begin()
    yield world
    await world.coordinator.close()
    world.store.close()


@pytest.fixture(name="web")
async def web_fixture(world: World, tmp_path: Path) -> AsyncIterator[Web]:
    async with open_web(world, tmp_path) as web:
        yield web

"""Doors for each test, and a world behind them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "unit"))

from coordinator_support import World
from doors_support import Doors, open_doors
from perdure_server.coordinator.settings import Settings


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, [("activity", "a")], Settings(host_timeout_s=1e9))
    await world.begin()
    yield world
    await world.coordinator.close()
    world.store.close()


@pytest.fixture(name="doors")
async def doors_fixture(world: World, tmp_path: Path) -> AsyncIterator[Doors]:
    async with open_doors(world, tmp_path) as doors:
        yield doors

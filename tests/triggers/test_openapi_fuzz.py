"""The JSON API against what its own description allows, and what it does not: it never fails, and says what it said."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from coordinator_support import World
from hypothesis import HealthCheck, Phase, given, settings
from perdure_server.coordinator.settings import Settings
from schemathesis import GenerationMode, openapi
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from web_support import PATIENCE_S, Web, open_web

CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)
SLOW = {"WatchSession", "GetLogs"}  # they follow, if they are asked to: they may well have no end


@pytest.fixture(name="address", scope="module")
def address_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """A coordinator on a loop of its own in another thread: its address, and an admin's headers."""
    folder = tmp_path_factory.mktemp("fuzz")
    ready: threading.Event = threading.Event()
    told: dict[str, Any] = {}

    async def serve() -> None:
        world = World(folder, [], Settings(host_timeout_s=1e9, isolate_scan=False, environments=False))
        await world.begin()
        ending = told["ending"] = asyncio.Event()
        told["loop"] = asyncio.get_running_loop()
        async with open_web(world, folder) as web:
            told["at"] = f"http://{web.address}", await _prepared(web)
            ready.set()
            await ending.wait()
        await world.coordinator.close()
        world.store.close()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(PATIENCE_S)
    yield told["at"]
    told["loop"].call_soon_threadsafe(told["ending"].set)
    thread.join(PATIENCE_S)


async def _prepared(web: Web) -> dict[str, str]:
    await web.world.start("s1", project="p")
    return await web.as_("admin")


@pytest.mark.slow
def test_what_the_description_allows_is_answered_as_it_says(address: tuple[str, dict[str, str]]) -> None:
    url, headers = address
    described = requests.get(f"{url}/api/openapi.json", timeout=PATIENCE_S).json()
    schema = openapi.from_dict(described)
    asked = 0
    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.definition.raw["operationId"] in SLOW:
            continue

        @settings(
            max_examples=12,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(GenerationMode.POSITIVE) | operation.as_strategy(GenerationMode.NEGATIVE))
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            response = case.call(base_url=url, headers=headers, timeout=PATIENCE_S)
            case.validate_response(response, checks=CHECKS)

        ask()
    assert asked > 100

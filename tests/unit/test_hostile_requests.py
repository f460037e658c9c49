"""Whatever a session asks, it is done or refused with a code: operations know that hostile code makes the body."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from coordinator_support import BUILD, World
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_server.coordinator.requests import OPERATIONS
from perdure_server.coordinator.requests.operations import Asker
from perdure_server.core.errors import PerdureError
from perdure_server.store import Mutation

KEYS = (
    "data",
    "entry",
    "event_form",
    "event_id",
    "expected",
    "filter",
    "key",
    "limits",
    "memo",
    "name",
    "on_parent_end",
)
MORE = ("operand", "payload", "prefix", "project", "ready", "session_id", "session_ids", "source", "value", "version")
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), st.just("main.py:run")),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=4,
)
bodies = st.dictionaries(st.sampled_from(KEYS + MORE), values | st.just("up"), max_size=5)


@settings(max_examples=25, deadline=None)
@given(asked=st.lists(st.tuples(st.sampled_from(sorted(OPERATIONS)), bodies), min_size=30, max_size=30))
def test_anything_is_answered_or_refused(tmp_path_factory: Any, asked: list[tuple[str, dict[str, Any]]]) -> None:
    asyncio.run(_ask_all(tmp_path_factory.mktemp("home"), asked))


async def _ask_all(folder: Path, asked: list[tuple[str, dict[str, Any]]]) -> None:
    world = World(folder, [])
    await world.begin()
    await world.start("up", [("signal", "never")])
    try:
        for number, (operation, body) in enumerate(asked):
            asker = Asker("up", "", "", BUILD, "", durable=True, now_us=number, place=f"main.{number}")
            entry = OPERATIONS[operation]
            try:
                ready = await entry.prepare(world.coordinator, asker, body) if entry.prepare else body
                answer = (await world.store.commit(Mutation(lambda tx: entry.run(tx, asker, ready)))).value  # noqa: B023
            except PerdureError:
                continue
            json.dumps(answer.value, allow_nan=False)
            if answer.then is not None:
                answer.then(world.coordinator)
    finally:
        await world.coordinator.close()
        world.store.close()

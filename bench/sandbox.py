"""What the sandbox costs: how soon a session starts in it, and how many live ones fit into a GiB."""

import asyncio
import os
from contextlib import AsyncExitStack

from perdure_server.app.engine import Engine

from bench import client
from bench.client import Control
from bench.engines import served
from bench.figures import sessions_per_gib
from bench.place import Bench, Samples, family_kib, turns
from bench.slowdown import VERSIONS
from bench.throughput import starts
from tests.everywhere import interpreters

SANDBOXED, OWN = "strict", "own"
PAUSE_S = 0.05
SESSIONS = 300
SECONDS = 40.0  # that each stays in its activity: the last one starts well before the first ends
AT_EASE_S = 4.0
"""From when the last one is in its activity, until all have given back what memory they can: two seconds, and some."""
GIB_IN_KIB = 1 << 20


def measure(bench: Bench) -> Samples:
    return asyncio.run(_sandbox(bench))


async def _sandbox(bench: Bench) -> Samples:
    samples = await _starts(bench, 60 if bench.quick else 200)
    live = 60 if bench.quick else SESSIONS
    samples["sandbox_sessions_per_gib"] = [await _live(bench, live)]
    for version in others():
        samples[sessions_per_gib(version)] = [await _live(bench, live, version)]
    return samples


def others() -> list[str]:
    """The other versions of VERSIONS that this machine has."""
    return [version for version in interpreters() if version in VERSIONS]


async def _starts(bench: Bench, count: int) -> Samples:
    """Both profiles under `perdure serve`, in turns, so that what else the machine does strikes both.

    With a pause between sessions, and in a row.
    """
    samples: Samples = {}
    async with AsyncExitStack() as stack:
        servers = {
            prefix: (await stack.enter_async_context(served(bench, f"starts-{isolation}", isolation)))[1]
            for prefix, isolation in (("sandbox_", SANDBOXED), ("own_", OWN))
        }
        for _ in turns(3, 12.0):
            for prefix, control in servers.items():
                for name, series in (await starts(control, count // 3, 1, PAUSE_S)).items():
                    samples.setdefault(prefix + name, []).extend(series)
                in_a_row = await starts(control, count // 3, 1)
                samples.setdefault(f"{prefix}row_start_ms_p50", []).extend(in_a_row["start_ms_p50"])
    return samples


async def _live(bench: Bench, count: int, python: str = "") -> float:
    """How many sessions inside an activity 1 GiB holds, by what so many add to the memory (PSS) of all our processes.

    The coordinator's and the host's count, too. The kernel's own does not (namespaces, mounts, page tables, sockets):
    only the machine's available memory would tell, and whatever else runs changes that.
    """
    async with Engine.embedded(bench.folder(f"live{python}"), capacity=count + 1, isolation=SANDBOXED) as engine:
        control: Control = engine.control
        await client.deploy(control, python)
        await client.run(control, "first_line")
        before = family_kib(os.getpid())
        ids: list[str] = []
        await client.at_once(count, 8, lambda: _hold(control, ids))
        await _all_attached(control, ids)
        await asyncio.sleep(AT_EASE_S)
        return GIB_IN_KIB / ((family_kib(os.getpid()) - before) / count)


async def _hold(control: Control, ids: list[str]) -> None:
    ids.append(await client.start(control, "pausing", {"seconds": SECONDS}))


async def _all_attached(control: Control, ids: list[str]) -> None:
    """Wait until every session is inside its activity. Raises RuntimeError when that takes too long."""
    async with asyncio.timeout(SECONDS):
        for session_id in ids:
            while (await client.entries(control, session_id)) == 0:  # noqa: ASYNC110 (another process has no event here)
                await asyncio.sleep(0.05)

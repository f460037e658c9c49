"""What a session costs in memory while it lives, and while it only waits."""

import asyncio
import time

from perdure_proto.v1 import control_pb2 as pb

from bench import client
from bench.client import Control
from bench.engines import Server, served
from bench.place import Bench, Samples, turns

MONTH_S = 30 * 86400
PATIENCE_S = 40.0
AT_REST = 4  # processes: coordinator, host, zygote, and a runner that is made ahead of its session
GIB_IN_KIB = 1 << 20


def measure(bench: Bench) -> Samples:
    return asyncio.run(_memory(bench))


async def _memory(bench: Bench) -> Samples:
    async with served(bench, "memory") as (server, control):
        live, suspended, runs = (20, 200, 1) if bench.quick else (40, 1000, 3)
        await _suspended(server, control, live)  # grown to what it needs for any
        each = [await _live(server, control, live) for _ in turns(runs, 8.0)]
        samples = {"kib_per_live_session": each, "live_sessions_per_gib": [GIB_IN_KIB / kib for kib in each]}
        samples["kib_per_suspended_session"] = [await _suspended(server, control, suspended)]
        return samples


async def _live(server: Server, control: Control, count: int) -> float:
    """KiB that each of so many sessions adds while it is inside an activity."""
    seconds = 2.5
    before = await _kib_at_rest(server, control)
    began = time.monotonic()
    ids = [await client.start(control, "pausing", {"seconds": seconds}) for _ in range(count)]
    await asyncio.sleep(1.0)  # until the last is inside its activity
    added = (server.kib() - before) / count
    if time.monotonic() - began > seconds:
        raise RuntimeError(f"{count} sessions did not start within {seconds} s")
    for session_id in ids:
        await client.result(control, session_id)
    return added


async def _suspended(server: Server, control: Control, count: int) -> float:
    """KiB that each of so many sessions adds while it sleeps for a month, without a process."""
    before = await _kib_at_rest(server, control)
    await client.at_once(count, 16, lambda: client.start(control, "sleeping", {"seconds": MONTH_S}))
    return (await _kib_at_rest(server, control) - before) / count


async def _kib_at_rest(server: Server, control: Control) -> float:
    """Memory of all processes as soon as no session has one, but the next has. Raises RuntimeError when that does not
    come."""
    until = time.monotonic() + PATIENCE_S
    while len(server.pids()) != AT_REST or await _still_starting(control):
        if time.monotonic() > until:
            raise RuntimeError(f"sessions still had processes after {PATIENCE_S:g} s")
        await asyncio.sleep(0.2)
    return server.kib()


async def _still_starting(control: Control) -> bool:
    request = pb.ListSessionsRequest(project=client.NAME, states=["created", "starting", "running"], limit=1)
    return bool((await control.list_sessions(request)).sessions)

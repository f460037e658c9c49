"""How soon a session goes on after kill -9 of its runner, of the host, of the coordinator."""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Awaitable, Callable
from itertools import pairwise
from pathlib import Path

from perdure_proto.v1 import control_pb2 as pb

from bench import client
from bench.client import Control
from bench.engines import Server, served
from bench.place import Bench, Samples, turns

TICKS = 100_000  # more than anybody waits for
PATIENCE_S = 15.0

Kill = Callable[[Server, Control, str], Awaitable[None]]


def measure(bench: Bench) -> Samples:
    return asyncio.run(_resumes(bench, 1 if bench.quick else 4))


async def _resumes(bench: Bench, runs: int) -> Samples:
    samples: Samples = {}
    for name, kill in (("runner", _kill_runner), ("host", _kill_host), ("coordinator", _kill_coordinator)):
        samples[f"resume_{name}_s"] = [await _resume(bench, f"{name}-{run}", kill) for run in turns(runs, 10.0)]
    samples["resume_s"] = max(samples.values(), key=statistics.median)
    return samples


async def _resume(bench: Bench, name: str, kill: Kill) -> float:
    """Seconds from the kill to the next activity that runs, as the activities themselves say outside.

    A new runner is told from the old one by the pause: the old one leaves a mark every few milliseconds until it dies.
    """
    marks = bench.folder("marks") / name
    async with served(bench, name) as (server, control):
        session_id = await client.start(control, "ticking", {"path": str(marks), "ticks": TICKS})
        await _marks_after(marks, 0.0, 20)
        killed = time.clock_gettime(time.CLOCK_MONOTONIC)
        await kill(server, control, session_id)
        dead = time.clock_gettime(time.CLOCK_MONOTONIC)
        await _marks_after(marks, dead, 10)
        times = [killed, *(at for at in _read(marks) if at > killed)]
        return max(later - earlier for earlier, later in pairwise(times))


async def _kill_runner(_server: Server, control: Control, session_id: str) -> None:
    session = await control.get_session(pb.GetSessionRequest(session_id=session_id))
    os.kill(session.runner_pid, signal.SIGKILL)


async def _kill_host(server: Server, _control: Control, _session_id: str) -> None:
    os.kill(server.host_pid(), signal.SIGKILL)


async def _kill_coordinator(server: Server, _control: Control, _session_id: str) -> None:
    server.kill()
    await asyncio.to_thread(server.restart)


def _read(marks: Path) -> list[float]:
    lines = marks.read_text().splitlines() if marks.exists() else []
    return [float(line) for line in lines]


async def _marks_after(marks: Path, moment: float, count: int) -> None:
    """Wait for so many marks later than `moment`."""
    until = time.monotonic() + PATIENCE_S
    while sum(at > moment for at in _read(marks)) < count:
        if time.monotonic() > until:
            raise RuntimeError(f"the session did not go on within {PATIENCE_S:g} s")
        await asyncio.sleep(0.01)

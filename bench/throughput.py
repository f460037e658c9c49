"""How much is done in a second: activities in turn, sessions side by side, a fan-out; and how soon a session starts."""

import asyncio
import time

from bench import client
from bench.client import Control
from bench.engines import embedded, served
from bench.place import Bench, Samples, turns


def measure_embedded(bench: Bench) -> Samples:
    return asyncio.run(_embedded(bench))


def measure_served(bench: Bench) -> Samples:
    return asyncio.run(_served(bench))


async def _embedded(bench: Bench) -> Samples:
    runs = 3 if bench.quick else 5
    async with embedded(bench.folder("embedded")) as control:
        samples = await starts(control, 10 if bench.quick else 66)
        samples["sequential_activities_per_s"] = await _sequential(control, runs, 300 if bench.quick else 1500)
        sessions = 64 if bench.quick else 200
        samples["sessions_per_s"] = [await _sessions(control, sessions) for _ in turns(1 if bench.quick else 3, 8.0)]
        samples["fan_out_s"] = [await _fan_out(control, 100) for _ in turns(runs, 4.0)]
    return samples


async def _served(bench: Bench) -> Samples:
    runs = 3 if bench.quick else 5
    async with served(bench, "served") as (_, control):
        count = 300 if bench.quick else 1500
        return {"sequential_activities_per_s_grpc": await _sequential(control, runs, count)}


async def _sequential(control: Control, runs: int, most: int) -> list[float]:
    """Activities per second between the first and the last of one session, by the session's own clock."""
    trial = most // 4
    rate = trial / await client.run(control, "sequence", {"activities": trial})
    count = max(trial, min(most, int(rate)))  # a second's worth, where the disk is slow
    return [count / await client.run(control, "sequence", {"activities": count}) for _ in turns(runs, 8.0)]


async def _sessions(control: Control, count: int) -> float:
    """Sessions of five activities per second, 16 at a time, from the first request to the last end."""
    began = time.monotonic()
    await client.at_once(count, 16, lambda: client.run(control, "sequence", {"activities": 5}))
    return count / (time.monotonic() - began)


async def _fan_out(control: Control, count: int) -> float:
    """Seconds that a session takes to gather so many activities of 50 ms, by its own clock."""
    return float(await client.run(control, "gathering", {"activities": count, "seconds": 0.05}))


async def starts(control: Control, count: int, times: int = 3, pause_s: float = 0.0) -> Samples:
    """Milliseconds from the request to the handler's first line, one session at a time; so many series.

    pause_s: after each session. Without it, the end of one and the runner made ahead for the next compete with a start.
    """
    series = []
    for _ in range(times):
        took = []
        for _ in turns(count, 4.0):
            asked = time.clock_gettime(time.CLOCK_MONOTONIC)
            took.append((await client.run(control, "first_line") - asked) * 1e3)
            await asyncio.sleep(pause_s)
        series.append(sorted(took))
    return {
        "start_ms_p50": [took[len(took) // 2] for took in series],
        "start_ms_p90": [took[len(took) * 9 // 10] for took in series],
    }

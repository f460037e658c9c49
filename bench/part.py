"""One part of the benchmark in a process of its own: `python -m bench.part NAME WORK_FOLDER RESULT_FILE [--quick]`.

So that no part inherits another's memory, threads or gRPC, and one that hangs can be ended with all it has started.
"""

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from bench.figures import sessions_per_gib
from bench.place import Bench, Samples, Skipped
from bench.slowdown import SIZES, VERSIONS, names


@dataclass(frozen=True, slots=True)
class Part:
    """`function` ("module:name") measures `figures`; it may take `limit_s` seconds, `quick_limit_s` if quick."""

    function: str
    figures: tuple[str, ...]
    limit_s: float
    quick_limit_s: float


PARTS: Mapping[str, Part] = {
    "floors": Part("bench.floors:measure", (), 30, 15),
    "embedded": Part(
        "bench.throughput:measure_embedded",
        ("sequential_activities_per_s", "sessions_per_s", "fan_out_s", "start_ms_p50", "start_ms_p90"),
        60,
        20,
    ),
    "served": Part("bench.throughput:measure_served", ("sequential_activities_per_s_grpc",), 40, 15),
    "replay": Part("bench.replaying:measure", ("replay_entries_per_s", "replay_handler_entries_per_s"), 50, 15),
    "resume": Part(
        "bench.resuming:measure",
        ("resume_s", "resume_runner_s", "resume_host_s", "resume_coordinator_s"),
        45,
        20,
    ),
    "slowdown": Part(
        "bench.slowdown:measure",
        (
            *(f"slowdown_{kernel}" for kernel in SIZES),
            "slowdown_geomean",
            "slowdown_worst",
            "internal_call_ns",
            *(name for version in VERSIONS for kind in ("compiled", "pure") for name in names(version, kind)),
        ),
        85,
        50,
    ),
    "runner": Part("bench.runner_cost:measure", ("activity_us", "marker_us", "replay_entry_us"), 15, 10),
    "docker": Part("bench.containers:measure", ("docker_start_ms_p50", "docker_start_ms_p90"), 60, 30),
    "sandbox": Part(
        "bench.sandbox:measure",
        (
            *("sandbox_start_ms_p50", "sandbox_start_ms_p90", "sandbox_row_start_ms_p50"),
            *("own_start_ms_p50", "own_start_ms_p90", "own_row_start_ms_p50"),
            "sandbox_sessions_per_gib",
            *map(sessions_per_gib, VERSIONS),
        ),
        110,
        70,
    ),
    "webhooks": Part(
        "bench.webhooks:measure",
        ("webhook_ms_p50", "webhook_ms_p99", "webhook_outage_s", "webhooks_lost", "webhooks_twice"),
        60,
        40,
    ),
    "memory": Part(
        "bench.memory:measure",
        ("kib_per_live_session", "live_sessions_per_gib", "kib_per_suspended_session"),
        45,
        25,
    ),
}


def main(name: str, work: str, out: str, *, quick: bool) -> None:
    """Measure one part and write its samples to `out`."""
    module, _, function = PARTS[name].function.partition(":")
    measure: Callable[[Bench], Samples] = getattr(import_module(module), function)
    try:
        found: Samples | str = measure(Bench(Path(work).resolve(), quick))
    except Skipped as reason:
        found = str(reason)
    Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], quick="--quick" in sys.argv[4:])

"""What the runner itself costs: an activity and a marker before the wire, and a row of the journal when replayed.

The runner tells its own CPU time, without the wire's (see runner_session.py): no other process is in these figures.
"""

import json
import os
import pickle
import subprocess
import sys

from perdure_runner import frames

from bench.place import PROJECT, ROOT, Bench, Samples

_PATH = os.pathsep.join(str(ROOT / folder) for folder in ("sdk", "runner", "."))


def measure(bench: Bench) -> Samples:
    """`activity_us`, `marker_us`, `replay_entry_us`."""
    samples: Samples = {"activity_us": [], "marker_us": [], "replay_entry_us": []}
    count = 500 if bench.quick else 2_000
    for turn in range(2 if bench.quick else 5):
        (activities_ns, markers_ns), rows = _session(bench, f"{turn}-live", count, [])
        samples["activity_us"].append(activities_ns / count / 1e3)
        samples["marker_us"].append(markers_ns / count / 1e3)
        replayed_ns, _ = _session(bench, f"{turn}-replay", count, rows)
        samples["replay_entry_us"].append(sum(replayed_ns) / (3 * count) / 1e3)  # two rows an activity, one a marker
    return samples


def _session(bench: Bench, name: str, count: int, rows: list[frames.Frame]) -> tuple[list[int], list[frames.Frame]]:
    """Run `costs` with these rows in its journal. Gives its result, and the rows afterwards."""
    start = {
        "session": "bench",
        "key": "00" * 32,
        "code": str(PROJECT),
        "cache": str(bench.folder("cache")),
        "entry": "costs.py:costs",
        "event": json.dumps({"count": count}),
    }
    request, answer = bench.work / f"{name}.request", bench.work / f"{name}.answer"
    request.write_bytes(pickle.dumps({"start": start, "rows": rows}))
    subprocess.run(
        [sys.executable, "-m", "bench.runner_session", request, answer],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": _PATH, "PYTHONHASHSEED": "0"},
        check=True,
    )
    result, rows = pickle.loads(answer.read_bytes())
    return json.loads(result), rows

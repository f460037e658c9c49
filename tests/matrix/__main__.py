"""``python -m matrix [TOPIC or PROBE ...]``: the construct matrix as one table. Exit code 1 if anything fails."""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from matrix.examine import MODES, Examined, examine
from matrix.probe import Probe
from matrix.topics import TOPICS
from support.harness import bench

WORKERS = 2
LONGEST = 400  # characters of a complaint that are shown


def main(wanted: list[str]) -> int:
    """Print the table and the total; why something failed comes after it."""
    chosen = {
        topic: [probe for probe in probes if not wanted or {topic, probe.name} & {*wanted}]
        for topic, probes in TOPICS.items()
    }
    began = time.monotonic()
    failed: list[Examined] = []
    total = 0
    print(f"{'probe':44}" + "".join(f"{mode:10}" for mode in MODES))
    with ThreadPoolExecutor(WORKERS) as workers:
        for topic, results in zip(chosen, workers.map(_examine, chosen.values()), strict=True):
            for result in results:
                total += 1
                marks = "".join(f"{'FAILED' if result.complaints[mode] else 'ok':10}" for mode in MODES)
                print(f"{topic + ': ' + result.probe.name:44}{marks}", flush=True)
            failed += [result for result in results if not result.ok]
    for result in failed:
        print(f"\n{result.probe.name}")
        for mode, complaints in result.complaints.items():
            for complaint in complaints[:3]:
                print(f"  {mode}: {complaint[:LONGEST]}")
    good, skipped = total - len(failed), sum(map(len, chosen.values())) - total
    later = f", {skipped} need another Python or library" if skipped else ""
    print(f"\n{good} of {total} probes ok in all {len(MODES)} modes{later}; {time.monotonic() - began:.0f} s")
    return 1 if failed or not total else 0


def _examine(probes: list[Probe]) -> list[Examined]:
    if not probes:
        return []
    with tempfile.TemporaryDirectory() as folder, bench(Path(folder)) as equipment:
        return examine(equipment, probes)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

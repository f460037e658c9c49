"""`python -m tests.transparency`: the standard library's own tests, plainly and through the hook, on each interpreter.

    python -m tests.transparency [--here | --python 3.12 ...] [--jobs 2] [MODULE ...]

Prints a table and every difference; the exit code is 1 if there is one that `modules.INHERENT` does not name.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests import everywhere
from tests.transparency import modules
from tests.transparency.compare import Bench, Difference


def main() -> int:
    """Compare on each interpreter asked for."""
    arguments = _arguments()
    here = {f"3.{sys.version_info.minor}": sys.executable}
    pythons = here if arguments.here else here | everywhere.interpreters()
    chosen = {v: p for v, p in pythons.items() if not arguments.python or v in arguments.python}
    bad = 0
    for version, python in sorted(chosen.items()):
        with tempfile.TemporaryDirectory(prefix="transparency-") as folder:
            bad += report(version, Bench(python, Path(folder)), arguments.module, arguments.jobs)
    return 1 if bad or not chosen else 0


def report(version: str, bench: Bench, names: list[str], jobs: int) -> int:
    """Print what one interpreter says; returns the number of differences that are not inherent."""
    if bench.lacks:
        print(f"Python {version}: no tests of its own: {bench.lacks}")
        return 1
    began = time.monotonic()
    plan = {name: modules.modes(name) for name in names or modules.ALL}
    came, differences = bench.compare(plan, jobs)
    print(f"\nPython {version}, {bench.sites} sites, {time.monotonic() - began:.0f} s")
    counts = Counter(difference.mode for difference in differences if not modules.is_inherent(difference, bench.sites))
    print(f"  {'':<10} {'modules':>8} {'tests':>8} {'passed':>8} {'differences':>12}")
    for mode in ("plain", "routed", "recorded"):
        ended = [modes[mode].outcomes for modes in came.values() if mode in modes]
        tests = Counter(outcome for outcomes in ended for outcome in outcomes.values())
        shown = counts[mode] if mode != "plain" else ""
        print(f"  {mode:<10} {len(ended):>8} {tests.total():>8} {tests['pass']:>8} {shown:>12}")
    for difference in differences:
        print(_line(difference, bench.sites))
    return counts.total()


def _line(difference: Difference, sites: str) -> str:
    reason = modules.is_inherent(difference, sites)
    if reason:
        return f"  inherent: {difference.test} ({difference.mode}): {reason}"
    return f"  DIFFERS: {difference}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.transparency", description="Compare; see CONTRIBUTING.md.")
    parser.add_argument("module", nargs="*", help="as test_dict; all of them unless given")
    parser.add_argument("--python", action="append", help="a version, as 3.12; all that are found unless given")
    parser.add_argument("--here", action="store_true", help="this interpreter only")
    parser.add_argument("--jobs", type=int, default=2)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench [NAME ...] [--quick] [--json PATH]`: one table, and one document."""

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import machine, table
from bench.figures import SPECS, document
from bench.measuring import run_part
from bench.part import PARTS
from bench.place import ROOT, Samples, Skipped


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write. Exit status 1 if something could not be measured."""
    options = _arguments(argv)
    described = machine.describe()
    samples: Samples = {}
    missing: dict[str, str] = {}
    failed = False
    homes = ROOT / ".perdure"
    homes.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="bench-", dir=homes))
    try:
        for turn, name in enumerate(_chosen(options.names)):
            print(f"measuring {name} ...", file=sys.stderr, flush=True)
            try:
                for measured, runs in run_part(name, work / str(turn), quick=options.quick).items():
                    samples.setdefault(measured, []).extend(runs)
            except Skipped as reason:
                missing[name] = f"skipped: {reason}"
            except RuntimeError as error:
                missing[name] = str(error)
                failed = True
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(table.render(samples, missing))
    path = Path(options.json)
    path.write_text(json.dumps(document(described, samples, missing), indent=1) + "\n")
    print(f"written to {path}", file=sys.stderr)
    return int(failed)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="See docs/how-to/measure.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"figures or parts ({', '.join(PARTS)}); default: all")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs: below a minute")
    parser.add_argument("--json", default=str(ROOT / "bench" / "latest.json"), metavar="PATH", help="[%(default)s]")
    options = parser.parse_args(argv)
    if unknown := [name for name in options.names if name not in PARTS and name not in SPECS]:
        parser.error(f"no figure or part is called {unknown[0]!r}; the figures are: {', '.join(SPECS)}")
    return options


def _chosen(names: Sequence[str]) -> list[str]:
    """The parts that measure `names`, between two measurements of the floors: the machine may have other work."""
    wanted = {name for name, part in PARTS.items() if not names or {name, *part.figures} & set(names)}
    return ["floors", *(name for name in PARTS if name in wanted - {"floors"}), "floors"]


if __name__ == "__main__":
    sys.exit(main())

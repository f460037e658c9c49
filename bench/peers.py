"""`python -m bench.peers [--quick]`: perdure and DBOS side by side, on the same disk in the same minutes.

DBOS lives in an environment of its own, .venv-peers, which this makes. Where that cannot be done it says so,
and that is no failure.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench.measuring import run_part
from bench.place import ROOT, Samples
from bench.table import aligned, number, spread

ENVIRONMENT = ROOT / ".venv-peers"
PACKAGE = "dbos"
INSTALL_S = 180
RUN_S = 90
WORKLOADS = {
    "sequential_activities_per_s": "activities of one session, one after another, per second",
    "sequential_activities_per_s_grpc": "the same, served by processes of their own",
    "sessions_per_s": "sessions of 5 activities per second, 16 at a time",
}


class NoPeerError(Exception):
    """The peer cannot be installed or does not run; the message says why."""


def environment() -> Path:
    """The side environment's interpreter, with the peer installed. Raises NoPeerError."""
    python = ENVIRONMENT / "bin" / "python"
    check = [python, "-c", f"import {PACKAGE}"]
    if python.exists() and subprocess.run(check, capture_output=True, check=False).returncode == 0:
        return python
    uv = str(Path(sys.executable).with_name("uv"))
    _try([uv, "-q", "venv", "--clear", "-p", sys.executable, str(ENVIRONMENT)], INSTALL_S)
    _try([uv, "-q", "pip", "install", "--python", str(python), PACKAGE], INSTALL_S)
    return python


def _try(command: Sequence[str], limit_s: float) -> str:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit_s, check=False, env=environ)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoPeerError(str(error)) from None
    if done.returncode:
        raise NoPeerError((done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1])
    return done.stdout


def measure_peer(python: Path, database: Path, *options: str) -> tuple[str, Samples]:
    """DBOS's version and samples. Raises NoPeerError."""
    program = str(ROOT / "bench" / "peer_dbos.py")
    said = json.loads(_try([str(python), program, str(database), *options], RUN_S).splitlines()[-1])
    return said["version"], said["samples"]


def main(argv: Sequence[str]) -> int:
    quick = "--quick" in argv
    homes = ROOT / ".perdure"
    homes.mkdir(exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="peers-", dir=homes))
    columns: dict[str, Samples] = {}
    try:
        try:
            python = environment()
            options = ["--quick"] if quick else []
            release, columns["DBOS (SQLite)"] = measure_peer(python, work / "plain.db", *options)
            _, columns["DBOS (SQLite in WAL)"] = measure_peer(python, work / "wal.db", "--wal", *options)
        except NoPeerError as error:
            print(f"{PACKAGE} cannot be measured here: {error}")
            return 0
        columns = {"perdure": {}, **columns}
        for part in ("embedded", "served"):
            try:
                columns["perdure"] |= run_part(part, work / part, quick=quick)
            except RuntimeError as error:
                print(f"perdure, {part}: {error}", file=sys.stderr)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    print(render(columns))
    print(f"\n{PACKAGE} {release}; perdure runs each session in a process of its own, {PACKAGE} in threads of one.")
    return 0


def render(columns: dict[str, Samples]) -> str:
    """One row a workload, one column a system, with the least and the greatest of its runs."""
    rows = [("median, min - max (runs)", *columns)]
    for name, text in WORKLOADS.items():
        cells = [
            f"{number(statistics.median(runs))}, {spread(runs)}" if (runs := samples.get(name)) else "-"
            for samples in columns.values()
        ]
        rows.append((text, *cells))
    return "\n".join(aligned(rows, right=frozenset()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

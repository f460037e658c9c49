"""Starts the parts of the benchmark, and ends those that hang."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from bench.part import PARTS
from bench.place import ROOT, Samples, Skipped


def run_part(name: str, work: Path, *, quick: bool) -> Samples:
    """Measure one part in a process group of its own.

    Raises RuntimeError with the last that it said, Skipped where this machine lacks what it measures.
    """
    work.mkdir()
    out = work / "samples.json"
    command = [sys.executable, "-m", "bench.part", name, str(work), str(out), *(["--quick"] if quick else [])]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True)
    limit_s = PARTS[name].quick_limit_s if quick else PARTS[name].limit_s
    try:
        _, said = process.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise RuntimeError(f"it took longer than {limit_s:g} s") from None
    except BaseException:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if process.returncode or not out.exists():
        raise RuntimeError((said.strip().splitlines() or [f"exit status {process.returncode}"])[-1][:300])
    found: Samples | str = json.loads(out.read_text())
    if isinstance(found, str):
        raise Skipped(found)
    return found

"""What the call sites cost: whole programs, and the smallest internal call, against plain Python."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.place import ROOT, Bench, Samples, turns

SIZES = {"nbody": 40, "fannkuch": 40, "objects": 30, "text": 20, "recursion": 30, "generators": 30}
"""Of each kernel: about 60 ms of plain Python."""
CALLS = 300_000


class Worker:
    """A process that runs kernels: see kernel_worker.py."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ms(self, module: str, function: str, argument: int) -> float:
        """CPU time of one call. Raises RuntimeError when the worker dies of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{module} {function} {argument}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"the worker died in {module}.{function}({argument})")
        return float(answer)


@contextmanager
def _worker(kind: str, cache: str) -> Iterator[Worker]:
    command = [sys.executable, "-m", "bench.kernel_worker", kind, cache]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={"PYTHONHASHSEED": "0"}
    ) as process:
        yield Worker(process)  # leaving closes its input, and that is its end


def measure(bench: Bench) -> Samples:
    """`slowdown_*` of each kernel and of all, and `internal_call_ns`. The workers take turns, on the same machine."""
    rounds, patience_s = (3, 8.0) if bench.quick else (9, 30.0)
    ratios: dict[str, list[float]] = {name: [] for name in SIZES}
    added: list[float] = []
    with _worker("plain", "-") as plain, _worker("hooked", str(bench.folder("cache"))) as hooked:
        for name in SIZES:  # imported, specialised, verdicts known
            plain.ms(name, "run", 1)
            hooked.ms(name, "run", 1)
        for _ in turns(rounds, patience_s):
            for name, size in SIZES.items():
                ratios[name].append(hooked.ms(name, "run", size) / plain.ms(name, "run", size))
            added.append(_call_ns(hooked) - _call_ns(plain))
    samples = {f"slowdown_{name}": runs for name, runs in ratios.items()}
    by_round = list(zip(*ratios.values(), strict=True))
    worst = max(ratios, key=lambda name: statistics.median(ratios[name]))
    samples["slowdown_geomean"] = [statistics.geometric_mean(each) for each in by_round]
    samples["slowdown_worst"] = ratios[worst]
    samples["internal_call_ns"] = added
    return samples


def _call_ns(worker: Worker) -> float:
    return (worker.ms("calls", "calling", CALLS) - worker.ms("calls", "empty", CALLS)) / CALLS * 1e6

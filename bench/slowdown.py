"""What the call sites cost: whole programs, and the smallest internal call, against plain Python.

On every interpreter that is here, with the compiled sites and with the pure ones.
"""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Final

from bench.place import ROOT, Bench, Samples, turns
from tests.everywhere import interpreters

SIZES: Final = {
    "fib": 15,
    "richards": 25,
    "deltablue": 35,
    "nbody": 45,
    "raytrace": 130,
    "json_building": 40,
    "chaos": 35,
    "nqueens": 130,
    "generators": 35,
    "floats": 20,
}
"""Of each kernel: about 20 ms of plain Python."""
VERSIONS: Final = ("3.11", "3.12", "3.13")
CALLS: Final = 200_000
_KINDS: Final = ("plain", "compiled", "pure")
_PATH: Final = os.pathsep.join(str(ROOT / folder) for folder in ("sdk", "runner"))

Measured = dict[str, list[float]]
"""By kernel: how many times plain Python's time, in each turn; under "call": nanoseconds added to a call."""


def names(version: str, kind: str) -> tuple[str, str, str]:
    """The figures of an interpreter: geometric mean, worst, and one call."""
    end = f"_py{version.replace('.', '')}{'_pure' if kind == 'pure' else ''}"
    return f"slowdown_geomean{end}", f"slowdown_worst{end}", f"internal_call_ns{end}"


class Worker:
    """A process that runs kernels: see kernel_worker.py."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def ms(self, module: str, function: str, argument: int) -> float:
        """CPU time of one call. Raises RuntimeError when the worker dies of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(f"{module} {function} {argument}\n")
            self._process.stdin.flush()
            answer = self._process.stdout.readline()
        except BrokenPipeError:
            answer = ""
        if not answer:
            raise RuntimeError(f"the worker died in {module}.{function}({argument})")
        return float(answer)


@contextmanager
def _worker(python: str, kind: str, cache: str) -> Iterator[Worker]:
    environment = {"PYTHONHASHSEED": "0", "PYTHONPATH": _PATH, "PERDURE_PURE": str(int(kind == "pure"))}
    command = [python, "-m", "bench.kernel_worker", kind, cache]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Worker(process)  # leaving closes its input, and that is its end


def measure(bench: Bench) -> Samples:
    """`slowdown_*` of each kernel and of all, and `internal_call_ns`; of each interpreter, by twin."""
    running = f"3.{sys.version_info.minor}"
    found = {v: p for v, p in {running: sys.executable, **interpreters()}.items() if v in VERSIONS}
    rounds, patience_s = (2, 5.0) if bench.quick else (7, 9.0)
    samples: Samples = {}
    for version, python in sorted(found.items()):
        subprocess.run([python, ROOT / "build_sites.py"], check=True, capture_output=True)
        measured = _measure(python, str(bench.folder(f"cache-{version}")), rounds, patience_s)
        for kind, by_kernel in measured.items():
            samples |= dict(zip(names(version, kind), _summary(by_kernel), strict=True))
        if version == running:
            compiled = measured["compiled"]
            samples |= {f"slowdown_{name}": compiled[name] for name in SIZES}
            samples |= dict(
                zip(("slowdown_geomean", "slowdown_worst", "internal_call_ns"), _summary(compiled), strict=True)
            )
    return samples


def _measure(python: str, cache: str, rounds: int, patience_s: float) -> Mapping[str, Measured]:
    """The twins' figures on one interpreter. The workers take turns, on the same machine."""
    measured: dict[str, Measured] = {kind: {name: [] for name in (*SIZES, "call")} for kind in _KINDS[1:]}
    with ExitStack() as stack:
        workers = {kind: stack.enter_context(_worker(python, kind, cache)) for kind in _KINDS}
        for name in SIZES:  # imported, specialised, verdicts known
            for worker in workers.values():
                worker.ms(name, "run", 2)
        for _ in turns(rounds, patience_s):
            for name, size in SIZES.items():
                took = {kind: worker.ms(name, "run", size) for kind, worker in workers.items()}
                for kind, by_kernel in measured.items():
                    by_kernel[name].append(took[kind] / took["plain"])
            call_ns = {kind: _call_ns(worker) for kind, worker in workers.items()}
            for kind, by_kernel in measured.items():
                by_kernel["call"].append(call_ns[kind] - call_ns["plain"])
    return measured


def _summary(measured: Measured) -> tuple[list[float], list[float], list[float]]:
    """Of each turn: the geometric mean, the kernel that is the worst over all turns, and one call."""
    ratios = {name: measured[name] for name in SIZES}
    worst = max(ratios, key=lambda name: statistics.median(ratios[name]))
    means = [statistics.geometric_mean(each) for each in zip(*ratios.values(), strict=True)]
    return means, ratios[worst], measured["call"]


def _call_ns(worker: Worker) -> float:
    return (worker.ms("calls", "calling", CALLS) - worker.ms("calls", "empty", CALLS)) / CALLS * 1e6

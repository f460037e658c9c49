"""Where a part of the benchmark works: its folders, and the processes that it starts and ends."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "bench" / "project"
KERNELS = ROOT / "bench" / "kernels"
PERDURE = (sys.executable, "-m", "perdure_server")

Samples = dict[str, list[float]]
"""Values of each run, by the name of the figure or floor."""


class Skipped(Exception):  # noqa: N818 (no error: this machine lacks what a part measures)
    """The message says what is missing."""


@dataclass(frozen=True, slots=True)
class Bench:
    """One part's way of running: `work` is a folder of its own, removed by whoever made it."""

    work: Path
    quick: bool

    def folder(self, name: str) -> Path:
        path = self.work / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    @contextmanager
    def process(self, command: Sequence[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
        """A program that is ended, if it has not yet, when the block is left."""
        process = start(command, **options)
        try:
            yield process
        finally:
            end(process)


def start(command: Sequence[str], **options: Any) -> subprocess.Popen[str]:
    """Start a program from the repository's root. It stays in our process group, which the whole part is killed by."""
    return subprocess.Popen(list(command), cwd=ROOT, stdin=subprocess.DEVNULL, text=True, **options)


def end(process: subprocess.Popen[str], patience_s: float = 3.0) -> None:
    """Ask it to leave, and kill it when it does not."""
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()
    for stream in (process.stdout, process.stderr):
        if stream is not None:
            stream.close()


def turns(most: int, seconds: float) -> Iterator[int]:
    """0, 1, 2, ...: `most` of them, or as many as begin within `seconds`; one at least."""
    until = time.monotonic() + seconds
    for turn in range(most):
        if turn and time.monotonic() > until:
            return
        yield turn


def family(pid: int) -> list[int]:
    """A process and all that descend from it and have not lost a parent."""
    found = [pid]
    for each in found:
        with suppress(OSError):
            for task in Path(f"/proc/{each}/task").iterdir():
                found.extend(map(int, (task / "children").read_text().split()))
    return found


def family_kib(pid: int) -> float:
    """Memory of all of these; one that ends meanwhile does not count."""
    total = 0.0
    for each in family(pid):
        with suppress(OSError):
            total += pss_kib(each)
    return total


def pss_kib(pid: int) -> float:
    """Proportional set size of anonymous memory: what is private, and this process's share of what forks share.

    So counts what a zygote has moved into a file without a name. Pages of other files do not: who else on the machine
    runs the same Python would show.
    """
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
        return sum(float(line.split()[1]) for line in rollup if line.startswith(("Pss_Anon:", "Pss_Shmem:")))

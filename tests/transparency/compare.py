"""Runs modules of the standard library's tests in several modes, each in a process of its own, and compares."""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SECONDS = 240
"""What a module may take in one mode; the machine may be busy."""


@dataclass(frozen=True)
class Ended:
    """How the tests of one module ended in one mode. A module that died has one test, itself."""

    outcomes: dict[str, str]
    details: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    """Rows of the journal."""


@dataclass(frozen=True)
class Difference:
    """A test that ended otherwise than it does plainly, twice."""

    mode: str
    module: str
    test: str
    plainly: str | None
    now: str | None
    detail: str

    def __str__(self) -> str:
        return f"[{self.mode}] {self.test}: plainly {self.plainly}, now {self.now}\n{self.detail}"


Came = dict[str, dict[str, Ended]]
"""By module and mode."""


class Bench:
    """One interpreter, and a build in `folder` that holds a copy of its package `test`."""

    def __init__(self, python: str, folder: Path) -> None:
        self.python = python
        self._folder = folder
        self._build = folder / "build"
        self._runs = 0
        where = "import os, test.test_grammar; print(os.path.dirname(test.__file__))"
        probe = subprocess.run([python, "-c", where], capture_output=True, text=True, check=False)
        self.lacks = probe.stderr.strip().rpartition("\n")[2] if probe.returncode else ""
        """Why this interpreter has no tests of its own; empty if it has."""
        self.sites = "" if self.lacks else self._sites()
        """ "compiled" or "pure": what PERDURE_PURE and the build of this tree give this interpreter."""
        if not self.lacks:
            without = shutil.ignore_patterns("__pycache__")
            shutil.copytree(probe.stdout.strip(), self._build / "test", ignore=without, symlinks=True)
            shutil.copy(HERE / "collected.py", self._build)

    def _sites(self) -> str:
        which = "from perdure_runner.child.patching import sites; print(sites.twin.__name__.rpartition('_')[2])"
        asked = subprocess.run(
            [self.python, "-c", which], env=_environment(), capture_output=True, check=True, text=True
        )
        return asked.stdout.strip()

    def run(self, mode: str, module: str) -> Ended:
        """One module in one mode."""
        self._runs += 1
        place = self._folder / "runs" / f"{module}-{mode}-{self._runs}"
        (place / "cwd").mkdir(parents=True)
        out, log = place / "out.json", place / "log"
        command = [self.python, str(HERE / "run_module.py"), mode, self._build, self._folder / "cache", out, module]
        with log.open("wb") as written:
            process = subprocess.Popen(
                command, cwd=place / "cwd", env=_environment(), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=written, stderr=written,
            )  # fmt: skip
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(SECONDS)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # what the tests have started and left, too
            died = "took too long" if process.wait() == -signal.SIGKILL else "died"
        if not out.exists():
            return Ended({f"test.{module}": died}, {f"test.{module}": log.read_text(errors="replace")[-4000:]})
        return Ended(**json.loads(out.read_text()))

    def compare(
        self, modules: dict[str, Iterable[str]], jobs: int
    ) -> tuple[dict[str, dict[str, Ended]], list[Difference]]:
        """Run each module plainly and in the modes given for it.

        Returns what came of each in each mode, and what differs: twice, since a test may be flaky by itself.
        """
        plan = [(module, mode) for module, modes in modules.items() for mode in ("plain", *modes)]
        with ThreadPoolExecutor(jobs) as pool:
            ended = list(pool.map(lambda each: self.run(each[1], each[0]), plan))
            came: Came = {module: {} for module in modules}
            for (module, mode), what in zip(plan, ended, strict=True):
                came[module][mode] = what
            suspects = [
                (m, mode) for m, modes in came.items() for mode in modes if mode != "plain" and differ(modes, mode)
            ]
            again = list(
                pool.map(lambda each: {mode: self.run(mode, each[0]) for mode in ("plain", each[1])}, suspects)
            )
        differences = []
        for (module, mode), second in zip(suspects, again, strict=True):
            for test in sorted(differ(came[module], mode) & differ(second, mode)):
                was, now = second["plain"].outcomes.get(test), second[mode].outcomes.get(test)
                differences.append(Difference(mode, module, test, was, now, second[mode].details.get(test, "")))
        return came, differences


def differ(ended: dict[str, Ended], mode: str) -> set[str]:
    """The tests that ended otherwise than plainly."""
    was, now = ended["plain"].outcomes, ended[mode].outcomes
    return {test for test in was.keys() | now.keys() if was.get(test) != now.get(test)}


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_", "PYTEST"))}
    path = os.pathsep.join(str(REPOSITORY / folder) for folder in ("sdk", "runner"))
    carried = importlib.util.find_spec("cloudpickle")
    if carried and carried.origin:
        kept["PERDURE_TEST_CLOUDPICKLE"] = os.path.dirname(carried.origin)
    return kept | {"PYTHONPATH": path, "PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}

"""Runs the own tests of a library plainly and through the hook, in processes of their own, and compares."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from .sources import CACHE, HERE, Library, root

REPOSITORY = HERE.parents[1]
SECONDS = 240
"""What the tests of a library may take in one mode."""


@dataclass(frozen=True)
class Run:
    """How the tests of a library ended."""

    outcomes: dict[str, str]
    details: dict[str, str]
    hooked: int
    """Modules that came through the hook."""


@dataclass(frozen=True)
class Compared:
    """A library, plainly and through the hook."""

    library: Library
    plain: Run
    hooked: Run
    suspects: frozenset[str] | None = None
    """The tests that differed in a run before this one: only they count."""

    @property
    def differing(self) -> frozenset[str]:
        """Tests that ended otherwise; one that fails plainly (addresses of objects, drawn examples) shows nothing."""
        was, now = self.plain.outcomes, self.hooked.outcomes
        tests = frozenset(test for test in was.keys() | now.keys() if was.get(test) not in (now.get(test), "failed"))
        return tests if self.suspects is None else tests & self.suspects

    @property
    def differences(self) -> list[str]:
        """Them, with what they said."""
        was, now = self.plain.outcomes, self.hooked.outcomes
        return [
            f"{test}: plainly {was.get(test)}, hooked {now.get(test)}\n{self.hooked.details.get(test, '')}"
            for test in sorted(self.differing)
        ]


def compare(library: Library, folder: Path) -> Compared:
    """Run both at the same time; `folder` is for what they write. A test must differ twice: some draw examples."""
    both = _run_both(library, folder)
    return replace(_run_both(library, folder), suspects=both.differing) if both.differing else both


def _run_both(library: Library, folder: Path) -> Compared:
    with ThreadPoolExecutor(2) as pool:
        plain, hooked = pool.map(lambda mode: _run(library, mode, folder), ("plain", "hooked"))
    return Compared(library, plain, hooked)


def _run(library: Library, mode: str, folder: Path) -> Run:
    where = root(library)
    out = folder / f"{library.name}-{mode}.json"
    source = where / "src" if (where / "src").exists() else where
    paths = (REPOSITORY / "sdk", REPOSITORY / "runner", HERE, source)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COV_", "PYTEST"))}
    environment = kept | {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "PYTHONHASHSEED": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        "LIBRARY_ROOT": str(where),
        "LIBRARY_OUT": str(out),
        "LIBRARY_HOOK": str(CACHE / "code") if mode == "hooked" else "",
    }
    # The library's own loader of tests would take the hook's place: so assertions are left as they are.
    pytest = [sys.executable, "-m", "pytest", "-p", "library_plugin", "-p", "no:cacheprovider", "--assert=plain"]
    command = [*pytest, "-q", "-o", "addopts=", f"--basetemp={folder / mode / library.name}", *library.arguments]
    (folder / mode).mkdir(exist_ok=True)
    with (folder / f"{library.name}-{mode}.log").open("wb") as log:
        subprocess.run(
            command, cwd=where, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, timeout=SECONDS,
            check=False,
        )  # fmt: skip
    if not out.exists():
        return Run({library.name: "died"}, {library.name: Path(log.name).read_text(errors="replace")[-4000:]}, 0)
    return Run(**json.loads(out.read_text()))

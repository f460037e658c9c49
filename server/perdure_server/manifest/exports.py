"""What a build exports: the functions and classes at the top level of its files, found without running them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from perdure_server.core.errors import PerdureError
from perdure_server.manifest import scan

# For all files of a build together.
ISOLATED_TIMEOUT_S: Final = 20.0
# A project whose files bring down the parser one after the other is not worth more patience.
_MAX_CRASHES: Final = 5

_FOREIGN: Final = ("perdure.db", "pyvenv.cfg")


@dataclass(frozen=True, slots=True)
class Export:
    file: str  # relative to the build's root
    line: int
    name: str
    args: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Exports:
    """What was found, and the files that could not be read as Python (each a P0113).

    A file with a problem does not spoil the others: a project may hold templates or code for another Python.
    """

    exports: tuple[Export, ...]
    problems: tuple[PerdureError, ...]


def find_exports(root: Path, *, isolated: bool = False) -> Exports:
    """Look through all .py files below `root`. `isolated`: in a process of its own, for code that came from outside."""
    files = list(python_files(root))
    results = list(_scan_isolated(root, files) if isolated else _scan_here(root, files))
    exports = [export for found in results if isinstance(found, list) for export in _exports(found)]
    problems = [to_error(found) for found in results if not isinstance(found, list)]
    return Exports(tuple(exports), tuple(problems))


def python_files(root: Path) -> Iterator[str]:
    """All .py files below `root`, sorted, relative to it; not in hidden or foreign folders, links not followed."""
    for folder, folders, files in os.walk(root):
        own = (name for name in folders if not name.startswith(".") and name != "__pycache__")
        folders[:] = sorted(name for name in own if not is_foreign(Path(folder) / name))
        for name in sorted(files):
            # A line break in a name would be two names to the scanner; it cannot be an entry point anyway.
            if name.endswith(".py") and "\n" not in name + folder and "\r" not in name + folder:
                yield str((Path(folder) / name).relative_to(root))


def is_foreign(folder: Path) -> bool:
    """Is it no part of the project around it: the home of a coordinator, which has its key, a virtual environment?"""
    return any((folder / mark).exists() for mark in _FOREIGN)


def to_error(problem: scan.Problem) -> PerdureError:
    return PerdureError(
        "P0113",
        problem["message"],
        file=problem["file"],
        line=problem["line"] or None,
        column=problem["column"] or None,
        source=problem["source"] or None,
    )


def _exports(found: Sequence[scan.Definition]) -> Iterator[Export]:
    for each in found:
        if each["kind"] != "other":
            yield Export(each["file"], each["line"], each["name"], tuple(each["args"]))


def _scan_here(root: Path, files: Sequence[str]) -> Iterator[list[scan.Definition] | scan.Problem]:
    return (scan.scan(str(root), file) for file in files)


def _scan_isolated(root: Path, files: Sequence[str]) -> Iterator[list[scan.Definition] | scan.Problem]:
    rest = list(files)
    for _ in range(_MAX_CRASHES):
        if not rest:
            return
        results, culprit = _run(root, rest)
        yield from results
        rest = rest[len(results) :]
        if culprit is not None:
            yield _crashed(culprit)
            rest = rest[1:]
    yield from (_crashed(file) for file in rest)


def _run(root: Path, files: Sequence[str]) -> tuple[list[list[scan.Definition] | scan.Problem], str | None]:
    """The results of one process, and the file at which it died or hung (None: it did not)."""
    output = _output([sys.executable, "-I", "-P", scan.__file__, str(root)], "\n".join(files))
    results: list[list[scan.Definition] | scan.Problem] = []
    for line in output.splitlines():
        try:
            results.append(json.loads(line))
        except ValueError:
            break  # cut short
    return results, files[len(results)] if len(results) < len(files) else None


def _output(command: Sequence[str], text: str) -> bytes:
    """What the process wrote, as far as it came in the time it has."""
    try:
        done = subprocess.run(
            command,
            input=text.encode("utf-8", "surrogateescape"),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONIOENCODING": "utf-8:surrogateescape"},
            timeout=ISOLATED_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        return error.output or b""
    return done.stdout


def _crashed(file: str) -> scan.Problem:
    return scan.Problem(file=file, message="Python's parser cannot cope with this file", line=0, column=0, source="")

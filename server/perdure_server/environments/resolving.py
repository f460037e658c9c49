"""Resolves requirements with uv: names become versions with the hashes of their files."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Final

from perdure_runner.host import confined, uv
from perdure_runner.host.indexes import Indexes, indexes
from perdure_runner.host.locks import MAX_BYTES, Lock, LockError, Package

from perdure_server.core.errors import PerdureError
from perdure_server.environments.lines import Place
from perdure_server.environments.reading import OURS, Wanted

LIMIT_S: Final = 180.0
_LOCK: Final = "lock.txt"

_NO_WHEELS: Final = re.compile(r"Wheels are required for `(?P<name>[^`]+)`")
_NO_WHEEL_FITS: Final = re.compile(r"(?P<name>[a-z0-9-]+)(?:==(?P<version>\S+))? has no (?:usable )?wheels")
_SAID: Final = 2_000  # characters of uv's explanation
_REMEDIES: Final = (
    (re.compile(r"Failed to (?:download and )?build"), "choose a version that has a wheel, or can be built here"),
    (re.compile(r"was not found in the [^.]*? and you require"), "is its name right? The index has no such package"),
    (re.compile(r"there (?:is|are) no versions? of \S+ and you require"), "name a version that the index has"),
    (re.compile(""), "loosen what excludes each other"),
)
"""What to do, after what uv says."""
_HAS_WHEELS: Final = {"psycopg2": "psycopg2-binary"}
"""Packages of which no version has a wheel for Linux, and what is the same with one."""
_ALLOW: Final = "say `requirements: {allow_sdists: true}` in perdure.yaml"
_ASK_OPERATOR: Final = "ask the server's operator for `perdure serve --build-sdists`"


async def resolve(wanted: Wanted, sources: Indexes | None = None) -> Lock:
    """The newest versions that fit and have wheels; with source distributions only where there is no other way.

    Raises `PerdureError`: P0303 nothing fits, or the index cannot be reached; P0305 there is no wheel.
    """
    with tempfile.TemporaryDirectory(prefix="perdure-lock-") as scratch:
        try:
            finished, text = await _run(wanted, sources or indexes(), Path(scratch))
            sdists = wanted.sdists and not finished.may_pass and finished.status != 0
            if sdists:
                finished, text = await _run_confined(wanted, sources or indexes(), Path(scratch))
        except uv.UvMissingError as error:
            raise PerdureError("P0303", str(error), help="pip install uv") from None
        except confined.ConfinementError as error:
            raise PerdureError("P0305", str(error), help="require packages that have wheels") from None
    if finished.status != 0:
        raise _refusal(wanted, finished)
    try:
        lock = Lock.compiled(text, wanted.python, sdists=sdists)
    except LockError as error:
        raise PerdureError("P0303", f"the resolution makes no sense: {error}") from None
    return Lock(lock.python, tuple(_as_allowed(package, wanted) for package in lock.packages), lock.sdists)


async def _run(wanted: Wanted, sources: Indexes, scratch: Path) -> tuple[uv.Finished, str]:
    """How it ended with wheels only, and the lock."""
    folder = scratch / "wheels"
    arguments = [*_arguments(wanted, folder), "--no-build"]
    finished = await uv.run(arguments, sources, folder, LIMIT_S)
    return finished, _text(folder) if finished.status == 0 else ""


async def _run_confined(wanted: Wanted, sources: Indexes, scratch: Path) -> tuple[uv.Finished, str]:
    """As `_run`, with source distributions: even their facts may only be known to code of theirs."""
    folder, into = scratch / "sources", scratch / "made"
    arguments = _arguments(wanted, folder)
    finished = await confined.run(arguments, sources, folder, _LOCK, into, LIMIT_S, sys.executable)
    return finished, _text(into) if finished.status == 0 else ""


def _text(folder: Path) -> str:
    with (folder / _LOCK).open(encoding="utf-8") as file:
        return file.read(MAX_BYTES)


def _arguments(wanted: Wanted, folder: Path) -> list[str]:
    folder.mkdir()
    folder.chmod(0o755)  # what may be confined reads it as another user
    files = {"in.txt": wanted.requirements, "bounds.txt": wanted.constraints}
    for name, requirements in files.items():
        folder.joinpath(name).write_text("".join(f"{r.text}\n" for r in requirements), encoding="utf-8")
    folder.joinpath("ours.txt").write_text(f"{OURS}\n", encoding="utf-8")
    arguments = ["pip", "compile", "--quiet", "in.txt", "--constraints=bounds.txt", "--excludes=ours.txt"]
    arguments += [f"--output-file={_LOCK}", "--generate-hashes", "--no-header", "--no-annotate", "--no-sources"]
    return [*arguments, f"--python={sys.executable}", f"--python-version={wanted.python}"]


def _as_allowed(package: Package, wanted: Wanted) -> Package:
    """The package with those hashes only that the project's own file allows, where it says any."""
    allowed = {each for r in wanted.requirements if r.name == package.name for each in r.hashes}
    if not allowed:
        return package
    both = tuple(each for each in package.hashes if each in allowed)
    if not both:
        place = next(r.place for r in wanted.requirements if r.name == package.name)
        raise place.fault(f"the index has no file of {package} with one of the hashes", "--hash")
    return Package(package.name, package.version, both)


def _refusal(wanted: Wanted, finished: uv.Finished) -> PerdureError:
    said = finished.said[-_SAID:]
    if finished.status is None:
        return PerdureError("P0303", f"no resolution within {LIMIT_S:.0f} s", help="pin versions, or try again")
    if not wanted.sdists and (found := _NO_WHEELS.search(said) or _NO_WHEEL_FITS.search(said)):
        message = f"{found['name']} has no wheel for Python {wanted.python} on this machine, only a source distribution"
        other = _HAS_WHEELS.get(found["name"], "another version")
        remedy = f"choose {other}, or {_ASK_OPERATOR if wanted.theirs else _ALLOW}"
        return _blamed(wanted, found["name"]).fault(message, "", remedy, "P0305")
    remedy = next(remedy for words, remedy in _REMEDIES if words.search(said))
    if finished.may_pass:
        remedy = "see whether the index can be reached"
    return _blamed(wanted, said).fault(f"the requirements cannot be resolved: {said}", "", remedy)


def _blamed(wanted: Wanted, said: str) -> Place:
    """Where the first requirement stands that uv speaks of."""
    for requirement in wanted.requirements:
        if re.search(rf"(?<![\w-]){re.escape(requirement.name)}(?![\w-])", said):
            return requirement.place
    return wanted.requirements[0].place

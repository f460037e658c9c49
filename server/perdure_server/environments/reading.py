"""A project's requirements: from its manifest, its requirements.txt or its pyproject.toml. Nothing is run for it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from perdure_server.core.errors import PerdureError, Problems
from perdure_server.environments.implied import implied
from perdure_server.environments.interpreter import minor_version
from perdure_server.environments.lines import Include, Place, Requirement, logical_lines, parse
from perdure_server.manifest.manifest import MANIFEST_FILE, Manifest

DEFAULT_FILES: Final = ("requirements.txt", "pyproject.toml")
OURS: Final = "perdure"  # hosts bring it along: nothing of ours is in an environment

_MAX_BYTES: Final = 1024 * 1024
_MAX_FILES: Final = 32
_MAX_REQUIREMENTS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be resolved. `python` is a minor version, "3.11".

    `theirs`: of a project of AutoKitteh, whose packages are built as there, where the server builds any.
    """

    requirements: tuple[Requirement, ...]
    constraints: tuple[Requirement, ...]
    python: str
    sdists: bool = False
    theirs: bool = False

    def to_json(self) -> dict[str, Any]:
        """All that decides what the lock will be, but the state of the index."""
        return {
            "python": self.python,
            "sdists": self.sdists,
            "requirements": sorted([r.text, sorted(r.hashes)] for r in self.requirements),
            "constraints": sorted(r.text for r in self.constraints),
        }


def wanted(root: Path, manifest: Manifest) -> Wanted | None:
    """What the project in a folder requires; None when it requires nothing. In AutoKitteh's, some is implied.

    Raises `Problems` (P0303) with everything that is wrong.
    """
    said = manifest.requirements
    if said.none:
        return None
    reader = _Reader(root)
    for package in said.packages:
        reader.add(package, Place(MANIFEST_FILE, 0, ""))
    if said.file:
        reader.read(said.file, None)
    elif not said.packages:
        default = next((name for name in DEFAULT_FILES if (root / name).is_file()), None)
        if default:
            reader.read(default, None, by_default=True)
    if reader.problems:
        raise Problems(reader.problems)
    if manifest.form == "autokitteh" and not any(each.hashes for each in reader.requirements):
        named = {each.name for each in reader.requirements}
        parsed = [parse(line, Place(manifest.file, 0, "")) for line in implied(root)]
        reader.requirements += [each for each in parsed if isinstance(each, Requirement) and each.name not in named]
    requirements = _unique(reader.requirements)
    if not requirements:
        return None
    python = minor_version(manifest.python)
    theirs = manifest.form == "autokitteh"
    return Wanted(requirements, _unique(reader.constraints), python, said.allow_sdists or theirs, theirs)


def _unique(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    return tuple({r.text: r for r in requirements if r.name != OURS}.values())


class _Reader:
    def __init__(self, root: Path) -> None:
        self._root = root.resolve()
        self._read: set[tuple[Path, bool]] = set()
        self.requirements: list[Requirement] = []
        self.constraints: list[Requirement] = []
        self.problems: list[PerdureError] = []

    def add(self, line: str, place: Place, *, constraint: bool = False) -> None:
        """Take a line of requirements; `constraint`: it only bounds what others require."""
        try:
            found = parse(line, place)
        except PerdureError as error:
            self.problems.append(error)
            return
        if isinstance(found, Include):
            self.read(found.file, found.place, constraint=constraint or found.constraint)
            return
        (self.constraints if constraint else self.requirements).append(found)
        if len(self.requirements) + len(self.constraints) == _MAX_REQUIREMENTS + 1:
            self.problems.append(place.fault(f"there are more than {_MAX_REQUIREMENTS} requirements"))

    def read(self, name: str, asker: Place | None, *, constraint: bool = False, by_default: bool = False) -> None:
        """Take a file, named relative to the project or to the file that includes it; each once."""
        place = asker or Place(MANIFEST_FILE, 0, "")
        path = (self._root / Path(asker.file if asker else "").parent / name).resolve()
        if not path.is_relative_to(self._root):
            self.problems.append(place.fault(f"{name} is outside of the project's folder", name))
            return
        if (path, constraint) in self._read or len(self._read) >= _MAX_FILES:
            return
        self._read.add((path, constraint))
        text = self._text(path, name, place)
        if text is None:
            return
        file = path.relative_to(self._root).as_posix()
        if path.suffix == ".toml":
            self._pyproject(text, file, by_default=by_default)
            return
        for line, where in logical_lines(text, file):
            self.add(line, where, constraint=constraint)

    def _text(self, path: Path, name: str, place: Place) -> str | None:
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_BYTES + 1)
            if len(data) > _MAX_BYTES:
                self.problems.append(place.fault(f"{name} has more than {_MAX_BYTES} bytes", name))
                return None
            return data.decode("utf-8-sig")
        except OSError as error:
            self.problems.append(place.fault(f"{name} cannot be read: {error.strerror}", name))
        except UnicodeDecodeError:
            self.problems.append(place.fault(f"{name} is not UTF-8", name))
        return None

    def _pyproject(self, text: str, file: str, *, by_default: bool) -> None:
        try:
            project = tomllib.loads(text).get("project")
        except (tomllib.TOMLDecodeError, RecursionError) as error:
            at = re.search(r"at line (\d+)", str(error))
            line = int(at[1]) if at else 0
            source = text.splitlines()[line - 1] if 0 < line <= len(text.splitlines()) else ""
            self.problems.append(Place(file, line, source).fault(f"the file is no TOML: {error}"))
            return
        if not isinstance(project, dict):  # a file for tools: none of our business, unless it was named
            if not by_default:
                self.problems.append(Place(file, 0, "").fault("there is no [project] in it"))
            return
        if "dependencies" in (project.get("dynamic") or ()):
            remedy = "list them in requirements.txt, or in `requirements` of perdure.yaml"
            self.problems.append(_find("dynamic", text, file).fault("dependencies are dynamic", "dynamic", remedy))
            return
        listed = project.get("dependencies", [])
        if not isinstance(listed, list) or not all(isinstance(each, str) for each in listed):
            self.problems.append(_find("dependencies", text, file).fault("dependencies are no list of texts"))
            return
        for each in listed:
            self.add(each, _find(each, text, file))


def _find(what: str, text: str, file: str) -> Place:
    """The first line in which the text stands, quoted if that is how it stands there."""
    lines = text.splitlines()
    forms = (json.dumps(what), f"'{what}'", what)
    at = next((n for form in forms for n, line in enumerate(lines) if form in line), None)
    return Place(file, 0, "") if at is None else Place(file, at + 1, lines[at])

"""One line of a requirements file: what it may say, and where it says what it may not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from perdure_runner.host.locks import normalized

from perdure_server.core.errors import PerdureError

_REQUIREMENT: Final = re.compile(
    r"(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)"
    r"\s*(?:\[[A-Za-z0-9._,\s-]*\])?"
    r"\s*(?:\(?\s*(?:===|==|~=|!=|<=|>=|<|>)\s*[\w.*+!-]+(?:\s*,\s*(?:===|==|~=|!=|<=|>=|<|>)\s*[\w.*+!-]+)*\s*,?\s*\)?)?"
    r"\s*(?:;[^\\]*)?"
)
_COMMENT: Final = re.compile(r"(?:^|\s)#.*")
_HASH: Final = re.compile(r"\s+--hash[= ](?P<hash>sha(?:256|384|512):[0-9a-f]+)(?=\s|$)")
_FILE_OPTION: Final = re.compile(
    r"(?:-(?P<short>[rc])\s*|--(?P<long>requirement|constraint)(?:\s*=\s*|\s+|$))(?P<file>.*)"
)
_PLACE: Final = re.compile(r"\.{0,2}/|~|file:|.*\.(?:whl|zip|tar\.gz|tgz)$")
_INDEX_OPTIONS: Final = frozenset(
    {"-i", "--index-url", "--extra-index-url", "-f", "--find-links", "--no-index", "--trusted-host", "--index"}
)
_EDITABLE: Final = frozenset({"-e", "--editable"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a line stands; `text` is all of it."""

    file: str
    line: int
    text: str

    def fault(self, message: str, part: str = "", remedy: str | None = None, code: str = "P0303") -> PerdureError:
        """An error at the column where `part` begins."""
        column = max(self.text.find(part), 0) + 1 if self.text else None
        return PerdureError(
            code,
            message,
            help=remedy,
            file=self.file,
            line=self.line or None,
            column=column if self.line else None,
            source=self.text or None,
        )


@dataclass(frozen=True, slots=True)
class Requirement:
    """`text` is a requirement as PEP 508 has it, with a name; `hashes` are those that its file allows, if it says."""

    name: str
    text: str
    place: Place
    hashes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Include:
    """`-r FILE` or, with `constraint`, `-c FILE`."""

    file: str
    constraint: bool
    place: Place


def logical_lines(text: str, file: str) -> Iterator[tuple[str, Place]]:
    """Lines without comments, those that end with a backslash joined; each at the place where it begins."""
    joined, begin = "", None
    for number, line in enumerate(text.splitlines(), 1):
        begin = begin or Place(file, number, line)
        joined += _COMMENT.sub("", line)
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        if joined.strip():
            yield joined.strip(), begin
        joined, begin = "", None
    if joined.strip() and begin is not None:
        yield joined.strip(), begin


def parse(line: str, place: Place) -> Requirement | Include:
    """What a logical line says. Raises P0303 for everything that is no named package of an index."""
    if line.startswith("-"):
        return _option(line, place)
    hashes = tuple(found["hash"] for found in _HASH.finditer(line))
    text = _HASH.sub("", line).strip()
    if (option := re.search(r"\s(--?[A-Za-z][\w-]*)", text)) is not None:
        raise place.fault(f"{option[1]} is not supported", option[1])
    _refuse_places(text, place)
    found = _REQUIREMENT.fullmatch(text)
    if found is None or "${" in text:
        remedy = 'write a name and versions: "requests>=2.31,<3"'
        raise place.fault(f"{text!r:.200} is no requirement", text[:20], remedy)
    return Requirement(normalized(found["name"]), text, place, hashes)


def _option(line: str, place: Place) -> Include:
    if (found := _FILE_OPTION.fullmatch(line)) is not None:
        if not found["file"].strip():
            raise place.fault("which file?", line)
        return Include(found["file"].strip(), found["short"] == "c" or found["long"] == "constraint", place)
    name = re.split(r"[\s=]", line, maxsplit=1)[0]
    if name in _EDITABLE:
        raise place.fault(
            "an editable package is on one machine only", name, "put its code into the project's folder, or publish it"
        )
    if name in _INDEX_OPTIONS:
        remedy = "whoever runs the coordinator and its hosts sets it, with UV_DEFAULT_INDEX, UV_FIND_LINKS or pip.conf"
        raise place.fault(f"{name}: a project cannot choose where packages come from", name, remedy)
    raise place.fault(f"{name} is not supported", name, "name packages only, one a line")


def _refuse_places(text: str, place: Place) -> None:
    remedy = "name a package of the index, or put the code into the project's folder"
    if "://" in text.partition(";")[0] or re.match(r"[\w.-]+\s*(\[.*?\])?\s*@", text):
        address = re.search(r"@?\s*[A-Za-z][\w+.-]*://", text)
        raise place.fault("a package from an address", address[0].lstrip() if address else text, remedy)
    if _PLACE.match(text):
        raise place.fault("a package from a path", text, remedy)

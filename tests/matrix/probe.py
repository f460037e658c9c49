"""A probe: a small program about one construct, and what is expected of it; how it is laid out as a build."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

LIBRARIES = (Path(__file__).parent.parent / "support" / "library", Path(__file__).parent / "library")
"""Folders of libraries that are not the user's: `outside` and `abroad`."""


@dataclass(frozen=True)
class Probe:
    """One construct.

    name: an identifier.
    source: a module with `main(url)` or `main(url, folder)`: what it may ask the counting server below, what folder
        it may write to. It returns plain JSON, or is a coroutine function that does.
    gives: what `main` returns. `prints`: the lines that it prints.
    calls: what the journal must hold, in order, separated by blanks: the name of an activity's function; "~name" for a
        marker; "timer", "signal"; "?name" for an activity or a marker. "*3" at the end: three times; "+": once or more.
        None: only what has an effect is looked at.
    error: "Type: message" of the exception that ends the program.
    asks: requests to the counting server in a plain run.
    in_flight: requests that may come a second time after a kill: those of all activities that run at the same moment.
    may_lose: it holds a live object that nobody knows how to make again: after a kill it may end with HandleLost.
    files: further files of the package, by path.
    since: the first version of Python that can compile it. `needs`: the modules that must be installed.
    """

    name: str
    source: str
    gives: Any = None
    calls: str | None = None
    prints: tuple[str, ...] = ()
    error: str | None = None
    asks: int | None = None
    in_flight: int = 1
    may_lose: bool = False
    files: dict[str, str | bytes] = field(default_factory=dict)
    since: tuple[int, int] = (3, 11)
    needs: tuple[str, ...] = ()

    @property
    def possible(self) -> bool:
        """Can it run here?"""
        return sys.version_info >= self.since and all(find_spec(name) is not None for name in self.needs)

    @property
    def entry(self) -> str:
        """The entry point, in the folder that `write` has filled."""
        return f"run_{self.name}.py:run"

    @property
    def package(self) -> str:
        """The package that the program is: no name that a module has already."""
        return f"p_{self.name}"

    def write(self, folder: Path) -> None:
        """Lay the program out: a package of its own, and the module of its entry point."""
        package = folder / self.package
        for path, content in {"__init__.py": self.source, **self.files}.items():
            file = package / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content if isinstance(content, bytes) else content.lstrip("\n").encode())
        second = ', event["dir"]' if re.search(r"def main\(url, folder", self.source) else ""
        (folder / f"run_{self.name}.py").write_text(
            f"import sys\nsys.path.extend({[str(p) for p in LIBRARIES]})\n"
            f'def run(event):\n    from {self.package} import main\n    return main(event["url"]{second})\n'
        )


def agree(calls: list[str], expected: str) -> bool:
    """Are these calls ("kind function") the expected ones, in the notation of `Probe.calls`?"""
    pattern = "".join(_pattern(word) for word in expected.split())
    return re.fullmatch(pattern, "".join(f"{call}\n" for call in calls)) is not None


def _pattern(word: str) -> str:
    word, star, times = word.partition("*")
    count = f"{{{times}}}" if star else ""
    if word.endswith("+"):
        word, count = word[:-1], "+"
    if word in {"timer", "signal"}:
        return f"(?:{word} [^\n]*\n){count}"
    kind = {"~": "marker", "?": "(?:marker|activity)"}.get(word[0], "activity")
    return f"(?:{kind} {re.escape(word.lstrip('~?'))}\n){count}"

"""The handler programs of tests/cases and what each of them says about itself."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

CASES = Path(__file__).parent.parent / "cases"
PROGRAMS = CASES / "programs" / "steady"
LIBRARY = Path(__file__).parent / "library"


@dataclass(frozen=True)
class Case:
    """One program's expectations: the keys of its `CASE` literal. What is None is taken from the plain run.

    result: what the handler returns, as JSON carries it. `alternative`: what it may also return after a crash.
    prints, errors: lines on stdout; on stderr and from logging. `alternative_prints`: what stdout may also be after a
    crash: what the attempt in flight wrote may be lost with it although its request reached the world.
    error: "Type: message" of the exception that ends the program; `lines`: names of its frames in user code.
    calls: one "kind function" a call, in order; the function's module may be left out.
    effects: requests to the counting server. `keys`: different idempotency keys it must see.
    in_flight: requests that one attempt of its largest activity makes: so many may come twice after a crash.
    once: requests that may never come twice.
    check: an expression over `result` and `prints`, for programs whose values differ from run to run.
    plain: whether a plain run can do the same. `waits`: it sleeps or waits for signals. `heavy`: slow to run.
    long: its journal has a hundred entries and more, most of them alike.
    signals: (when, name, payload); when is "start" or "waiting". `events`: what events of the source "hook" bring
    besides `run`, the session's id; sent when the session waits for one, each once.
    """

    entry: str
    shows: str
    result: Any = None
    alternative: Any = None
    prints: list[str] | None = None
    alternative_prints: list[str] | None = None
    errors: list[str] | None = None
    error: str | None = None
    code: str | None = None
    says: str | None = None
    lines: list[str] | None = None
    calls: list[str] | None = None
    effects: int | None = None
    keys: int = 0
    in_flight: int = 1
    once: list[str] = field(default_factory=list)
    check: str | None = None
    plain: bool = True
    waits: bool = False
    heavy: bool = False
    long: bool = False
    vars: dict[str, str] = field(default_factory=dict)
    signals: list[tuple[str, str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)

    @property
    def id(self) -> str:
        """For people: the program's path without its suffix."""
        return self.entry.partition(":")[0].removesuffix(".py")


def read_case(folder: Path, file: Path) -> Case | None:
    """What the program in `file` says about itself; None if it is only a part of another one."""
    tree = ast.parse(file.read_bytes())
    for node in tree.body:
        if isinstance(node, ast.Assign) and [t.id for t in node.targets if isinstance(t, ast.Name)] == ["CASE"]:
            about = eval(compile(ast.Expression(node.value), str(file), "eval"), {"__builtins__": {}})
            entry = f"{file.relative_to(folder).as_posix()}:main"
            return Case(entry, (ast.get_docstring(tree) or "").partition("\n")[0], **about)
    return None


@cache
def cases(folder: Path = PROGRAMS) -> tuple[Case, ...]:
    """Every program below `folder`, by name."""
    return tuple(filter(None, (read_case(folder, file) for file in sorted(folder.rglob("*.py")))))

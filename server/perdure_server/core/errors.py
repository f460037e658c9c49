"""Errors for people: a stable code, where it is with the line of source, and one line of help."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Final

from perdure_server.core.catalogue import BORDER, CATALOGUE, Border, Exit, Explanation

__all__ = [
    "BORDER",
    "CATALOGUE",
    "Border",
    "Exit",
    "Explanation",
    "PerdureError",
    "Problems",
    "did_you_mean",
    "exit_code",
    "explain",
    "grpc_status",
]

# Lines of source are shown up to this many characters: a minified file must not flood a terminal.
SOURCE_WIDTH: Final = 160


class PerdureError(Exception):
    """One problem, told to the person who can solve it.

    `line` and `column` count from 1, `source` is the text of that line. All but code and message may be absent.
    """

    def __init__(
        self,
        code: str,
        message: str,
        *,
        help: str | None = None,  # noqa: A002 - the public name of the line it prints
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        source: str | None = None,
    ) -> None:
        if code not in CATALOGUE:
            raise ValueError(f"{code} is not in the catalogue of errors")
        super().__init__(message)
        self.code = code
        self.message = message
        self.help = help
        self.file = file
        self.line = line
        self.column = column
        self.source = source

    @property
    def location(self) -> str:
        """`file:line:column`, as far as known; empty when nothing is."""
        parts = [self.file, self.line, self.column]
        return ":".join(str(part) for part in parts if part is not None)

    def render(self) -> str:
        """The whole error as text, without a final newline."""
        head = " ".join(part for part in (f"error[{self.code}]", self.location, self.message) if part)
        lines = [head, *_excerpt(self.source, self.column)]
        if self.help:
            lines.append(f"help: {self.help}")
        return "\n".join(lines)

    def __str__(self) -> str:
        where = self.location
        return f"{where}: {self.message}" if where else self.message

    def __reduce__(self) -> tuple[object, ...]:
        details = {name: getattr(self, name) for name in ("help", "file", "line", "column", "source")}
        return _rebuild, (self.code, self.message, details)


class Problems(PerdureError):  # noqa: N818 - it is many of them
    """Several problems found in one go, all shown at once. The code is that of the first."""

    def __init__(self, problems: Iterable[PerdureError]) -> None:
        self.problems: tuple[PerdureError, ...] = tuple(problems)
        first = self.problems[0]
        super().__init__(
            first.code,
            first.message,
            help=first.help,
            file=first.file,
            line=first.line,
            column=first.column,
            source=first.source,
        )

    def render(self) -> str:
        return "\n\n".join(problem.render() for problem in self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)

    def __reduce__(self) -> tuple[object, ...]:
        return Problems, (self.problems,)


def explain(code: str) -> str:
    """The long form of a code for `perdure explain`. Raises KeyError when there is no such code."""
    title, why, remedy = CATALOGUE[code.upper()]
    return f"{code.upper()}: {title}\n\n{why}\n\nWhat to do: {remedy}"


def grpc_status(error: PerdureError) -> str:
    """The name of the gRPC status that carries this error, such as `NOT_FOUND`."""
    return BORDER[error.code].status


def exit_code(error: PerdureError) -> Exit:
    """What a command that ends by this error exits with."""
    return BORDER[error.code].exit


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """`did you mean 'vars'?` when one of the known words is near, else None."""
    near = nearest(word, known)
    return f"did you mean '{near}'?" if near else None


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word that this one was probably meant to be, if there is one."""
    near: Sequence[str] = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return near[0] if near else None


def _excerpt(source: str | None, column: int | None) -> list[str]:
    """The line of source and, below it, a caret at the column; cut to a window around the column when it is long."""
    if source is None:
        return []
    text = source.rstrip("\r\n").replace("\t", " ")
    if column is None:
        return ["  " + text[:SOURCE_WIDTH]]
    start = max(0, column - SOURCE_WIDTH // 2) if len(text) > SOURCE_WIDTH else 0
    caret = max(0, column - 1 - start)
    return ["  " + text[start : start + SOURCE_WIDTH], "  " + " " * caret + "^"]


def _rebuild(code: str, message: str, details: dict[str, object]) -> PerdureError:
    return PerdureError(code, message, **details)  # type: ignore[arg-type]  # what __reduce__ took apart

"""Finds what the files of a project define, without running them. Standard library only, no import of ours.

Also a program, started by its path with a clean interpreter, so that a file that brings down Python's parser brings
down nothing else: `python -I -P scan.py ROOT` reads paths from stdin, one a line, and answers each with a line of JSON,
a list of definitions or a problem.
"""

from __future__ import annotations

import ast
import json
import resource
import sys
import warnings
from collections.abc import Iterator
from typing import Final, TypedDict

# Generated parsers are large; nothing a person wrote is.
MAX_SOURCE_BYTES: Final = 4 * 1024 * 1024
MAX_DEFINITIONS: Final = 10_000
MEMORY_BYTES: Final = 1024**3


class Definition(TypedDict):
    """A top-level function or class. `args` are names as written, with `*` and `**`; of a class, those of __init__."""

    file: str
    line: int
    name: str
    kind: str  # "function", "class" or "other" (a variable or an import)
    args: list[str]


class Problem(TypedDict):
    """Why a file has no definitions. `line` and `column` count from 1; 0: unknown."""

    file: str
    message: str
    line: int
    column: int
    source: str


def scan(root: str, file: str) -> list[Definition] | Problem:
    """What `root`/`file` defines at its top level, in order; or what is wrong with it. Never raises for its content."""
    try:
        with open(f"{root}/{file}", "rb") as stream:
            data = stream.read(MAX_SOURCE_BYTES + 1)
    except OSError as error:
        return _problem(file, f"cannot be read: {error.strerror}")
    if len(data) > MAX_SOURCE_BYTES:
        return _problem(file, f"is larger than {MAX_SOURCE_BYTES} bytes")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data, filename=file)
            # What only the compiler finds (`return` at the top level) is a syntax error to people as well.
            compile(data, file, "exec", dont_inherit=True)
        definitions = list(_definitions(file, tree.body))
    except SyntaxError as error:
        return _syntax_problem(file, data, error)
    except (ValueError, OverflowError) as error:
        return _problem(file, str(error))
    except (RecursionError, MemoryError):
        return _problem(file, "is nested too deeply")
    if len(definitions) > MAX_DEFINITIONS:
        return _problem(file, f"defines more than {MAX_DEFINITIONS} names")
    return definitions


def _definitions(file: str, body: list[ast.stmt]) -> Iterator[Definition]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield Definition(file=file, line=node.lineno, name=node.name, kind="function", args=_arguments(node))
            case ast.ClassDef():
                yield Definition(file=file, line=node.lineno, name=node.name, kind="class", args=_of_class(node))
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    name = alias.asname or alias.name.partition(".")[0]
                    yield Definition(file=file, line=node.lineno, name=name, kind="other", args=[])
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield Definition(file=file, line=node.lineno, name=target.id, kind="other", args=[])
            case ast.If() | ast.Try() | ast.With():
                for part in ("body", "handlers", "orelse", "finalbody"):
                    for inner in getattr(node, part, []):
                        yield from _definitions(file, inner.body if isinstance(inner, ast.ExceptHandler) else [inner])


def _arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    args = node.args
    names = [arg.arg for arg in (*args.posonlyargs, *args.args)]
    if args.vararg:
        names.append("*" + args.vararg.arg)
    names += [arg.arg for arg in args.kwonlyargs]
    if args.kwarg:
        names.append("**" + args.kwarg.arg)
    return names


def _of_class(node: ast.ClassDef) -> list[str]:
    for inner in node.body:
        if isinstance(inner, ast.FunctionDef) and inner.name == "__init__":
            return _arguments(inner)[1:]
    return []


def _syntax_problem(file: str, data: bytes, error: SyntaxError) -> Problem:
    line = error.lineno or 0
    return _problem(file, error.msg, line, error.offset or 0, error.text or _line(data, line))


def _line(data: bytes, number: int) -> str:
    lines = data.split(b"\n", number)
    return lines[number - 1].decode("utf-8", "replace") if 0 < number <= len(lines) else ""


def _problem(file: str, message: str, line: int = 0, column: int = 0, source: str = "") -> Problem:
    return Problem(file=file, message=message, line=line, column=column, source=source[:500])


def main() -> None:
    """The program. It limits itself: its parent may have threads and must not run code between fork and exec."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for path in sys.stdin.read().splitlines():
        print(json.dumps(scan(sys.argv[1], path)), flush=True)


if __name__ == "__main__":
    main()

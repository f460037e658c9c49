"""Writes `../statements*.py`: `python -m perdure_server.store.schema.generate` (a test fails when one is stale)."""

import textwrap
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement

from perdure_server.store.schema import (
    HEAD,
    outside,
    queries,
    queries_connections,
    queries_events,
    queries_lifecycle,
    queries_subscriptions,
    queries_values,
)
from perdure_server.store.schema.tables import metadata

Statements = Mapping[str, tuple[str, ClauseElement]]
"""By name: what it is for, and the statement."""

FOLDER: Final = Path(__file__).parents[1]

SOURCES: Final[Mapping[str, Statements]] = {
    "statements": queries.STATEMENTS,
    "statements_connections": queries_connections.STATEMENTS,
    "statements_events": queries_events.STATEMENTS,
    "statements_lifecycle": queries_lifecycle.STATEMENTS,
    "statements_subscriptions": queries_subscriptions.STATEMENTS,
    "statements_values": queries_values.STATEMENTS,
}
"""Names of the modules that are made, and what they are made of."""

assert outside.events.metadata is metadata  # its tables are made with all others


def render() -> dict[str, str]:
    """The contents of the modules that are made, by name."""
    return {name: _module(name, statements) for name, statements in SOURCES.items()}


def _module(name: str, statements: Statements) -> str:
    source = name.replace("statements", "queries")
    made = f'"""The texts of schema/{source}.py for SQLite. Made by schema/generate.py."""'
    parts = [f"# fmt: off\n{made}\n\nfrom typing import Final\n"]
    if name == "statements":
        parts += ["\n", *_schema()]
    for constant, (comment, clause) in statements.items():
        parts.append(f"\n# {comment}\n{_assignment(constant, _text(clause))}\n")
    return "".join(parts)


def _schema() -> Iterator[str]:
    yield f'SCHEMA: Final = "{HEAD}"\n\n'
    yield "CREATE: Final = (\n"
    for table in metadata.sorted_tables:
        yield _indented(_text(CreateTable(table)))
        for index in sorted(table.indexes, key=lambda i: str(i.name)):
            yield _indented(_text(CreateIndex(index)))
    yield ")\n"


def _text(clause: ClauseElement) -> str:
    """The clause as SQL, parameters in the style `:name`."""
    compiled = clause.compile(dialect=sqlite.dialect(paramstyle="named"))
    hidden = [name for name, value in (compiled.params or {}).items() if value is not None]
    if hidden:
        raise ValueError(f"constants must be written as literal_column: {hidden} in {compiled}")
    return " ".join(str(compiled).split())


def _assignment(name: str, text: str) -> str:
    line = f'{name}: Final = "{text}"'
    if len(line) <= 120:
        return line
    return f"{name}: Final = (\n{textwrap.indent(_literal(text), '    ')}\n)"


def _indented(text: str) -> str:
    """An element of a tuple: a literal of one line, or a group of lines in parentheses."""
    literal = _literal(text)
    if "\n" in literal:
        literal = f"(\n{textwrap.indent(literal, '    ')}\n)"
    return textwrap.indent(literal, "    ") + ",\n"


def _literal(text: str) -> str:
    lines = textwrap.wrap(text, 104, break_long_words=False, break_on_hyphens=False)
    return "\n".join([*(f'"{line} "' for line in lines[:-1]), f'"{lines[-1]}"'])


if __name__ == "__main__":
    for module, text in render().items():
        (FOLDER / f"{module}.py").write_text(text, encoding="utf-8")

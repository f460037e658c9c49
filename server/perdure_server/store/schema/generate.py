"""Writes `../statements.py`: `python -m perdure_server.store.schema.generate` (a test fails when it is stale)."""

import textwrap
from pathlib import Path
from typing import Final

from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateIndex, CreateTable
from sqlalchemy.sql import ClauseElement

from perdure_server.store.schema import HEAD
from perdure_server.store.schema.queries import STATEMENTS
from perdure_server.store.schema.tables import metadata

TARGET: Final = Path(__file__).parents[1] / "statements.py"

_HEADER = '''# fmt: off
"""The texts of schema/queries.py and schema/tables.py for SQLite. Made by schema/generate.py."""

from typing import Final

'''


def render() -> str:
    """The content of `statements.py`."""
    parts = [_HEADER, f'SCHEMA: Final = "{HEAD}"\n\n', "CREATE: Final = (\n"]
    for table in metadata.sorted_tables:
        parts.append(_indented(_text(CreateTable(table))))
        parts.extend(_indented(_text(CreateIndex(index))) for index in sorted(table.indexes, key=lambda i: str(i.name)))
    parts.append(")\n")
    for name, (comment, clause) in STATEMENTS.items():
        parts.append(f"\n# {comment}\n{_assignment(name, _text(clause))}\n")
    return "".join(parts)


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
    TARGET.write_text(render(), encoding="utf-8")

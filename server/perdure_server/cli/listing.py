"""What commands do with what they list: a table for people, or one JSON document."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from perdure_server.cli import documents, render

T = TypeVar("T")


def show(
    found: Iterable[T],
    as_json: bool,
    document: Callable[[T], documents.Document],
    head: tuple[str, ...],
    row: Callable[[T], tuple[str, ...]],
) -> None:
    """`head` and a `row` for each; with `as_json`, a list of what `document` makes of each."""
    if as_json:
        documents.emit([document(each) for each in found])
    else:
        render.table(head, map(row, found))

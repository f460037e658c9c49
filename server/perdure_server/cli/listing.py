"""What commands do with what they list: a table for people, or one JSON document."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TypeVar

from perdure_server.cli import documents, render

T = TypeVar("T")


def show(
    found: Collection[T],
    as_json: bool,
    document: Callable[[T], documents.Document],
    head: tuple[str, ...],
    row: Callable[[T], tuple[str, ...]],
    what: str,
) -> None:
    """`head` and a `row` for each; with `as_json`, a list of what `document` makes of each. `what` they are, many."""
    if as_json:
        documents.emit([document(each) for each in found])
    elif not found:
        render.say(f"no {what}")
    else:
        render.table(head, map(row, found))

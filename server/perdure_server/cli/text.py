"""Text that came from user code, made fit for a terminal."""

from __future__ import annotations

import re

PREVIEW_CELLS = 60

_DRIVES = re.compile(r"\x1b(?!\[[0-9;]*m)|[\x00-\x08\x0a-\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Text that came from user code, made safe for a terminal: control characters as escapes, newlines too."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def visible(text: str, *, terminal: bool) -> str:
    """A line of user code's output: as it is, but on a terminal without what could do more there than colour text.

    Escape sequences can hide lines, answer for the user, or set the clipboard; colours (SGR), tabs and carriage returns
    are what programs print, and stay.
    """
    return _DRIVES.sub(lambda found: clean(found[0]), text) if terminal else text


def cut(text: str, cells: int = PREVIEW_CELLS) -> str:
    """At most `cells` characters of one cleaned line."""
    text = clean(text)
    return text if len(text) <= cells else text[: cells - 1] + "…"

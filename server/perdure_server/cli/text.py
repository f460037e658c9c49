"""Text that came from user code, made fit for a terminal."""

from __future__ import annotations

PREVIEW_CELLS = 60


def clean(text: str) -> str:
    """Text that came from user code, made safe for a terminal: control characters as escapes, newlines too."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, cells: int = PREVIEW_CELLS) -> str:
    """At most `cells` characters of one cleaned line."""
    text = clean(text)
    return text if len(text) <= cells else text[: cells - 1] + "…"

"""How reaching a limit is told: always its name in perdure.yaml, what it is, and what was used."""

from __future__ import annotations

from typing import Final

_UNITS: Final = ("B", "KiB", "MiB", "GiB", "TiB")


def reached(name: str, limit: str, used: str) -> str:
    """The message of every error of a limit: "journal_entries: limit 500, used 501"."""
    return f"{name}: limit {limit}, used {used}"


def size(count: int) -> str:
    """Bytes for people: "512 MiB", "1.5 GiB"."""
    value, unit = float(count), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    return f"{value:.4g} {_UNITS[unit]}"


def seconds(duration_s: float) -> str:
    """ "90.5 s"."""
    return f"{duration_s:.6g} s"

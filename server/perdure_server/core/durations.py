"""Durations as Go writes them, such as `1h15m` and `-1.5s`: AutoKitteh's filters and schedules have them."""

from __future__ import annotations

import re
from typing import Final

MAX_CHARS: Final = 128
MAX_NS: Final = 2**63 - 1

_UNITS_NS: Final = {
    "ns": 1,
    "us": 1_000,
    "\u00b5s": 1_000,  # both signs for micro
    "\u03bcs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_DAY_NS: Final = 24 * _UNITS_NS["h"]
_PART: Final = re.compile(r"([0-9]*)(?:\.([0-9]*))?(ns|us|\u00b5s|\u03bcs|ms|s|m|h|d)")


def nanoseconds(text: str, *, days: bool = False) -> int:
    """What the duration says; with `days`, `d` is 24 hours. Raises ValueError for what is none, or above 292 years.

    Source: Go, time.ParseDuration; Temporal's server, common/primitives/timestamp, ParseDuration, for `d`.
    """
    if len(text) > MAX_CHARS:
        raise ValueError(f"a duration has at most {MAX_CHARS} characters")
    sign, rest = (-1 if text[:1] == "-" else 1), text.removeprefix(text[:1] if text[:1] in {"+", "-"} else "")
    total = 0 if rest == "0" else _sum(rest, {"d": _DAY_NS, **_UNITS_NS} if days else _UNITS_NS)
    if total > MAX_NS + (sign < 0):
        raise ValueError("a duration has at most 64 bits of nanoseconds")
    return sign * total


def _sum(text: str, units: dict[str, int]) -> int:
    total, at = 0, 0
    while match := _PART.match(text, at):
        whole, fraction, unit = match[1], match[2] or "", match[3]
        if unit not in units or not (whole or fraction):
            break
        total += int(whole or "0") * units[unit] + int(fraction or "0") * units[unit] // 10 ** len(fraction)
        at = match.end()
    if not text or at != len(text):
        raise ValueError(f"{text[:40]!r} is no duration")
    return total

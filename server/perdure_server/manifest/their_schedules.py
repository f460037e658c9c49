"""Schedules of AutoKitteh as those of ours: it hands them to Temporal.

What that takes, and means by it, is `parseCronString` in Temporal's server, service/worker/scheduler/calendar.go: the
sixth of six fields is the year; a time has to match all fields, days and weekdays too; months are their names from
three letters on, weekdays from two; years are counted from 2000; what follows a # is a comment; intervals are whole
seconds, and may be put off: `@every 6h/30m`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from perdure_server.core import durations

_ZONES: Final = ("CRON_TZ=", "TZ=")
_MONTHS: Final = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_WEEKDAYS: Final = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_WORD: Final = re.compile(r"[A-Za-z]+")
_ANY_YEAR: Final = re.compile(r"(?<![^,])\*(?=/)")
_ALL: Final = ("*", "?")
_SECOND_NS: Final = 1_000_000_000


def as_ours(text: str) -> str:
    """The text for `core.cron` that means the same. What is no schedule stays as it is: that tells what is wrong."""
    zone, _, rest = text.strip().partition(" ") if text.strip().startswith(_ZONES) else ("", "", text)
    bare = rest.partition("#")[0].strip()
    said = _interval(bare) if bare.startswith("@every") else bare if bare.startswith("@") else _fields(bare.split())
    return f"{zone} {said}".strip()


def _interval(text: str) -> str:
    every, _, phase = text.removeprefix("@every").strip().partition("/")
    try:
        return "@every " + "/".join(_whole(part) for part in (every, phase) if part)
    except ValueError:
        return text


def _whole(duration: str) -> str:
    """The duration in whole seconds."""
    ns = durations.nanoseconds(duration, days=True)
    return f"{ns // _SECOND_NS}s" if ns % _SECOND_NS else duration


def _fields(fields: Sequence[str]) -> str:
    if not 5 <= len(fields) <= 7:
        return " ".join(fields)
    *before, day, month, weekday = fields if len(fields) == 5 else fields[:-1]
    years = [] if len(fields) == 5 else [_ANY_YEAR.sub("2000-2100", fields[-1])]
    seconds = ["0"] if len(fields) == 6 else []
    both = "" if day.startswith(_ALL) or weekday.startswith(_ALL) else "&"
    month, weekday = _named(month, _MONTHS, 3), _named(weekday, _WEEKDAYS, 2)
    return " ".join([*seconds, *before, day, month, both + weekday, *years])


def _named(field: str, names: Sequence[str], least: int) -> str:
    """The field with its names as `core.cron` has them."""

    def short(match: re.Match[str]) -> str:
        word = match[0].lower()
        found = [name for name in names if len(word) >= least and name.startswith(word)]
        return found[0][:3].upper() if found else match[0]

    return _WORD.sub(short, field)

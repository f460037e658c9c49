"""Schedules as texts, and the times that they mean.

Fields are those of cron: minute hour day month weekday; with six, seconds come first; with seven, years last. A day
has to be one of the days or one of the weekdays where both are named, and both where the weekdays begin with `&`.
cronsim (https://github.com/cuu508/cronsim) says which times of a calendar match; what happens where a zone's clock is
set is decided here, as Debian's cron does it: a schedule that names hours and minutes happens once a day, at the next
moment there is when its time is skipped, and at the first one when its time comes twice. One that goes by intervals
(its minutes or hours begin with `*`) follows the time that really passes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cronsim import CronSim, CronSimError

from perdure_server.core import durations
from perdure_server.core.errors import PerdureError, did_you_mean

MAX_CHARS: Final = 256
SHORTEST_US: Final = 1_000_000
LONGEST_US: Final = 36_500 * 24 * 3600 * 1_000_000
LAST_YEAR: Final = 2199

_NAMED: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_BOTH: Final = "&"
_YEARS: Final = re.compile(r"(?:\*|(\d{4})(?:-(\d{4}))?)(?:/(\d{1,3}))?")
_FIELDS: Final = ("seconds", "minutes", "hours", "days", "months", "weekdays", "years")
_MINUTE: Final = timedelta(minutes=1)
_DAY_MINUTES: Final = 24 * 60
_FIRST_WINDOW_US: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Schedule:
    """A schedule in its zone. `every_us`: an interval, counted from 1970 and `phase_us`, in place of `fields`."""

    text: str
    zone: ZoneInfo
    fields: str = ""  # six: with seconds
    years: frozenset[int] | None = None  # None: all
    both: bool = False  # a time has to be on one of the days and one of the weekdays
    every_us: int = 0
    phase_us: int = 0

    def next_after(self, after_us: int) -> int | None:
        """The first time after `after_us` (Unix time in microseconds), or None when there is none in 50 years."""
        if self.every_us:
            return ((after_us - self.phase_us) // self.every_us + 1) * self.every_us + self.phase_us
        after = datetime.fromtimestamp(after_us // 1_000_000, UTC).astimezone(self.zone)
        for found in self._from(after):
            at_us = int(found.timestamp()) * 1_000_000
            if at_us > after_us:
                return at_us
        return None

    def between(self, after_us: int, until_us: int, limit: int) -> list[int]:
        """The latest times after `after_us` up to `until_us`, `limit` at most, oldest first."""
        if self.every_us:
            last = (until_us - self.phase_us) // self.every_us
            first = max((after_us - self.phase_us) // self.every_us + 1, last - limit + 1)
            return [n * self.every_us + self.phase_us for n in range(first, last + 1)]
        window_us = _FIRST_WINDOW_US
        while True:  # a second in a year of them: look from the end, further and further
            begin_us = max(after_us, until_us - window_us)
            found = self._window(begin_us, until_us)
            if len(found) >= limit or begin_us == after_us:
                return found[-limit:]
            window_us *= 4

    def _window(self, after_us: int, until_us: int) -> list[int]:
        found: list[int] = []
        at_us = self.next_after(after_us)
        while at_us is not None and at_us <= until_us:
            found.append(at_us)
            at_us = self.next_after(at_us)
        return found

    def _from(self, after: datetime) -> Iterator[datetime]:
        _second, minutes, hours, *_ = self.fields.split()
        fixed = not minutes.startswith("*") and not hours.startswith("*")
        simulated = self._simulated(after.replace(tzinfo=None) if fixed else after)
        while (found := next(simulated, None)) is not None and found.year <= LAST_YEAR:
            if self.years is not None and found.year not in self.years:
                later = [year for year in self.years if year > found.year]
                if not later:
                    return
                eve = datetime(min(later), 1, 1, tzinfo=found.tzinfo) - timedelta(seconds=1)
                simulated = self._simulated(eve)
                continue
            yield self._existing(found) if fixed else found

    def _simulated(self, after: datetime) -> CronSim:
        simulated = CronSim(self.fields, after)
        simulated.day_and = simulated.day_and or self.both
        return simulated

    def _existing(self, local: datetime) -> datetime:
        """The first moment with this time on the clock; the next one there is when the clock skips it."""
        moment = local.replace(tzinfo=self.zone, fold=0)
        for _ in range(_DAY_MINUTES + 1):
            if moment.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) == moment.replace(tzinfo=None):
                break
            moment = (moment + _MINUTE).replace(second=0)
        return moment


def parse(text: str, timezone: str = "UTC") -> Schedule:
    """The schedule that `text` says. Raises `PerdureError` P0106 when it says none, or one that never happens."""
    if len(text) > MAX_CHARS:
        raise _bad(f"a schedule has at most {MAX_CHARS} characters")
    zone_name, _, rest = text.strip().partition(" ")
    if zone_name.startswith(("CRON_TZ=", "TZ=")):
        return parse(rest, zone_name.partition("=")[2])
    zone = _zone(timezone)
    name, *arguments = text.split() or [""]
    if name == "@every":
        every_us, phase_us = _interval("".join(arguments))
        return Schedule(text, zone, every_us=every_us, phase_us=phase_us)
    if name.startswith("@"):
        if arguments or name not in _NAMED:
            known = ("@every", *_NAMED)
            raise _bad(f"unknown schedule {text!r}", did_you_mean(name, known) or f"known: {', '.join(known)}")
        return Schedule(text, zone, f"0 {_NAMED[name]}")
    return _of_fields(text, zone)


def _of_fields(text: str, zone: ZoneInfo) -> Schedule:
    fields = text.upper().split()
    if not 5 <= len(fields) <= 7:
        raise _bad(
            f"a schedule has five to seven fields, not {len(fields)}",
            'such as "*/5 * * * *" for every five minutes, or "@every 90s", "@daily"',
        )
    if len(fields) == 5:
        fields.insert(0, "0")
    years = _years(fields.pop()) if len(fields) == 7 else None
    both = fields[-1].startswith(_BOTH)
    fields[-1] = fields[-1].removeprefix(_BOTH)
    fields = ["*" if field == "?" else field for field in fields]
    _check_each(fields)
    schedule = Schedule(text, zone, " ".join(fields), years, both)
    try:
        never = schedule.next_after(0 if years else _now_us_of_rules()) is None
    except CronSimError as error:
        raise _bad(str(error)) from None
    if never:
        raise _bad(f"{text!r} never happens")
    return schedule


def _now_us_of_rules() -> int:
    """Any time does to see whether something without years ever happens: 2001, after which all leap years come."""
    return int(datetime(2001, 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


def _check_each(fields: list[str]) -> None:
    """Say which field is wrong."""
    fallback = ["0", "0", "0", "*", "*", "*"]
    for place, field in enumerate(fields):
        try:
            CronSim(" ".join([*fallback[:place], field, *fallback[place + 1 :]]), datetime(2001, 1, 1, tzinfo=UTC))
        except (CronSimError, ValueError, IndexError):
            raise _bad(f"{field!r} says no {_FIELDS[place]}") from None


def _years(field: str) -> frozenset[int] | None:
    if field in {"*", "?"}:
        return None
    years: set[int] = set()
    for part in field.split(","):
        match = _YEARS.fullmatch(part)
        if match is None or match[3] == "0":
            raise _bad(f"{field!r} says no years")
        first = int(match[1] or 1970)
        last = int(match[2] or (match[1] if match[1] and not match[3] else LAST_YEAR))
        years.update(range(max(first, 1970), min(last, LAST_YEAR) + 1, int(match[3] or 1)))
    return frozenset(years)


def _interval(text: str) -> tuple[int, int]:
    """`INTERVAL` or `INTERVAL/PHASE`: both in microseconds."""
    every, slash, phase = text.partition("/")
    every_us, phase_us = _duration(every), _duration(phase) if slash else 0
    if not SHORTEST_US <= every_us <= LONGEST_US:
        raise _bad("an interval is one second to 36500 days")
    if not 0 <= phase_us < every_us:
        raise _bad("what stands after the / is shorter than the interval", "such as 6h/30m: 0:30, 6:30, 12:30, 18:30")
    return every_us, phase_us


def _duration(text: str) -> int:
    """Microseconds."""
    try:
        return durations.nanoseconds(text, days=True) // 1_000
    except ValueError:
        raise _bad(f"{text[:40]!r} is no duration", "such as 30s, 15m, 1h30m") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        hint = did_you_mean(name, available_timezones()) or "such as UTC, Europe/Berlin, America/New_York"
        raise _bad(f"unknown time zone {name[:80]!r}", hint) from None


def _bad(message: str, help: str | None = None) -> PerdureError:  # noqa: A002 - as PerdureError has it
    return PerdureError("P0106", message, help=help)

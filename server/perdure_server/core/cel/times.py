"""Timestamps and durations: what CEL's standard library has of them.

Nanoseconds are counted in integers. A timestamp is of the years 1 to 9999, a duration of 64 bits, as in cel-go; what is
more is a fault, also on the clock of a zone. Unlike there a timestamp forgets the offset that it was written with: as a
text it is in UTC.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from perdure_server.core import durations
from perdure_server.core.cel.run import Fault

SECOND_NS: Final = 1_000_000_000
_FIRST_S: Final = -62_135_596_800
_LAST_S: Final = 253_402_300_799
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_RFC3339: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):\d\d:\d\d)(?:[.,](\d{1,30}))?(?:Z|([+-])(\d\d):([0-5]\d))", re.ASCII
)
_ZONE_CHARS: Final = 100
_OFFSET: Final = re.compile(r"([+-]?)(\d{1,2}):(\d{1,2})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Timestamp:
    ns: int  # since 1970


@dataclass(frozen=True, slots=True, order=True)
class Duration:
    ns: int

    def over(self, unit_ns: int) -> int:
        """Whole units, towards zero."""
        return self.ns // unit_ns if self.ns >= 0 else -(-self.ns // unit_ns)


def timestamp(ns: int) -> Timestamp:
    if not _FIRST_S <= ns // SECOND_NS <= _LAST_S:
        raise Fault("timestamp overflow")
    return Timestamp(ns)


def duration(ns: int) -> Duration:
    if not -durations.MAX_NS - 1 <= ns <= durations.MAX_NS:
        raise Fault("duration overflow")
    return Duration(ns)


def read_timestamp(text: str) -> Timestamp:
    """RFC 3339, as Go reads it: with `T` and `Z` in capitals, without leap seconds."""
    match = _RFC3339.fullmatch(text)
    if match is None:
        raise Fault(f"{text[:40]!r} is no timestamp")
    plain, fraction, sign, hours, minutes = match.groups()
    try:
        local = datetime.fromisoformat(plain).replace(tzinfo=UTC)
    except ValueError:
        raise Fault(f"{text[:40]!r} is no timestamp") from None
    offset_s = int(f"{sign}1") * (int(hours) * 3600 + int(minutes) * 60) if sign else 0
    seconds = int((local - _EPOCH) / timedelta(seconds=1)) - offset_s
    return timestamp(seconds * SECOND_NS + int((fraction or "")[:9].ljust(9, "0")))


def read_duration(text: str) -> Duration:
    try:
        return Duration(durations.nanoseconds(text))
    except ValueError as error:
        raise Fault(str(error)) from None


def written_timestamp(value: Timestamp) -> str:
    """RFC 3339 in UTC, with as many digits of a second as there are."""
    seconds, ns = divmod(value.ns, SECOND_NS)
    fraction = f".{ns:09}".rstrip("0") if ns else ""
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}".rjust(19, "0") + f"{fraction}Z"


def part(value: Timestamp, zone: str, of: Callable[[datetime], int]) -> int:
    """A part of the time on the clocks of a zone: a name of the tz database, "" for UTC, or such as `-08:00`."""
    if len(zone) > _ZONE_CHARS:
        raise Fault(f"unknown time zone {zone[:40]!r}")
    moment = _EPOCH + timedelta(microseconds=value.ns // 1000)
    try:
        if (match := _OFFSET.fullmatch(zone)) is not None:
            away = timedelta(hours=int(match[2]), minutes=int(match[3]))
            return of(moment - away if match[1] == "-" else moment + away)
        return of(moment.astimezone(ZoneInfo(zone or "UTC")))
    except OverflowError:
        raise Fault("timestamp overflow") from None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise Fault(f"unknown time zone {zone[:40]!r}") from None


def total(left: Any, right: Any) -> Timestamp | Duration | None:
    """`left + right`; None where that has no meaning."""
    match left, right:
        case Duration(), Duration():
            return duration(left.ns + right.ns)
        case (Timestamp(), Duration()) | (Duration(), Timestamp()):
            return timestamp(left.ns + right.ns)
        case _:
            return None


def difference(left: Any, right: Any) -> Timestamp | Duration | None:
    """`left - right`; None where that has no meaning."""
    match left, right:
        case (Duration(), Duration()) | (Timestamp(), Timestamp()):
            return duration(left.ns - right.ns)
        case Timestamp(), Duration():
            return timestamp(left.ns - right.ns)
        case _:
            return None

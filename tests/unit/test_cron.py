"""Schedules: their times over both changes of the clock, in leap years, and what is none."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_server.core.cron import Schedule, parse
from perdure_server.core.errors import PerdureError

BERLIN = "Europe/Berlin"  # forward on 2026-03-29 at 2:00, back on 2026-10-25 at 3:00
SECOND_US = 1_000_000


def us(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) * SECOND_US


def times(schedule: Schedule, after: str, count: int) -> list[str]:
    """The next times on the zone's clock, with its offset."""
    found, at = [], us(after)
    for _ in range(count):
        following = schedule.next_after(at)
        assert following is not None
        assert following > at
        at = following
        found.append(datetime.fromtimestamp(at / SECOND_US, schedule.zone).strftime("%m-%d %H:%M:%S%z"))
    return found


@pytest.mark.parametrize(
    ("text", "zone", "after", "expected"),
    [
        ("*/15 * * * *", "UTC", "2026-01-01T00:07:00Z", ["01-01 00:15:00+0000", "01-01 00:30:00+0000"]),
        ("*/20 * * * * *", "UTC", "2026-01-01T00:00:59Z", ["01-01 00:01:00+0000", "01-01 00:01:20+0000"]),
        ("@daily", "UTC", "2026-01-01T12:00:00Z", ["01-02 00:00:00+0000", "01-03 00:00:00+0000"]),
        ("@every 1m30s", "UTC", "2026-01-01T00:00:00Z", ["01-01 00:01:30+0000", "01-01 00:03:00+0000"]),
        ("@every 6h/30m", "UTC", "2026-01-01T00:00:00Z", ["01-01 00:30:00+0000", "01-01 06:30:00+0000"]),
        ("@every 1d/8h", "UTC", "2026-01-01T08:00:00Z", ["01-02 08:00:00+0000", "01-03 08:00:00+0000"]),
        # Days of the month and weekdays: one of them, or both. The first Friday that is a 13th is in February.
        ("0 0 13 * FRI", "UTC", "2026-01-01T00:00:00Z", ["01-02 00:00:00+0000", "01-09 00:00:00+0000"]),
        ("0 0 13 * &FRI", "UTC", "2026-01-01T00:00:00Z", ["02-13 00:00:00+0000", "03-13 00:00:00+0000"]),
        ("0 0 9 1-7 * &MON", BERLIN, "2026-01-01T00:00:00Z", ["01-05 09:00:00+0100", "02-02 09:00:00+0100"]),
        ("0 */12 1-7 * &1", BERLIN, "2026-03-29T00:00:00Z", ["04-06 00:00:00+0200", "04-06 12:00:00+0200"]),
        ("0 0 0 29 2 &MON 2030-2080", "UTC", "2026-01-01T00:00:00Z", ["02-29 00:00:00+0000", "02-29 00:00:00+0000"]),
        ("0 12 ? * MON", "UTC", "2026-01-01T00:00:00Z", ["01-05 12:00:00+0000", "01-12 12:00:00+0000"]),
        ("CRON_TZ=Asia/Tokyo 0 9 * * *", "UTC", "2026-01-01T00:00:00Z", ["01-02 09:00:00+0900", "01-03 09:00:00+0900"]),
        # Spring: 2:30 is skipped, and happens at 3:00; intervals go on with the time that passes.
        ("30 2 * * *", BERLIN, "2026-03-28T12:00:00Z", ["03-29 03:00:00+0200", "03-30 02:30:00+0200"]),
        ("0 30 2 * * *", BERLIN, "2026-03-28T12:00:00Z", ["03-29 03:00:00+0200", "03-30 02:30:00+0200"]),
        ("0,30 2 * * *", BERLIN, "2026-03-28T12:00:00Z", ["03-29 03:00:00+0200", "03-30 02:00:00+0200"]),
        ("*/30 * * * *", BERLIN, "2026-03-29T00:29:00Z", ["03-29 01:30:00+0100", "03-29 03:00:00+0200"]),
        # Autumn: 2:30 comes twice, and the first one counts; intervals take both hours.
        ("30 2 * * *", BERLIN, "2026-10-24T12:00:00Z", ["10-25 02:30:00+0200", "10-26 02:30:00+0100"]),
        ("0 30 2 * * *", BERLIN, "2026-10-25T00:31:00Z", ["10-26 02:30:00+0100"]),
        ("45 2 * * *", BERLIN, "2026-10-25T01:40:00Z", ["10-26 02:45:00+0100"]),
        (
            "*/30 * * * *",
            BERLIN,
            "2026-10-25T00:00:00Z",
            ["10-25 02:30:00+0200", "10-25 02:00:00+0100", "10-25 02:30:00+0100", "10-25 03:00:00+0100"],
        ),
        # A zone whose clock skips midnight, and one that skipped a whole day.
        ("0 0 * * *", "Africa/Cairo", "2026-04-23T12:00:00Z", ["04-24 01:00:00+0300", "04-25 00:00:00+0300"]),
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-01T00:00:00Z", ["12-31 00:00:00+1400", "12-30 12:00:00+1400"]),
        # Leap days, last days.
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", ["02-29 00:00:00+0000", "02-29 00:00:00+0000"]),
        ("0 0 L * *", "UTC", "2028-01-31T12:00:00Z", ["02-29 00:00:00+0000", "03-31 00:00:00+0000"]),
    ],
)
def test_times(text: str, zone: str, after: str, expected: list[str]) -> None:
    assert times(parse(text, zone), after, len(expected)) == expected


def test_seven_fields_end_with_years() -> None:
    schedule = parse("0 0 12 1 1 * 2027,2030-2031", "UTC")
    found, at = [], us("2026-01-01T00:00:00Z")
    while (following := schedule.next_after(at)) is not None:
        at = following
        found.append(datetime.fromtimestamp(at / SECOND_US, UTC).year)
    assert found == [2027, 2030, 2031]
    assert parse("0 0 0 1 1 ? *", "UTC").next_after(0) == us("1971-01-01T00:00:00Z")
    assert parse("0 0 0 1 1 * */10", "UTC").next_after(us("2026-01-01T00:00:00Z")) == us("2030-01-01T00:00:00Z")


def test_leap_years_only() -> None:
    at = parse("0 0 29 2 *").next_after(us("2096-03-01T00:00:00Z"))
    assert at == us("2104-02-29T00:00:00Z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "five to seven fields"),
        ("* * * *", "not 4"),
        ("* * * * * * * *", "not 8"),
        ("61 * * * *", "'61' says no minutes"),
        ("* 25 * * *", "'25' says no hours"),
        ("* * * * MOON", "'MOON' says no weekdays"),
        ("* * 1-0 * *", "'1-0' says no days"),
        ("*/0 * * * *", "'*/0' says no minutes"),
        ("0 0 30 2 *", "day-of-month"),
        ("0 0 0 1 1 * 1999x", "no years"),
        ("0 0 0 29 2 * 2027", "never happens"),
        ("@every", "no duration"),
        ("@every 1x", "no duration"),
        ("@every 500ms", "one second to"),
        ("@every -5m", "one second to"),
        ("@every 36501d", "one second to"),
        ("@every 1h/1h", "shorter than the interval"),
        ("@every 1h/-5m", "shorter than the interval"),
        ("@every 1h/", "no duration"),
        ("@every 1h/5m/1m", "no duration"),
        ("@every " + "1h" * 100, "no duration"),
        ("0 0 1 &1 *", "'&1' says no months"),
        ("0 0 31 4 &MON", "never happens"),
        ("0 0 &1 * 1", "'&1' says no days"),
        ("@fortnightly", "unknown schedule"),
        ("@daily 3", "unknown schedule"),
        ("1" * 300, "at most 256"),
    ],
)
def test_what_is_no_schedule(text: str, message: str) -> None:
    with pytest.raises(PerdureError) as caught:
        parse(text)
    assert caught.value.code == "P0106"
    assert message in caught.value.message


@pytest.mark.parametrize("zone", ["Europe/Berlinn", "America", "../etc/passwd", "/etc/localtime", "", "a\0b"])
def test_what_is_no_time_zone(zone: str) -> None:
    with pytest.raises(PerdureError) as caught:
        parse("@daily", zone)
    assert caught.value.code == "P0106"
    assert "time zone" in caught.value.message


ZONES = st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kolkata", "UTC"])
START_US = us("2026-01-01T00:00:00Z")


@settings(max_examples=150, deadline=None)
@given(ZONES, st.integers(0, 23), st.integers(0, 59), st.integers(0, 364))
def test_a_time_of_day_comes_once_on_every_day(zone: str, hour: int, minute: int, day: int) -> None:
    """On the clock of any zone, and at its own time wherever there is such a time."""
    schedule = parse(f"{minute} {hour} * * *", zone)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
    found = [datetime.fromtimestamp(at / SECOND_US, schedule.zone) for at in _span(schedule, noon, days=4)]
    days = [moment.date() for moment in found]
    assert len(days) == len(set(days)) in {3, 4, 5}
    for moment in found:
        wanted = moment.replace(hour=hour, minute=minute, fold=0)
        there_is = wanted.astimezone(UTC).astimezone(schedule.zone).replace(tzinfo=None) == wanted.replace(tzinfo=None)
        assert moment == wanted if there_is else moment > wanted - timedelta(hours=2)


def _span(schedule: Schedule, begin: datetime, days: int) -> list[int]:
    after = int(begin.timestamp()) * SECOND_US
    return schedule.between(after, after + days * 86_400 * SECOND_US, 1000)


@settings(max_examples=100, deadline=None)
@given(ZONES, st.sampled_from([1, 5, 15, 20, 30]), st.integers(0, 364 * 24))
def test_intervals_are_even_whatever_the_clock_does(zone: str, minutes: int, hour: int) -> None:
    schedule = parse(f"*/{minutes} * * * *", zone)
    found = _span(schedule, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hour), days=1)
    assert {later - earlier for earlier, later in itertools.pairwise(found)} == {minutes * 60 * SECOND_US}


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["*/7 * * * *", "30 2 * * *", "*/9 * * * * *", "@every 47s", "@every 5h/17m", "0 0 1 * *", "15 1-3 * * 0"]
    ),
    ZONES,
    st.integers(0, 400 * 86_400),
    st.integers(1, 30 * 86_400),
)
def test_the_next_time_does_not_depend_on_when_one_asks(text: str, zone: str, offset: int, step: int) -> None:
    """Asked at any moment before a time, and after the one before it, the answer is that time."""
    schedule = parse(text, zone)
    after = START_US + offset * SECOND_US
    following = schedule.next_after(after)
    assert following is not None
    assert following > after
    between = min(after + step * SECOND_US, following - SECOND_US)
    if between > after:
        assert schedule.next_after(between) == following


def test_what_was_missed_is_bounded_and_the_latest() -> None:
    schedule = parse("* * * * * *")
    end = START_US + 400 * 86_400 * SECOND_US
    assert schedule.between(START_US, end, 5) == [end - n * SECOND_US for n in (4, 3, 2, 1, 0)]
    assert parse("@every 1s").between(START_US, end, 3) == [end - n * SECOND_US for n in (2, 1, 0)]
    put_off = parse("@every 1h/20s").between(START_US, START_US + 7_300 * SECOND_US, 9)
    assert put_off == [START_US + (n * 3_600 + 20) * SECOND_US for n in (0, 1, 2)]
    assert parse("@daily").between(START_US, START_US + 10, 3) == []
    assert ZoneInfo("UTC") == schedule.zone


def test_a_text_that_names_its_zone_over_and_over_is_too_long() -> None:
    with pytest.raises(PerdureError) as caught:
        parse("TZ=UTC " * 20_000 + "* * * * *")
    assert caught.value.code == "P0106"

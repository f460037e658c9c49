"""Rates of triggers: never more than the limit in any window, and never more memory than a project may have."""

from __future__ import annotations

import pytest
from coordinator_support import SECOND_US, VirtualClock
from hypothesis import given
from hypothesis import strategies as st
from perdure_server.coordinator.triggering import rates
from perdure_server.coordinator.triggering.rates import Rates
from perdure_server.manifest.triggers import Rate

KEY = ("p", "t", "k")


@given(
    limit=st.integers(1, 5),
    waits=st.lists(st.integers(0, 4 * SECOND_US), max_size=60),
)
def test_exactly_the_limit_passes_in_any_window(limit: int, waits: list[int]) -> None:
    clock = VirtualClock()
    counter, rate, started = Rates(clock), Rate(limit, 10.0), list[int]()
    for wait_us in waits:
        clock.advance(wait_us / SECOND_US)
        now_us = clock.now_us()
        free_us = counter.free_at(KEY, rate)
        inside = [at_us for at_us in started if at_us + 10 * SECOND_US > now_us]
        assert free_us == (0 if len(inside) < limit else inside[-limit] + 10 * SECOND_US)
        if not free_us:
            counter.note(KEY, rate)
            started.append(now_us)


def test_a_large_limit_is_held_by_few_marks() -> None:
    clock = VirtualClock()
    counter, rate, started = Rates(clock), Rate(20_000, 100.0), list[int]()
    for _ in range(60_000):
        clock.advance(0.004)
        if not counter.free_at(KEY, rate):
            counter.note(KEY, rate)
            started.append(clock.now_us())
    assert all(later - at >= 100 * SECOND_US for at, later in zip(started, started[20_000:], strict=False))
    assert len(started) > 39_000
    assert len(counter._starts["p"][KEY].marks) <= rates.MARKS + 1


def test_keys_of_strangers_do_not_gather(monkeypatch: pytest.MonkeyPatch) -> None:
    """A project forgets its own keys, the quiet ones first, and nobody else's."""
    monkeypatch.setattr(rates, "MARKS_OF_ONE", 100)
    counter, rate = Rates(VirtualClock()), Rate(1, 1e6)
    counter.note(("quiet", "t", "k"), rate)
    for number in range(500):
        counter.note(("p", "t", "steady"), rate)
        counter.note(("p", "t", str(number)), rate)
    assert counter.free_at(("quiet", "t", "k"), rate)
    assert counter._marks["p"] == sum(len(starts.marks) for starts in counter._starts["p"].values()) <= 100
    assert counter.free_at(("p", "t", "499"), rate)
    assert not counter.free_at(("p", "t", "0"), rate)


def test_what_counts_no_more_is_not_kept() -> None:
    clock = VirtualClock()
    counter, rate = Rates(clock), Rate(1, 1.0)
    for number in range(2_500):
        clock.advance(1.0)
        counter.note(("p", "t", str(number)), rate)
        assert not counter.free_at(("p", "t", str(number - 1)), rate)
    assert len(counter._starts["p"]) <= 1_000
    assert counter._marks["p"] == sum(len(starts.marks) for starts in counter._starts["p"].values())


def test_another_deployment_may_have_another_rate() -> None:
    clock = VirtualClock()
    counter = Rates(clock)
    for _ in range(5):
        counter.note(KEY, Rate(5, 10.0))
        clock.advance(1.0)
    start_us = clock.now_us() - 5 * SECOND_US
    assert counter.free_at(KEY, Rate(5, 10.0)) == start_us + 10 * SECOND_US
    assert counter.free_at(KEY, Rate(2, 10.0)) == start_us + 13 * SECOND_US
    assert counter.free_at(KEY, Rate(5, 20.0)) == start_us + 20 * SECOND_US
    assert counter.free_at(KEY, Rate(5, 2.0)) == 0

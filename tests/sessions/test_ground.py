"""Deterministic ground, in real sessions: what is recorded, and what follows from a seed."""

import random
import threading
import time

import perdure
import pytest
from perdure import testing


@perdure.activity
def noisy():
    random.seed(1)
    return [random.random() for _ in range(3)] and time.time() > 0


def seeded(event):
    random.seed(event)
    first = [random.randrange(1000) for _ in range(3)]
    noisy()
    deck = list(range(10))
    random.shuffle(deck)
    state = random.getstate()
    last = random.random()
    random.setstate(state)
    return [first, deck, last, random.random()]


def unseeded(event):
    random.seed(event)
    random.seed()
    deck = list(range(20))
    random.shuffle(deck)
    return [deck, random.choice(deck)]


def expected(seed):
    generator = random.Random(seed)
    first = [generator.randrange(1000) for _ in range(3)]
    deck = list(range(10))
    generator.shuffle(deck)
    last = generator.random()
    return [first, deck, last, last]


def test_draws_after_a_seed_are_those_of_plain_python_and_need_no_record():
    outcome = testing.run(seeded, 42)
    assert outcome.result == expected(42)
    assert outcome.functions() == ["test_ground.noisy"]


def test_a_crash_does_not_shift_a_seeded_generator():
    for entry in (1, 2):
        assert testing.run(seeded, 7, crash_after=entry).result == expected(7)


def test_without_a_seed_every_draw_is_recorded():
    outcome = testing.run(unseeded, 3)
    assert outcome.functions() == ["random.shuffle", "random.choice"]
    assert sorted(outcome.result[0]) == list(range(20))


def mixed(event):
    before = [random.random(), time.time()]
    print("a line")
    seen = []
    thread = threading.Thread(target=lambda: seen.append(random.randint(1, 6)))
    thread.start()
    thread.join()
    time.sleep(0.001)
    longer = [random.choice(["é"]), random.choice([float("inf")]), random.choice(["x" * 99])]
    return [*before, *seen, *map(str, longer), time.monotonic()]


MIXED = [
    *("random.random", "time.time", "random.randint", "time.sleep"),
    *("random.choice", "random.choice", "random.choice", "time.monotonic"),
]


@pytest.mark.parametrize("entry", [None, 2, 5, 7, 9])
def test_markers_have_the_same_rows_wherever_the_session_is_killed(entry):
    outcome = testing.run(mixed, None, crash_after=entry)
    assert outcome.functions() == MIXED
    assert outcome.result[3:6] == ["é", "inf", "x" * 99]


def many(event):
    return [time.monotonic_ns() for _ in range(event)]


def test_many_markers_come_in_their_order():
    outcome = testing.run(many, 1000)
    assert outcome.result == sorted(outcome.result)
    assert outcome.functions() == ["time.monotonic_ns"] * 1000

"""Cyclic garbage collection of sessions: at fixed calls, switched by user code as ever, and what is refused."""

import gc
import time

import perdure
import pytest
from perdure import testing
from perdure_runner.child.collecting import STEP, Collector


@perdure.activity
def note(text):
    return text


@perdure.activity
def waste(count):
    """Make garbage that a replay does not make."""
    for _ in range(count):
        junk = []
        junk.append(junk)


class Cycle:
    def __init__(self, seen):
        self.seen, self.me = seen, self

    def __del__(self):
        self.seen.append(note("gone"))


def at_steps(_event):
    seen, after = [], []
    for _ in range(3):
        Cycle(seen)
        for _ in range(STEP // 2):
            time.time()
        waste(1000)
        after.append(len(seen))
    return after


def switched_off(_event):
    seen = []
    Cycle(seen)
    gc.disable()
    state = [gc.isenabled()]
    for _ in range(STEP * 2):
        time.time()
    state.append(len(seen))
    gc.enable()
    return [*state, gc.collect() > 0, len(seen), gc.isenabled()]


def without_calls(count):
    for _ in range(count):
        Cycle([])
    return "done"


def harmless(count):
    for _ in range(count):
        junk = []
        junk.append(junk)
    note("a")
    return len(gc.get_objects()) < count


def test_finalizers_run_at_the_same_calls_after_a_crash():
    whole = testing.run(at_steps)
    assert whole.result == [0, 2, 2]
    names = whole.functions()
    rows = len(names) + names.count("test_collecting.waste") + 2
    for entry in range(1, rows, rows // 4):
        again = testing.run(at_steps, crash_after=entry)
        assert (again.result, again.functions()) == (whole.result, names)


def test_user_code_switches_collections_off_and_on():
    assert testing.run(switched_off).result == [False, 0, True, 1, True]


def test_a_finalizer_that_calls_where_no_step_is_ends_the_session():
    outcome = testing.run(without_calls, 600_000)
    assert outcome.error.startswith("perdure.ConcurrencyError: test_collecting.note was called by a finalizer")


def test_garbage_of_code_without_calls_is_collected_nevertheless():
    assert testing.run(harmless, 1_200_000).result is True


@pytest.fixture
def collector(monkeypatch):
    for name in ("collect", "disable", "enable", "get_threshold", "isenabled", "set_threshold"):
        monkeypatch.setattr(gc, name, getattr(gc, name))
    monkeypatch.setattr(gc, "callbacks", [])
    free = [False]
    made = Collector(lambda: free[0])
    set_threshold, thresholds, enable = gc.set_threshold, gc.get_threshold(), gc.enable
    made.install(_raise)
    yield made, free, thresholds
    set_threshold(*thresholds)
    enable()


def _raise(error):
    raise error


def test_thresholds_look_as_they_were_set(collector):
    _, free, before = collector
    assert gc.get_threshold() == before
    gc.set_threshold(10, 5)
    assert gc.get_threshold() == (10, 5, before[2])
    gc.set_threshold(0)
    assert not gc.isenabled()
    gc.enable()
    free[0] = True
    gc.disable()
    gc.set_threshold(99)
    assert gc.isenabled()
    assert gc.get_threshold()[0] == 0
    free[0] = False
    with pytest.raises(TypeError):
        gc.set_threshold("many")
    assert gc.get_threshold()[0] == 0


def test_steps_are_counted_from_the_call_at_which_one_was_made(collector):
    made, _, _ = collector
    made.step(300, "f")
    assert made.due == 300 + STEP
    made.refuse_next(perdure.ConcurrencyError("no"))
    with pytest.raises(perdure.ConcurrencyError, match="no"):
        made.step(301, "f")

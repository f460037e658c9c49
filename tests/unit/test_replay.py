"""The replay cursor: what a call must do, given the rows of the journal."""

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure_runner.child.replay import (
    Call,
    Diverged,
    Form,
    History,
    How,
    Interrupted,
    Kind,
    Replay,
    Resolved,
    Run,
    Wait,
    WaitKind,
)


@dataclass(frozen=True)
class Place:
    file: str
    line: int
    column: int = 1

    def source(self):
        return "buy()"


def call(ordinal=1, form=Form.ACTIVITY, function="shop.buy", digest="aa", line=3):
    return Call("main", ordinal, form, function, digest, "", Place("main.py", line))


def history(*rows):
    kept = History()
    for row in rows:
        kept.add(row)
    return kept


STARTED = call().row(Kind.STARTED) | {"att": 1}
FAILED = call().row(Kind.RETRY) | {"att": 1, "fires": 5}
DELAY_OVER = call().row(Kind.RESOLVED) | {"how": int(How.FIRED)}
DONE = call().row(Kind.ACTIVITY) | {"att": 1, "enc": 1}
TIMER = call(form=Form.TIMER)
SLEEPS = TIMER.row(Kind.WAIT) | {"wk": int(WaitKind.TIMER), "fires": 9}
WOKE = TIMER.row(Kind.RESOLVED) | {"how": int(How.FIRED)}
LISTENS = call(form=Form.SIGNAL).row(Kind.WAIT) | {"wk": int(WaitKind.SIGNAL)}

LIVES = [
    ("nothing recorded", [], call(), Run(1)),
    ("in flight", [STARTED], call(), Run(1, again=True)),
    ("in flight, at most once", [STARTED | {"amo": 1}], call(), Interrupted(STARTED | {"amo": 1})),
    ("finished", [STARTED, DONE], call(), Replay(DONE)),
    ("finished without a start", [DONE], call(), Replay(DONE)),
    ("waits for its second attempt", [STARTED, FAILED], call(), Wait(FAILED)),
    ("its delay is over", [STARTED, FAILED, DELAY_OVER], call(), Resolved(DELAY_OVER, waited=FAILED)),
    ("in flight again", [STARTED, FAILED, DELAY_OVER, STARTED | {"att": 2}], call(), Run(2, True, retried=FAILED)),
    ("in flight twice", [STARTED, STARTED], call(), Run(1, again=True)),
    ("finished at the second", [STARTED, FAILED, DELAY_OVER, STARTED | {"att": 2}, DONE], call(), Replay(DONE)),
    ("sleeps", [SLEEPS], TIMER, Wait(SLEEPS)),
    ("slept", [SLEEPS, WOKE], TIMER, Resolved(WOKE, waited=SLEEPS)),
    ("listens", [LISTENS], call(form=Form.SIGNAL), Wait(LISTENS)),
]


@pytest.mark.parametrize(("rows", "now", "decision"), [life[1:] for life in LIVES], ids=[life[0] for life in LIVES])
def test_the_last_row_of_a_call_decides(rows, now, decision):
    kept = history(*rows)
    assert kept.next(now) == decision
    assert len(kept) == 0


@pytest.mark.parametrize(
    ("other", "reason"),
    [
        (call(function="shop.sell"), "another function"),
        (call(digest="bb"), "arguments differ"),
        (call(form=Form.MARKER), "activity is recorded"),
        (TIMER, "activity is recorded"),
    ],
)
def test_another_call_diverges_and_shows_the_first_row(other, reason):
    decision = history(STARTED, DONE).next(other)
    assert isinstance(decision, Diverged)
    assert decision.recorded == STARTED
    assert reason in decision.reason


def test_a_moved_line_is_no_divergence():
    assert history(DONE).next(call(line=99)) == Replay(DONE)


def test_code_that_ends_early_diverges():
    kept = history(DONE, call(2).row(Kind.ACTIVITY))
    kept.next(call())
    left = kept.end()
    assert left is not None
    assert left.recorded["ord"] == 2
    assert history().end() is None


CALLS = st.lists(
    st.tuples(st.sampled_from([Form.ACTIVITY, Form.MARKER, Form.TIMER]), st.sampled_from("fgh"), st.sampled_from("xy")),
    max_size=30,
)


def finished(now: Call):
    match now.form:
        case Form.ACTIVITY:
            return [now.row(Kind.STARTED) | {"att": 1}, now.row(Kind.ACTIVITY)]
        case Form.MARKER:
            return [now.row(Kind.MARKER)]
        case _:
            return [now.row(Kind.WAIT) | {"wk": 1}, now.row(Kind.RESOLVED) | {"how": 1}]


@given(CALLS, st.data())
def test_a_prefix_of_the_journal_replays_and_the_rest_runs(made, data):
    calls = [Call("main", i, *c) for i, c in enumerate(made, 1)]
    rows = [row for c in calls for row in finished(c)]
    kept = history(*rows[: data.draw(st.integers(0, len(rows)))])
    decisions = [kept.next(c) for c in calls]
    assert not any(isinstance(d, Diverged) for d in decisions)
    runs = [isinstance(d, Run) and not d.again for d in decisions]
    assert runs == sorted(runs), "once a call runs for the first time, all later ones do"
    assert kept.end() is None

"""Every program: plainly, recorded, and with the runner or the coordinator killed after every entry of its journal.

What may differ after a kill is said once, in `assert_same_effects`: nothing, except that an attempt whose STARTED row
was the last durable one may reach the outside world a second time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache

import pytest
from support.harness import COORDINATOR, RUNNER, Bench, Outcome, extra_requests
from support.programs import PROGRAMS, Case, cases

ALL = cases()
WAITING = [case for case in ALL if case.waits]
FAST = {
    *("async_generators", "at_most_once", "context_managers", "dataclass_factories", "finally_order", "hash_order"),
    *("idempotency_key", "large_values", "mixed_day", "module_level", "nested_arguments", "randomness"),
    *("retry_decorator", "saga", "sequential", "signals_after", "sleeps"),
}
"""A dozen and a half programs whose kill points are sampled in every run of the suite; `slow` takes all of all."""
STEP = 8
BATCH = 16
"""Programs that are recorded in one engine."""
KILLED_BATCH = 8
"""Programs that are killed in one engine, and one test: an engine costs as much as a program's kills."""
TOGETHER = 32
"""Sessions that die with one coordinator where every entry is tried: an engine has room for 64."""

every_case = pytest.mark.parametrize("case", ALL, ids=[case.id for case in ALL])
waiting_case = pytest.mark.parametrize("case", WAITING, ids=[case.id for case in WAITING])


def in_batches(several: Sequence[Case]) -> pytest.MarkDecorator:
    """A test's `batch`, named after the first and the last program."""
    batches = [several[first : first + KILLED_BATCH] for first in range(0, len(several), KILLED_BATCH)]
    return pytest.mark.parametrize("batch", batches, ids=[f"{batch[0].id}..{batch[-1].id}" for batch in batches])


fast_batch = in_batches([case for case in ALL if case.id in FAST])
every_batch = in_batches(ALL)
waiting_batch = in_batches(WAITING)


@cache
def plain_run(bench: Bench, case_id: str) -> Outcome:
    """The plain run of a program, once per worker."""
    return bench.plain(by_id(case_id))


def recorded_run(bench: Bench, case_id: str) -> Outcome:
    """The undisturbed recorded run of a program, once per worker."""
    return recorded_runs(bench, ALL.index(by_id(case_id)) // BATCH)[case_id]


@cache
def recorded_runs(bench: Bench, batch: int) -> dict[str, Outcome]:
    """Those of the programs of a batch, by case."""
    together = ALL[batch * BATCH : (batch + 1) * BATCH]
    return dict(zip((case.id for case in together), bench.recorded_each(together), strict=True))


@cache
def suspended_runs(bench: Bench, batch: int) -> dict[str, Outcome]:
    """The runs of waiting programs of a batch, where every wait ends the runner."""
    together = WAITING[batch * BATCH : (batch + 1) * BATCH]
    runs = bench.recorded_each(together, suspend_at_once=True)
    return dict(zip((case.id for case in together), runs, strict=True))


def by_id(case_id: str) -> Case:
    """The case of this id."""
    return next(case for case in ALL if case.id == case_id)


# ---- what must be equal


def assert_expected(case: Case, run: Outcome, *, alternative: bool = False) -> None:
    """The program did what its CASE says."""
    assert run.error == case.error
    if case.check:
        assert eval(case.check, {"result": run.result, "prints": run.prints}), (case.check, run.result, run.prints)
    else:
        assert run.result == case.result or (alternative and run.result == case.alternative)
    if case.prints is not None:
        assert run.prints == case.prints or (alternative and run.prints == case.alternative_prints)
    if case.errors is not None:
        assert run.facts["errors"] == case.errors


def assert_recorded(case: Case, run: Outcome) -> None:
    """The journal is that of a whole session: every call has one outcome, and they are the expected calls."""
    assert run.facts["state"] == ("failed" if case.error else "completed")
    outcomes = Counter(
        (row["lane"], row["ordinal"]) for row in run.rows if row["kind"] in {"ACTIVITY", "MARKER", "SYSTEM"}
    )
    assert not [ordinal for ordinal, times in outcomes.items() if times > 1]
    if case.calls is not None:
        assert [_short(call) for call in run.facts["calls"]] == [_short(call) for call in case.calls]
    if case.lines is not None:
        assert [frame["name"] for frame in run.facts["error"]["traceback"]][: len(case.lines)] == case.lines


def _short(call: str) -> str:
    """Timers and signals are told by their kind alone."""
    kind, _, function = call.partition(" ")
    return kind if kind in {"timer", "signal"} else f"{kind} {function}"


def assert_same_output(case: Case, run: Outcome, model: Outcome, *, alternative: bool = False) -> None:
    """Output and outcome are those of the plain run, where one run's values can be another's."""
    if not case.check:
        assert run.prints == model.prints or (alternative and run.prints == case.alternative_prints)
        assert sorted(run.facts["errors"]) == sorted(model.facts["errors"])


def assert_same_effects(case: Case, run: Outcome, model: Outcome, last: str = "") -> None:
    """Requests are those of `model`. `last`: kind of the last durable row when something was killed.

    After STARTED the attempt may have reached the world, and runs again: its requests may come twice, unless it is
    at_most_once, which may never come twice and not at all. After every other row, no request is repeated or lost.
    """
    if not case.check or case.effects is not None:
        difference = extra_requests(run.ledger.requests, model.ledger.requests)
        if case.check:  # which paths are asked for is chance, how many is not
            difference = Counter(total=run.ledger.total - model.ledger.total)
        several = any(row["lane"] != "main" for row in model.facts.get("rows", ()))  # others may be in flight, too
        allowed = case.in_flight if last == "STARTED" or (last and several) else 0
        assert case.check or not several or max(difference.values(), default=0) <= 1, difference
        assert sum(max(n, 0) for n in difference.values()) <= allowed, difference
        assert not [path for path, n in difference.items() if n < 0 and path not in case.once], difference
    assert not [path for path in case.once if run.ledger.requests[path] > 1]
    assert len(run.ledger.keys) == case.keys


# ---- the runs


@every_case
def test_plain(bench: Bench, case: Case) -> None:
    if not case.plain:
        pytest.skip("needs perdure")
    run = plain_run(bench, case.id)
    assert_expected(case, run)
    if case.effects is not None:
        assert run.ledger.total == case.effects


@every_case
def test_recorded(bench: Bench, case: Case) -> None:
    run = recorded_run(bench, case.id)
    assert_recorded(case, run)
    assert_expected(case, run)
    if case.effects is not None:
        assert run.ledger.total == case.effects
    if case.plain:
        model = plain_run(bench, case.id)
        assert_same_output(case, run, model)
        assert_same_effects(case, run, model)


def check_killed(bench: Bench, batch: Sequence[Case], what: str, step: Callable[[Case], int], **how: int) -> None:
    """Kill each program after every `step`th entry; each run must be as the undisturbed one."""
    models = [recorded_run(bench, case.id) for case in batch]
    plan = [(case, kill_points(case, model, step(case))) for case, model in zip(batch, models, strict=True)]
    failures = []
    for case, model, runs in zip(batch, models, bench.killed_each(plan, what, PROGRAMS, **how), strict=True):
        for after, run in runs.items():
            try:
                assert_killed(case, run, model, after)
            except AssertionError as error:
                error.add_note(f"{case.id}: {what} after entry {after}: {run.rows[after - 1 : after]}")
                failures.append(error)
    if failures:
        raise ExceptionGroup("runs that differ", failures)


def kill_points(case: Case, model: Outcome, step: int) -> Sequence[int]:
    first = 1 + ALL.index(case) % step  # so that the sampled kill points differ between programs
    return range(min(first, len(model.rows)), len(model.rows) + 1, step) if model.rows else ()


def assert_killed(case: Case, run: Outcome, model: Outcome, after: int) -> None:
    """A run that was killed after this entry is as the undisturbed one."""
    last, following = [*(row["kind"] for row in run.rows[after - 1 :]), "", ""][:2]
    in_flight = "STARTED" in (last, following)  # it travels with the row before it
    assert_recorded(case, run)
    assert_expected(case, run, alternative=in_flight)
    assert_same_output(case, run, model, alternative=in_flight)
    assert_same_effects(case, run, model, last)


@fast_batch
def test_runner_killed_now_and_then(bench: Bench, batch: Sequence[Case]) -> None:
    check_killed(bench, batch, RUNNER, lambda _: STEP)


@fast_batch
def test_coordinator_killed_now_and_then(bench: Bench, batch: Sequence[Case]) -> None:
    check_killed(bench, batch, COORDINATOR, lambda _: STEP)


@pytest.mark.slow
@every_batch
def test_runner_killed_after_every_entry(bench: Bench, batch: Sequence[Case]) -> None:
    check_killed(bench, batch, RUNNER, lambda case: STEP // 2 if case.long else 1)


@pytest.mark.slow
@every_batch
def test_coordinator_killed_after_every_entry(bench: Bench, batch: Sequence[Case]) -> None:
    check_killed(bench, batch, COORDINATOR, lambda case: STEP // 2 if case.heavy else 1, together=TOGETHER)


@waiting_case
def test_suspended_at_every_wait(bench: Bench, case: Case) -> None:
    """Every wait ends the runner; the next one replays up to it."""
    run = suspended_runs(bench, WAITING.index(case) // BATCH)[case.id]
    assert_recorded(case, run)
    assert_expected(case, run)
    assert_same_effects(case, run, recorded_run(bench, case.id))


@pytest.mark.slow
@waiting_batch
def test_suspended_and_killed(bench: Bench, batch: Sequence[Case]) -> None:
    check_killed(bench, batch, RUNNER, lambda _: 1, suspend_at_once=True)

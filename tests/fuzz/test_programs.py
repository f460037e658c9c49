"""Generated handlers: a plain run against runs that are recorded, killed and replayed under another hash seed."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from fuzz.generate import Program, programs
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from support.harness import COORDINATOR, RUNNER, Bench, Outcome
from support.programs import Case

KILLS = st.lists(st.integers(1, 30), min_size=3, max_size=3, unique=True)
TOGETHER = 8
"""Programs of one example: they share a build, the engines and the death of the coordinator."""
COMMON: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.generate, Phase.shrink),
}
_numbers = itertools.count(1)


class Trial(NamedTuple):
    """A program, and after which entries its runner is killed; the coordinator dies after the first of them."""

    program: Program
    kills: list[int]


def trials(*, concurrent: bool = False) -> st.SearchStrategy[list[Trial]]:
    """The programs of one example."""
    trial = st.builds(Trial, programs(concurrent=concurrent), KILLS)
    return st.lists(trial, min_size=TOGETHER, max_size=TOGETHER)


def assert_agrees_with_itself(run: Outcome, in_flight: int) -> None:
    """What it printed is what it computed, and the requests are those it wrote down; one more per kill at most."""
    assert run.facts.get("state", "completed") == "completed", run.facts
    assert run.error is None, run.facts
    assert run.prints == run.result["log"]
    asked = Counter(path.rpartition("/")[2] for path in run.ledger.requests.elements())
    named = Counter(run.result["names"])
    assert not named - asked, "requests are missing"
    assert (asked - named).total() <= in_flight, asked - named


def examine(bench: Bench, tried: list[Trial]) -> None:
    """Run each plainly, undisturbed, with the runner killed at each of its kills, with the coordinator killed once."""
    folder = bench.folder / "fuzz" / str(next(_numbers))
    folder.mkdir(parents=True)
    named = [(_write(folder, number, trial.program), trial) for number, trial in enumerate(tried)]
    plain = [bench.plain(case, folder) for case, _ in named]
    killed = bench.killed_each([(case, [0, *trial.kills]) for case, trial in named], RUNNER, folder)
    crashed = bench.killed_each([(case, trial.kills[:1]) for case, trial in named], COORDINATOR, folder, TOGETHER)
    for trial, model, runs, crashes in zip(tried, plain, killed, crashed, strict=True):
        try:
            judge(trial.program, model, [*runs.items(), *crashes.items()])
        except AssertionError:
            note(trial.program.source)
            raise


def judge(program: Program, plain: Outcome, runs: list[tuple[int, Outcome]]) -> None:
    """Every run, by the entry after which something was killed, is as the plain one."""
    assert_agrees_with_itself(plain, 0)
    for after, run in runs:
        try:
            assert_agrees_with_itself(run, program.at_once if after else 0)
            if not program.chance:
                assert run.result["log"] == plain.result["log"]
                # tasks and threads may ask in another order than the plain run's
                assert (run.result["names"] == plain.result["names"]) or program.at_once > 1
        except AssertionError as error:
            error.add_note(f"killed after entry {after}" if after else "undisturbed")
            raise


def _write(folder: Path, number: int, program: Program) -> Case:
    (folder / f"program_{number}.py").write_text(program.source)
    return Case(f"program_{number}.py:main", "a generated program", check="chance")  # kills may lie beyond its end


@given(trials())
@settings(max_examples=4, **COMMON)
def test_generated_programs(bench: Bench, tried: list[Trial]) -> None:
    examine(bench, tried)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(2))
def test_many_generated_programs(bench: Bench, part: int) -> None:
    @seed(part)
    @given(trials())
    @settings(max_examples=8, **{**COMMON, "derandomize": False})
    def many(tried: list[Trial]) -> None:
        examine(bench, tried)

    many()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_concurrent_programs(bench: Bench) -> None:
    @seed(7)
    @given(trials(concurrent=True))
    @settings(max_examples=5, **{**COMMON, "derandomize": False})
    def many(tried: list[Trial]) -> None:
        examine(bench, tried)

    many()

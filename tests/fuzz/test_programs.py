"""Generated handlers: a plain run against runs that are recorded, killed and replayed under another hash seed."""

from __future__ import annotations

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from fuzz.generate import Program, programs
from hypothesis import HealthCheck, Phase, given, note, seed, settings
from hypothesis import strategies as st
from support.harness import COORDINATOR, RUNNER, Bench, Outcome
from support.programs import Case

CASE = Case("program.py:main", "a generated program", check="chance")  # kill points may lie beyond its end
KILLS = st.lists(st.integers(1, 30), min_size=3, max_size=3, unique=True)
COMMON: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": list(HealthCheck),
    "phases": (Phase.generate, Phase.shrink),
}
_numbers = itertools.count(1)


def assert_agrees_with_itself(run: Outcome, in_flight: int) -> None:
    """What it printed is what it computed, and the requests are those it wrote down; one more per kill at most."""
    assert run.facts.get("state", "completed") == "completed", run.facts
    assert run.error is None, run.facts
    assert run.prints == run.result["log"]
    asked = Counter(path.rpartition("/")[2] for path in run.ledger.requests.elements())
    named = Counter(run.result["names"])
    assert not named - asked, "requests are missing"
    assert (asked - named).total() <= in_flight, asked - named


def examine(bench: Bench, program: Program, kills: list[int]) -> None:
    """Run it plainly, undisturbed, with the runner killed at each of `kills`, with the coordinator killed once."""
    folder = _write(bench, program)
    plain = bench.plain(CASE, folder)
    assert_agrees_with_itself(plain, 0)
    runs = bench.killed(CASE, [0, *kills], RUNNER, folder)
    crashed = bench.killed(CASE, kills[:1], COORDINATOR, folder)
    for after, run in [*runs.items(), *crashed.items()]:
        note(f"killed after entry {after}" if after else "undisturbed")
        assert_agrees_with_itself(run, program.at_once if after else 0)
        if not program.chance:
            assert run.result["log"] == plain.result["log"]
            # tasks and threads may ask in another order than the plain run's
            assert (run.result["names"] == plain.result["names"]) or program.at_once > 1


def _write(bench: Bench, program: Program) -> Path:
    folder = bench.folder / "fuzz" / str(next(_numbers))
    folder.mkdir(parents=True)
    (folder / "program.py").write_text(program.source)
    note(program.source)
    return folder


@given(programs(), KILLS)
@settings(max_examples=25, **COMMON)
def test_generated_programs(bench: Bench, program: Program, kills: list[int]) -> None:
    examine(bench, program, kills)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(2))
def test_many_generated_programs(bench: Bench, part: int) -> None:
    @seed(part)
    @given(programs(), KILLS)
    @settings(max_examples=75, **{**COMMON, "derandomize": False})
    def many(program: Program, kills: list[int]) -> None:
        examine(bench, program, kills)

    many()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_concurrent_programs(bench: Bench) -> None:
    @seed(7)
    @given(programs(concurrent=True), KILLS)
    @settings(max_examples=40, **{**COMMON, "derandomize": False})
    def many(program: Program, kills: list[int]) -> None:
        examine(bench, program, kills)

    many()

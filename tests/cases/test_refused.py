"""Programs that cannot be recorded, or that fail before they begin: each fails clearly, and never silently."""

from __future__ import annotations

from functools import cache

import pytest
from support.harness import RUNNER, Bench, Outcome
from support.programs import CASES, Case, cases

REFUSED = CASES / "programs" / "refused"
ALL = cases(REFUSED)
BAD_ENTRIES = {
    "nothere.py:main": "P0110",
    "too_large.py:absent": "P0111",
    "too_large.py:CASE": "P0112",
    "too_large.py": "P0114",
}


def assert_refused(case: Case, run: Outcome) -> None:
    """It failed with the error, the code and the words that its CASE names."""
    assert run.facts.get("refused") or run.facts["state"] == "failed", run.facts
    code = run.facts.get("refused") or run.facts["code"]
    message = run.facts.get("message") or run.error or ""
    assert code == (case.code or ""), run.facts
    assert not case.error or message.startswith(f"{case.error}:"), message
    assert (case.says or "") in message


def suspending(case: Case) -> dict[str, bool]:
    """What is lost with a process is lost where a session waits: programs that wait end theirs there."""
    return {"suspend_at_once": True} if case.waits else {}


@cache
def recorded_runs(bench: Bench, waits: bool) -> dict[str, Outcome]:
    """Those of all programs that wait, or that do not, by case: once per worker."""
    together = [case for case in ALL if case.waits == waits]
    runs = bench.recorded_each(together, REFUSED, **suspending(together[0]))
    return dict(zip((case.id for case in together), runs, strict=True))


@pytest.mark.parametrize("case", ALL, ids=[case.id for case in ALL])
def test_refused(bench: Bench, case: Case) -> None:
    run = recorded_runs(bench, case.waits)[case.id]
    assert_refused(case, run)
    assert not run.ledger.total


@pytest.mark.slow
@pytest.mark.parametrize("case", ALL, ids=[case.id for case in ALL])
def test_refused_after_a_crash_too(bench: Bench, case: Case) -> None:
    """A refusal is an outcome like any other: after a crash it is the same one."""
    how = suspending(case)
    rows = recorded_runs(bench, case.waits)[case.id].facts.get("rows", [])
    for run in bench.killed(case, range(1, len(rows) + 1), RUNNER, REFUSED, **how).values():
        assert_refused(case, run)


@pytest.mark.parametrize(("entry", "code"), BAD_ENTRIES.items())
def test_bad_entry_points(bench: Bench, entry: str, code: str) -> None:
    case = Case(entry, "an entry point that leads nowhere", code=code)
    assert_refused(case, bench.recorded(case, REFUSED))


def test_syntax_error_names_line_and_place(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("syntax")
    (folder / "broken.py").write_text("def main(event):\n    return (1,\n\n\nprint('x'\n")
    case = Case("broken.py:main", "a syntax error", code="P0113", says="broken.py:5:6")
    assert_refused(case, bench.recorded(case, folder))

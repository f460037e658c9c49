"""Programs that do different things in replay: a crash shows it, with the line, before anything happens outside."""

from __future__ import annotations

import pytest
from support.harness import RUNNER, Bench
from support.programs import CASES, Case, cases

UNSTEADY = CASES / "programs" / "unsteady"
ALL = cases(UNSTEADY)


@pytest.mark.parametrize("case", ALL, ids=[case.id for case in ALL])
def test_divergence_names_the_line(bench: Bench, case: Case) -> None:
    model = bench.recorded(case, UNSTEADY)
    assert model.facts["state"] == "completed"
    runs = bench.killed(case, range(1, len(model.rows) + 1), RUNNER, UNSTEADY)
    diverged = [run for run in runs.values() if run.facts["state"] == "diverged"]
    assert diverged
    for run in diverged:
        assert case.says in run.facts["divergence"]
        assert run.ledger.total <= model.ledger.total
    assert all(run.facts["state"] in {"diverged", "completed"} for run in runs.values())

"""Racy programs under random delays: what a session did once, every replay of it does again."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.harness import Bench

PROGRAMS = Path(__file__).parent / "programs"
NAMES = ("tasks", "racing_threads", "pools", "producers", "mixed")
TIMES = 100


def check(bench: Bench, folder: Path, name: str, times: int) -> set[str]:
    """Run and replay; returns the different results."""
    entry = f"{name}.py:main"
    reply = bench.forks.ask(
        "support.schedules:run", home=str(folder), folder=str(PROGRAMS), entry=entry, times=times, timeout=300
    )
    assert reply["exit"] == 0, reply["stderr"]
    for run in reply["answer"]:
        assert (run["state"], run["error"]) == ("completed", ""), run
        assert (run["replay"], run["divergence"]) == ("completed", ""), run
        assert run["replayed"] == run["result"]
    return {run["result"] for run in reply["answer"]}


@pytest.mark.parametrize("name", NAMES)
def test_a_few(bench: Bench, tmp_path: Path, name: str) -> None:
    assert check(bench, tmp_path, name, 3)


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", NAMES)
def test_a_hundred(bench: Bench, tmp_path: Path, name: str) -> None:
    assert len(check(bench, tmp_path, name, TIMES)) > 1, "delays that change nothing test nothing"


@pytest.mark.parametrize(("handler", "rows"), [("tasks", 2), ("sleepers", 1), ("threads", 1)])
def test_a_stop_reaches_the_main_lane_and_cleanup_runs(bench: Bench, tmp_path: Path, handler: str, rows: int) -> None:
    reply = bench.forks.ask(
        "support.schedules:stop", home=str(tmp_path), folder=str(PROGRAMS), entry=f"stops.py:{handler}", rows=rows
    )
    assert reply["exit"] == 0, reply["stderr"]
    run = reply["answer"]
    assert (run["state"], run["lines"]) == ("stopped", ["cleanup 1"])
    assert (run["replay"], run["divergence"]) == ("stopped", "")

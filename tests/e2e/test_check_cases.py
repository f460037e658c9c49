"""`perdure check` on every program of tests/cases: steady ones agree, unsteady ones are named (by a real command).

What a kill does to a steady program is tests/cases' to say, for each entry; here a few kills show that no construct is
taken for a difference. Unsteady ones, those of FAMILY and TALK, and examples/survey are killed after every entry.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from perdure import testing
from support.harness import Bench
from support.programs import CASES, PROGRAMS, Case, cases

UNSTEADY = CASES / "programs" / "unsteady"
PATIENCE_S = 280
KILLS = 3
"""Of each steady program: that many at most, the last of them after the last entry."""

pytestmark = pytest.mark.slow

CHECKED = [case for case in cases(PROGRAMS) if not case.events]
FAMILY = """
import perdure


def child(event):
    perdure.signal(event["parent"], "here", perdure.session_id())
    perdure.sleep(5)
    return event["n"] * perdure.add_values("calls", 0)


def main(event):
    me = perdure.session_id()
    print("I am", me)
    perdure.add_values("calls", 2)
    children = [perdure.start("main.py:child", {"n": n, "parent": me}, memo={"of": me * 5}) for n in (1, 2)]
    perdure.set_value(f"of {me}", {"waited for": children, "x": "y" * 300, "z": me})
    values = [end.value for end in perdure.wait(children, timeout=3600)]
    return [values, children, perdure.get_value(f"of {me}") is None]
"""
TALK = """
import perdure


def worker(event):
    perdure.sleep(3600)
    perdure.signal(event["parent"], "ready", 1)
    go = perdure.next_signal("go", timeout=30)
    perdure.sleep(3600)
    perdure.signal(event["parent"], "done", go.payload)
    return "worker"


def main(event):
    child = perdure.start("main.py:worker", {"parent": perdure.session_id()})
    ready = perdure.next_signal("ready")
    perdure.signal(child, "go", ready.payload + 1)
    late = perdure.next_signal("done", timeout=1800)
    done = perdure.next_signal("done", timeout=86400)
    print(late, done.payload)
    return perdure.wait(child, timeout=1)[0].result
"""


def alone(case: Case, programs: Path, folder: Path) -> Path:
    """A folder with this program and all that programs share: the others would be packed and compiled for each."""
    others = {programs / each.entry.partition(":")[0] for each in cases(programs) if each != case}

    def not_its_own(path: str, names: list[str]) -> list[str]:
        return [name for name in names if Path(path, name) in others or name == "__pycache__"]

    return Path(shutil.copytree(programs, folder / "programs", ignore=not_its_own))


def arguments(case: Case, programs: Path, event: dict[str, Any]) -> list[str]:
    signals = [f"--signal={name}={json.dumps(payload)}" for _, name, payload in case.signals]
    variables = [f"--var={name}={value}" for name, value in case.vars.items()]
    return ["check", f"{programs}:{case.entry}", "--event", json.dumps(event), *signals, *variables]


@pytest.mark.parametrize("case", CHECKED, ids=lambda case: case.id)
def test_steady_programs_agree(case: Case, bench: Bench, tmp_path: Path) -> None:
    command = arguments(case, alone(case, PROGRAMS, tmp_path), bench.event(case.id))
    checked = bench.forks.ask("support.commands:perdure", arguments=command, kills=KILLS, timeout=PATIENCE_S)
    assert (checked["exit"], checked["answer"]) == (0, 0), checked["stderr"]
    assert "all agree" in checked["stderr"]


@pytest.mark.parametrize("case", cases(UNSTEADY), ids=lambda case: case.id)
def test_unsteady_programs_are_named(case: Case, bench: Bench) -> None:
    command = [sys.executable, "-m", "perdure_server", *arguments(case, UNSTEADY, bench.event(case.id))]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert checked.returncode != 0
    assert case.says in checked.stdout


@pytest.mark.parametrize("program", [FAMILY, TALK], ids=["family", "talk"])
def test_runs_that_know_their_ids_their_children_and_the_store_agree(
    tmp_path: Path, bench: Bench, program: str
) -> None:
    """What differs between their names is no difference, and no run finds what another one has stored.

    Who waits for a child's signal gets it, before or after a time-out as the time would have it.
    """
    (tmp_path / "main.py").write_text(program)
    command = ["check", f"{tmp_path}:main.py:main", "--json"]
    checked = bench.forks.ask("support.commands:perdure", arguments=command, timeout=PATIENCE_S)
    assert (checked["exit"], checked["answer"]) == (0, 0), checked["stdout"] + checked["stderr"]
    if program is TALK:
        outcome = testing.run(f"{tmp_path}:main.py:main")
        assert (outcome.result, outcome.prints) == ("worker", ["None 2"])

"""`perdure check` from the command line on every program of tests/cases: steady ones agree, unsteady ones are named."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.effects import EffectServer, serving
from support.programs import CASES, LIBRARY, PROGRAMS, Case, cases

UNSTEADY = CASES / "programs" / "unsteady"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", name="server")
def server_fixture() -> Iterator[EffectServer]:
    with serving() as server:
        yield server


def check(case: Case, folder: Path, server: EffectServer, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    event = {"url": f"{server.url}/{case.id.replace('/', '.')}", "dir": str(tmp_path), "lib": str(LIBRARY)}
    signals = [f"--signal={name}={json.dumps(payload)}" for _, name, payload in case.signals]
    variables = [f"--var={name}={value}" for name, value in case.vars.items()]
    command = [sys.executable, "-m", "perdure_server", "check", f"{folder}:{case.entry}", "--event", json.dumps(event)]
    return subprocess.run([*command, *signals, *variables], capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.parametrize("case", cases(PROGRAMS), ids=lambda case: case.id)
def test_steady_programs_agree(case: Case, server: EffectServer, tmp_path: Path) -> None:
    checked = check(case, PROGRAMS, server, tmp_path)
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("case", cases(UNSTEADY), ids=lambda case: case.id)
def test_unsteady_programs_are_named(case: Case, server: EffectServer, tmp_path: Path) -> None:
    checked = check(case, UNSTEADY, server, tmp_path)
    assert checked.returncode != 0
    assert case.says in checked.stdout

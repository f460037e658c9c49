"""Values and exceptions of the twenty most used libraries: recorded in one process, replayed in another."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
HOME = ROOT / ".venv-libraries"
sys.path.insert(0, str(HERE))

from table import ROWS, Row  # noqa: E402 - the worker finds it in its own folder, too

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def environment() -> Path:
    """The interpreter of an environment with the dependency group `libraries`; made when the group has changed."""
    group = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["libraries"]
    wanted = hashlib.sha256(repr((sys.version, group)).encode()).hexdigest()
    python, mark = HOME / "bin" / "python", HOME / "installed"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", HOME], check=True)
        install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--python", python, "--only-binary", ":all:"]
        subprocess.run([*install, *group], check=True)
        mark.write_text(wanted)
    return python


def record_and_replay(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the recording and the replaying process say of each row."""
    file = folder / "recorded.json"
    worker = [environment(), "-W", "ignore", HERE / "worker.py"]
    roots = os.pathsep.join(str(ROOT / part) for part in ("sdk", "runner"))
    environ = os.environ | {"PYTHONPATH": roots, "PYTHONHASHSEED": "0"}
    subprocess.run([*worker, "record", file], check=True, env=environ, cwd=folder)
    replaying = subprocess.run(
        [*worker, "replay", file], check=True, env=environ, cwd=folder, capture_output=True, text=True
    )
    return json.loads(file.read_text()), json.loads(replaying.stdout)


def problem(row: Row, recorded: dict[str, Any], replayed: dict[str, Any]) -> Any:
    """What is wrong with a row; None: nothing."""
    if row.look == "P0401":
        return None if recorded.get("code") == "P0401" and "cannot be recorded" in recorded["says"] else recorded
    if "failed" in recorded:
        return recorded
    expected = {key: recorded[key] for key in ("look", "type")}
    return None if replayed == expected else {"recorded": expected, "replayed": replayed}


def test_every_row_comes_back(tmp_path: Path) -> None:
    recorded, replayed = record_and_replay(tmp_path)
    problems = {row.name: problem(row, recorded[row.name], replayed[row.name]) for row in ROWS}
    assert {name: what for name, what in problems.items() if what} == {}


def test_the_table_is_large_enough() -> None:
    assert len({row.name for row in ROWS}) == len(ROWS) >= 80
    assert len({row.name.partition(" ")[0] for row in ROWS}) >= 20

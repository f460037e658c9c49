"""`pip install .` into an empty environment is the whole product: few packages, and none of them beside user code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
UV = Path(sys.executable).parent / "uv"
PACKAGES = 33  # httpcore, with certifi, is the last that came
BEST_OF = 5
INSTALL_S = 600
COMMAND_S = 120

OUR_DEPENDENCIES = {
    "alembic", "click", "cloudpickle", "google", "grpc", "grpc_health", "grpc_reflection", "mako", "perdure_proto",
    "perdure_server", "rich", "sqlalchemy", "watchfiles", "yaml",
}  # fmt: skip

_OF_THIS_ENVIRONMENT = ("PYTHON", "VIRTUAL_ENV", "PERDURE")

HANDLERS = """\
import sys
import time


def main(event):
    return {"answer": event["n"] * 2, "at": time.time() > 0}


def modules(event):
    return sorted(sys.modules)


async def later(event):
    import asyncio

    await asyncio.sleep(0.01)
    return "later"
"""


class Environment:
    """A virtual environment with perdure in it and nothing else, outside the work tree."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = folder / "venv" / "bin" / "python"
        self.perdure = folder / "venv" / "bin" / "perdure"

    def run(self, *command: str | Path, timeout: int = COMMAND_S) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THIS_ENVIRONMENT)}
        ran = subprocess.run(command, cwd=self.folder, env=clean, capture_output=True, text=True, timeout=timeout)
        assert ran.returncode == 0, f"{command}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout


@pytest.fixture(name="installed", scope="module")
def installed_fixture(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("install"))
    environment.run(UV, "venv", "-q", "--python", sys.executable, "venv")
    began = time.monotonic()
    environment.run(UV, "pip", "install", "-q", "--python", environment.python, ROOT, timeout=INSTALL_S)
    print(f"installed in {time.monotonic() - began:.1f} s")
    (environment.folder / "project").mkdir()
    (environment.folder / "project" / "main.py").write_text(HANDLERS)
    return environment


pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_S)]


def test_it_is_few_packages(installed: Environment) -> None:
    listed = json.loads(installed.run(UV, "pip", "list", "--python", installed.python, "--format", "json"))
    names = sorted(package["name"] for package in listed)
    print(len(names), names)
    assert "perdure" in names
    assert len(names) <= PACKAGES, names


@pytest.mark.parametrize(
    ("entry", "result"), [("main", {"answer": 42, "at": True}), ("later", "later")], ids=["def", "async def"]
)
def test_it_runs_a_handler(installed: Environment, entry: str, result: object) -> None:
    target = f"project:main.py:{entry}"
    ran = json.loads(installed.run(installed.perdure, "run", target, "--event", '{"n": 21}', "--json"))
    assert (ran["state"], ran["result"]) == ("completed", result)


def test_a_runner_has_none_of_our_dependencies(installed: Environment) -> None:
    ran = json.loads(installed.run(installed.perdure, "run", "project:main.py:modules", "--json"))
    modules = ran["result"]
    assert "perdure" in modules
    assert "perdure_runner.child" in modules
    assert sorted(OUR_DEPENDENCIES & {name.partition(".")[0] for name in modules}) == []
    assert [name for name in modules if name.startswith("perdure_runner.host")] == []


def test_import_perdure_imports_the_standard_library_only(installed: Environment) -> None:
    code = "import sys; before = set(sys.modules); import perdure; print(*sorted(set(sys.modules) - before))"
    imported = {name.partition(".")[0] for name in installed.run(installed.python, "-c", code).split()}
    assert imported - set(sys.stdlib_module_names) == {"perdure"}

    times = {code: best_s(installed, code) for code in ("pass", "import perdure")}
    print({code: f"{1000 * took:.1f} ms" for code, took in times.items()})


def best_s(installed: Environment, code: str) -> float:
    """Shortest time of a few; told, and not asserted: the machine may be busy."""

    def once() -> float:
        began = time.monotonic()
        installed.run(installed.python, "-c", code)
        return time.monotonic() - began

    return min(once() for _ in range(BEST_OF))


def test_every_public_name_imports_the_standard_library_only(installed: Environment) -> None:
    code = "import sys, perdure; [getattr(perdure, name) for name in perdure.__all__]; print(*sys.modules)"
    imported = {name.partition(".")[0] for name in installed.run(installed.python, "-I", "-c", code).split()}
    ours = {name for name in imported - set(sys.stdlib_module_names) if not name.startswith(("_", "sitecustomize"))}
    assert ours == {"perdure"}

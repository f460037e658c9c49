"""Projects with requirements, as their users have them: commands in processes of their own."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import perdure.testing
import pytest
from e2e.terminal import Terminal, opened
from wheelhouse import Wheelhouse

FAILED, USAGE = 1, 2
VERSION = "import tiny\ndef main(event):\n    return tiny.VERSION\n"


@pytest.fixture(name="terminal")
def terminal_fixture(tmp_path: Path, house: Wheelhouse) -> Iterator[Terminal]:
    with opened(tmp_path) as terminal:
        terminal.variables.update(house.variables)
        yield terminal


def project(terminal: Terminal, name: str, requirements: str, code: str = VERSION) -> str:
    terminal.write(f"{name}/requirements.txt", requirements)
    terminal.write(f"{name}/main.py", code)
    return f"{name}/main.py:main"


def result(terminal: Terminal, target: str, *arguments: str) -> Any:
    document = terminal.run("run", target, "--json", *arguments).document
    assert document["state"] == "completed", document
    return document["result"]


def test_two_projects_with_conflicting_versions_run_side_by_side(terminal: Terminal) -> None:
    wait = "import perdure, tiny\ndef main(event):\n    perdure.sleep(0.5)\n    return tiny.VERSION\n"
    for name, version in (("one", "1.0"), ("two", "2.0")):
        project(terminal, name, f"tiny=={version}\n", wait)
    server = terminal.serve()
    deployed = [terminal.run("deploy", name, "--json", "--server", server.address).document for name in ("one", "two")]
    locks = [each["environment"]["lock"] for each in deployed]
    assert len(set(locks)) == 2
    assert [each["environment"]["reused"] for each in deployed] == [False, False]
    where = ("--server", server.address, "--wait", "--json")
    both = [terminal.spawn("start", "main.py:main", "--project", name, *where) for name in ("one", "two")]
    assert [terminal.finish(each).document["result"] for each in both] == ["1.0", "2.0"]

    terminal.write("one/main.py", "# changed\n" + wait)
    again = terminal.run("deploy", "one", "--json", "--server", server.address).document
    told = again["environment"]
    assert (told["lock"], told["packages"], told["reused"]) == (locks[0], 1, True)
    print(f"its environment took {told['took_ms']} ms")
    print(f"the second deployment took {again['took_ms']} ms, with all that it checks")


def test_what_runs_cannot_change_its_environment(terminal: Terminal) -> None:
    """Two projects with one lock share an environment: neither can poison it."""
    attack = """
        import os, tiny
        def main(event):
            refused = []
            folder = os.path.dirname(tiny.__file__)
            for name, attack in {
                "write": lambda: open(tiny.__file__, "w"),
                "append": lambda: open(tiny.__file__, "a"),
                "new": lambda: open(os.path.join(folder, "evil.py"), "w"),
                "mode": lambda: os.chmod(tiny.__file__, 0o777),
                "rename": lambda: os.rename(tiny.__file__, tiny.__file__ + "x"),
                "delete": lambda: os.unlink(tiny.__file__),
                "bytecode": lambda: open(os.path.join(folder, "__pycache__", "evil.pyc"), "wb"),
                "folder": lambda: os.rename(folder, folder + "x"),
            }.items():
                try:
                    attack()
                except OSError as error:
                    refused.append(name)
            return refused
        """
    project(terminal, "attacker", "tiny==1.0\n", attack)
    project(terminal, "victim", "tiny==1.0\n")
    server = terminal.serve()
    where = ("--server", server.address, "--wait", "--json")
    found = {}
    for name in ("attacker", "victim"):
        terminal.run("deploy", name, "--server", server.address)
        found[name] = terminal.run("start", "main.py:main", "--project", name, *where).document["result"]
    if '"namespaces"' not in terminal.run("hosts", "list", "--json", "--server", server.address).out:
        pytest.skip("no sandbox here: only file modes protect environments, which do not bind root")
    assert found["attacker"] == ["write", "append", "new", "mode", "rename", "delete", "bytecode", "folder"]
    assert found["victim"] == "1.0"
    (site,) = (server.home / "host/environments").glob("*/site")
    assert (site / "tiny.py").read_text() == "VERSION = '1.0'\n"
    assert not list(site.rglob("evil*"))


def test_run_makes_the_environment_once_and_then_needs_no_index(terminal: Terminal, house: Wheelhouse) -> None:
    target = project(terminal, "p", "tiny\n")
    first = terminal.run("run", target)
    assert "perdure: installing 1 package for Python" in first.err
    shutil.rmtree(house.folder)
    shutil.rmtree(house.variables["UV_CACHE_DIR"])
    assert "installing" not in terminal.run("run", target).err
    assert result(terminal, target) == "2.0"


def test_a_project_sees_its_requirements_and_nothing_else_of_the_host(terminal: Terminal) -> None:
    target = project(terminal, "p", "tiny\n", "import tiny\nimport click\ndef main(event):\n    pass\n")
    ran = terminal.run("run", target, code=FAILED)
    assert "error[P0301]" in ran.err
    assert "main.py:2" in ran.err
    assert "help: Add 'click' to the project's requirements, in requirements.txt." in ran.err


def test_a_package_that_is_missing_while_the_handler_runs(terminal: Terminal) -> None:
    target = project(terminal, "p", "tiny\n", "def main(event):\n    import yaml\n")
    error = terminal.run("run", target, "--json", code=FAILED).document["error"]
    assert (error["code"], error["type"]) == ("P0301", "ModuleNotFoundError")
    assert error["traceback"][-1]["line"] == 2


def test_calls_of_packages_are_recorded(terminal: Terminal, house: Wheelhouse) -> None:
    house.wheel("remote", "1.0", {"remote/__init__.py": "from remote.api import fetch\n", "remote/api.py": FETCH})
    target = project(terminal, "p", "remote\n", "import remote\ndef main(event):\n    return remote.fetch('x')\n")
    document = terminal.run("run", target, "--json").document
    assert document["result"] == "fetched x"
    assert [(each["kind"], each["function"]) for each in document["activities"]] == [("activity", "remote.api.fetch")]


FETCH = "def fetch(what):\n    return 'fetched ' + what\n"


def test_known_libraries_run_directly_from_an_environment_too(terminal: Terminal, house: Wheelhouse) -> None:
    """`yaml.safe_dump` is in the table of what is known: this stands in for it."""
    house.wheel("pyyaml", "6.0", {"yaml/__init__.py": "def safe_dump(value):\n    return repr(value)\n"})
    target = project(terminal, "p", "PyYAML\n", "import yaml\ndef main(event):\n    return yaml.safe_dump(1)\n")
    document = terminal.run("run", target, "--json").document
    assert (document["result"], document["activities"]) == ("1", [])


def test_a_package_cannot_take_the_place_of_ours(terminal: Terminal, house: Wheelhouse) -> None:
    ours = ("perdure/__init__.py", "perdure_runner/__init__.py", "_perdure_cloudpickle.py", "sitecustomize.py", "os.py")
    house.wheel("evil", "1.0", dict.fromkeys(ours, "raise SystemExit('poison')\n"))
    code = "import os, perdure\ndef main(event):\n    perdure.sleep(0.01)\n    return os.path.basename(os.__file__)\n"
    document = terminal.run("run", project(terminal, "p", "evil\n", code), "--json").document
    assert (document["state"], document["result"]) == ("completed", "os.py")


def test_an_upgrade_is_asked_for(terminal: Terminal, house: Wheelhouse) -> None:
    project(terminal, "p", "tiny\n")
    server = terminal.serve()
    where = ("--json", "--server", server.address)
    terminal.run("deploy", "p", *where)
    house.wheel("tiny", "3.0")
    assert terminal.run("deploy", "p", *where).document["environment"]["reused"]
    start = ("start", "main.py:main", "--project", "p", "--wait", *where)
    assert terminal.run(*start).document["result"] == "2.0"
    assert not terminal.run("deploy", "p", "--upgrade", *where).document["environment"]["reused"]
    assert terminal.run(*start).document["result"] == "3.0"


def test_tests_of_handlers_run_where_packages_are_installed(tmp_path: Path, house: Wheelhouse) -> None:
    (tmp_path / "requirements.txt").write_text("nowhere-to-be-found\n")
    (tmp_path / "main.py").write_text("import click\ndef main(event):\n    return event\n")
    assert perdure.testing.run(f"{tmp_path}:main.py:main", 7).result == 7


def test_what_is_wrong_with_requirements_is_told_at_deploy(terminal: Terminal) -> None:
    server = terminal.serve()
    project(terminal, "p", "tiny\n-e .\n./lib\n")
    ran = terminal.run("deploy", "p", "--server", server.address, code=USAGE)
    assert "error[P0303] requirements.txt:2:1 an editable package is on one machine only" in ran.err
    assert "requirements.txt:3:1 a package from a path" in ran.err
    project(terminal, "p", "tiny==9\n")
    ran = terminal.run("deploy", "p", "--server", server.address, code=USAGE)
    assert "error[P0303] requirements.txt:1:1 the requirements cannot be resolved" in ran.err


def test_pyproject_and_manifest(terminal: Terminal) -> None:
    terminal.write("a/pyproject.toml", '[project]\nname = "a"\nversion = "1"\ndependencies = ["tiny<2"]\n')
    terminal.write("a/main.py", VERSION)
    terminal.write("b/perdure.yaml", "requirements: [tiny==2.0]\n")
    terminal.write("b/main.py", VERSION)
    assert [result(terminal, f"{name}/main.py:main", "--home", name) for name in "ab"] == ["1.0", "2.0"]


OTHERS = list(Path.home().glob(".pyenv/versions/3.1[23]*/bin/python"))


@pytest.mark.skipif(not OTHERS, reason="no other interpreter here")
def test_the_environment_is_for_the_interpreter_of_the_project(terminal: Terminal, house: Wheelhouse) -> None:
    for version in ("3.11", "3.12", "3.13"):
        tag = f"cp{version.replace('.', '')}-none-any"
        house.wheel("fast", "1.0", {"fast.py": f"FOR = {version!r}\n"}, tag=tag)
    other = OTHERS[0].parent.parent.name.rpartition(".")[0]
    code = "import fast, sys\ndef main(event):\n    return [fast.FOR, '{}.{}'.format(*sys.version_info)]\n"
    target = project(terminal, "p", "fast\n", code)
    here = "{}.{}".format(*sys.version_info)
    assert result(terminal, target) == [here, here]
    terminal.variables["PYENV_ROOT"] = str(Path.home() / ".pyenv")
    terminal.write("p/perdure.yaml", f'python: "{other}"\n')
    assert result(terminal, target) == [other, other]


EXAMPLE = Path(__file__).parents[2] / "examples/dependencies"


@pytest.mark.slow
def test_the_example_with_real_packages_from_the_index_of_this_machine(tmp_path: Path) -> None:
    with opened(tmp_path) as terminal:
        terminal.variables["HOME"] = str(Path.home())  # pip's configuration may be there
        assert result(terminal, str(EXAMPLE), "--home", "home") == "Dear Ada, please pay 42 by 2026-07-30."

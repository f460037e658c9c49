"""What a deployment needs is there before its first session comes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from e2e.terminal import Server, Terminal, opened, until
from wheelhouse import Wheelhouse

FAILED = 1


@pytest.fixture(name="terminal")
def terminal_fixture(tmp_path: Path, house: Wheelhouse) -> Iterator[Terminal]:
    with opened(tmp_path) as terminal:
        terminal.variables.update(house.variables)
        yield terminal


def deploy(terminal: Terminal, server: Server, requirements: str, code: str) -> None:
    terminal.write("p/requirements.txt", requirements)
    terminal.write("p/main.py", code)
    terminal.run("deploy", "p", "--server", server.address)


def test_after_a_deployment_the_environment_gets_there_without_a_session(terminal: Terminal, house: Wheelhouse) -> None:
    server = terminal.serve()
    deploy(terminal, server, "tiny==1.0\n", "import tiny\ndef main(event):\n    return tiny.VERSION\n")
    (site,) = until(lambda: list((server.home / "host/environments").glob("*/site")), "the environment is there")
    until(lambda: list((server.home / "host/builds").glob("*/cache/*")), "the build is there, and compiled")
    assert (site / "tiny.py").read_text() == "VERSION = '1.0'\n"
    listed = terminal.run("sessions", "list", "--json", "--server", server.address)
    assert "ses_" not in listed.out
    shutil.rmtree(house.folder)
    shutil.rmtree(house.variables["UV_CACHE_DIR"])
    assert json.loads(server.until(server.begin("main.py:main"), "completed").result.data) == "1.0"
    assert server.log.read_text().count("perdure: installing 1 package") == 1


def test_what_cannot_be_installed_is_in_the_log_and_ends_the_first_session(
    terminal: Terminal, house: Wheelhouse
) -> None:
    """Both packages have a file of one name, which only who installs them can see."""
    house.wheel("one", "1.0", {"same.py": "ONE = 1\n"})
    house.wheel("two", "1.0", {"same.py": "TWO = 2\n"})
    server = terminal.serve()
    deploy(terminal, server, "one\ntwo\n", "import same\ndef main(event):\n    return 1\n")
    said = until(lambda: _warnings(server), "the log says so")
    assert " cannot get ready for project p: P0304 'same.py' is not the file that its package lists" in said[0]
    start = ("start", "main.py:main", "--project", "p", "--server", server.address, "--wait", "--json")
    error = terminal.run(*start, code=FAILED).document["error"]
    assert error["code"] == "P0304"
    assert len(_warnings(server)) == 1

    server.kill()  # the next server asks its host anew, without a deployment
    server.start()
    until(lambda: len(_warnings(server)) == 2, "the log says so again")


def _warnings(server: Server) -> list[str]:
    lines = server.log.read_text().splitlines()
    return [line for line in lines if line.startswith("WARNING perdure.coordinator: host ")]

"""Changing code under running sessions: its page is true, and `deploy --preflight` refuses what would break one."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from terminal import PATIENCE_S, PERDURE, Server, Terminal, until

PAGE = Path(__file__).parent.parent.parent / "docs" / "how-to" / "change-code.md"
BLOCK = re.compile(r"^```(\w+)(?: file=(\S+))?\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMES = {r"dep_\w+": "DEPLOYMENT", r"ses_\w+": "SESSION", r"\b[0-9a-f]{12}\b": "BUILD"}

CODE = """\
import perdure
import time

@perdure.activity
def work(item):
    return item

def main(event):
    for item in event:
        work(item)
    time.sleep(30 * 24 * 3600)
    return event
"""
BUSY = """\
import perdure
import time

@perdure.activity
def work(item):
    return item

@perdure.activity
def long_work():
    time.sleep(600)

def main(event):
    work(1)
    long_work()
"""
REFUSED = 4


def known(text: str) -> list[str]:
    """Lines without what differs from run to run: names and the width of columns."""
    for pattern, name in NAMES.items():
        text = re.sub(pattern, name, text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def test_the_page_shows_what_its_commands_print(terminal: Terminal) -> None:
    printed: list[str] = []
    shown = 0
    for language, file, text in BLOCK.findall(PAGE.read_text()):
        if file:
            terminal.write(file, text)
        elif language == "sh":
            printed = [line for command in text.splitlines() for line in known(shell(terminal, command))]
        else:
            missing = [line for line in known(text) if line not in printed]
            assert not missing, "\n".join(printed)
            shown += 1
    assert shown >= 3


@pytest.fixture(name="server")
def server_fixture(terminal: Terminal) -> Server:
    terminal.write("code/main.py", CODE)
    terminal.write("other/main.py", CODE.replace("work(item)\n    time", "work([item])\n    time"))
    terminal.write("longer/main.py", CODE.replace("    return event", "    work('the end')\n    return event"))
    terminal.write("broken/main.py", "import nothing_of_this_name\n" + CODE)
    terminal.write("busy/main.py", BUSY)
    server = terminal.serve()
    server.deploy("code")
    return server


def shell(terminal: Terminal, command: str) -> str:
    """What a command of the page prints; it must succeed."""
    environment = {**terminal.environment, "PATH": f"{Path(PERDURE).parent}:{os.environ['PATH']}"}
    ran = subprocess.run(
        command, shell=True, cwd=terminal.folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert ran.returncode == 0, f"$ {command}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout + ran.stderr


def preflight(server: Server, folder: str, *more: str, code: int = 0) -> Any:
    arguments = ("--project", "p", "--preflight", "--server", server.address, "--json")
    return server.terminal.run("deploy", folder, *arguments, *more, code=code).document


def test_a_build_that_would_break_a_session_is_refused(server: Server) -> None:
    fits, breaks = server.begin("main.py:main", []), server.begin("main.py:main", ["a"])
    server.until_suspended(fits)
    server.until_suspended(breaks)
    said = preflight(server, "other", code=REFUSED)
    assert said["deployment_id"] is None
    assert said["error"]["code"] == "P0503"
    assert said["preflight"]["sessions"] == 2
    (broken,) = said["preflight"]["broken"]
    assert broken["session_id"] == breaks
    assert broken["differences"][0]["recorded"] == "'a'"
    assert (broken["code"], broken["agreed"], broken["state"]) == ("P0501", 0, "waiting")

    forced = preflight(server, "other", "--force")
    assert forced["deployment_id"]
    assert len(forced["preflight"]["broken"]) == 1


def test_a_build_that_cannot_be_loaded_is_refused(server: Server) -> None:
    server.until_suspended(server.begin("main.py:main", ["a"]))
    (broken,) = preflight(server, "broken", code=REFUSED)["preflight"]["broken"]
    assert "nothing_of_this_name" in broken["reason"]


def test_what_comes_after_the_journal_is_no_difference(server: Server) -> None:
    server.until_suspended(server.begin("main.py:main", ["a", "b"]))
    assert preflight(server, "longer")["preflight"]["broken"] == []


def test_a_session_that_runs_is_replayed_as_far_as_it_is(server: Server) -> None:
    server.deploy("busy")
    session = server.begin("main.py:main", None)
    until(lambda: server.session(session).entries >= 3, "it has begun its second activity")
    said = server.terminal.run(
        "sessions", "replay", "--all", "--build", "busy", "--project", "p", "--server", server.address, "--json"
    ).document
    assert (said["sessions"], said["broken"]) == (1, [])
    assert server.session(session).state == "running"

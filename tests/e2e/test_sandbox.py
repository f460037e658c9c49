"""`perdure serve` with default settings holds strangers' code; `perdure run` leaves the developer's alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from terminal import Terminal

LOOK = """
    import os, subprocess

    def look(event):
        try:
            note = open(event["note"]).read()
        except OSError as error:
            note = type(error).__name__
        open("scratch.txt", "w").write("mine")
        return {
            "note": note,
            "user": os.getuid(),
            "processes": sorted(int(name) for name in os.listdir("/proc") if name.isdigit())[:3],
            "shell": subprocess.check_output(["sh", "-c", "cat scratch.txt"], text=True),
            "interfaces": os.listdir("/proc/net/dev_snmp6"),
        }

    def bomb(_event):
        return len(bytearray(1 << 30))

    def fill(_event):
        for number in range(1000):
            open(f"/tmp/{number}", "w").write("x" * 65536)
"""
MANIFEST = """
    limits:
      memory: 256MiB
      disk: 4MiB
"""


@pytest.fixture(name="project")
def project_fixture(terminal: Terminal) -> Path:
    terminal.write("p/main.py", LOOK)
    terminal.write("p/perdure.yaml", MANIFEST)
    return terminal.write("note.txt", "for the developer's eyes")


def finished(terminal: Terminal, address: str, entry: str, event: Any = None) -> dict[str, Any]:
    """A session from its start to its end, as its document."""
    words = ["start", entry, "--project", "p", "--server", address, "--event", json.dumps(event), "--wait", "--json"]
    process = terminal.spawn(*words)
    said, _ = process.communicate(timeout=200)
    document: dict[str, Any] = json.loads(said)
    return document


def namespaces(terminal: Terminal) -> None:
    found = terminal.run("doctor", "--json").document
    if next(each for each in found if each["name"] == "isolation")["verdict"] != "ok":
        pytest.skip("this machine cannot have the full sandbox; perdure doctor says why")


def test_served_sessions_are_held_and_the_developer_s_are_not(terminal: Terminal, project: Path) -> None:
    namespaces(terminal)
    server = terminal.serve("home")
    server.deploy("p")
    event = {"note": str(project)}
    held = finished(terminal, server.address, "main.py:look", event)["result"]
    assert held == {
        "note": "FileNotFoundError",
        "user": 1000,
        "processes": [1, 2, 3] if len(held["processes"]) == 3 else [1, 2],
        "shell": "mine",
        "interfaces": ["lo"],
    }
    for handler, code in (("bomb", "P0603"), ("fill", "P0607")):
        ended = finished(terminal, server.address, f"main.py:{handler}")
        assert ended["state"] == "failed"
        assert ended["error"]["code"] == code
    own = terminal.run("run", "p:main.py:look", "--event", json.dumps(event), "--json").document["result"]
    assert own["note"] == "for the developer's eyes"
    strictly = ("--isolation", "strict", "--home", "another", "--event", json.dumps(event), "--json")
    tried = terminal.run("run", "p:main.py:look", *strictly)
    assert tried.document["result"]["note"] == "FileNotFoundError"


def test_a_kind_that_cannot_be_had_is_refused(terminal: Terminal, project: Path) -> None:
    terminal.variables["PATH"] = str(project.parent / "nowhere")
    ran = terminal.run("run", "p:main.py:look", "--isolation", "bubblewrap", code=1)
    assert "there is no bwrap" in ran.err
    assert "doctor" in ran.err


def test_no_isolation_is_said_loudly(terminal: Terminal, project: Path) -> None:
    ran = terminal.run("run", "p:main.py:look", "--isolation", "plain", "--event", json.dumps({"note": str(project)}))
    assert "NOT SANDBOXED" in ran.err

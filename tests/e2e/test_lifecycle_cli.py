"""A project's life on a server, from the command line; and a session with secrets as a file."""

from __future__ import annotations

import urllib.error
import urllib.request
from pathlib import Path

from terminal import Terminal, until

CODE = """
    import os
    import random

    import perdure

    def hook(event):
        perdure.next_signal("go")

    def secretive(event):
        return os.environ["PIN"] + str(random.random())
"""
MANIFEST = """
    name: shop
    vars: {PIN: {secret: true}}
    triggers:
      hook: {webhook: {}, call: "main.py:hook"}
"""


def post(url: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, data=b"{}", method="POST"), timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_a_project_is_rolled_back_ended_and_deleted(terminal: Terminal) -> None:
    terminal.write("shop/main.py", CODE)
    terminal.write("shop/perdure.yaml", MANIFEST)
    server = terminal.serve("home", "--http", "127.0.0.1:0", "--session-retention", "1000000")
    where = ["--server", server.address]
    terminal.run("vars", "set", "PIN", "--secret", "--project", "shop", *where, stdin=_text(terminal, "4711"))
    first = terminal.run("deploy", "shop", *where, "--json").document
    (trigger,) = first["triggers"]
    terminal.write("shop/main.py", CODE + "\n    # another\n")
    second = terminal.run("deploy", "shop", *where, "--json").document
    back = terminal.run("deploy", "--rollback", "--project", "shop", *where, "--json").document
    assert back["build_id"] == first["build_id"] != second["build_id"]
    assert [each["url"] for each in back["triggers"]] == [trigger["url"]]
    again = terminal.run(
        "deploy", "--rollback", second["deployment_id"], "--project", "shop", *where, "--json"
    ).document
    assert again["build_id"] == second["build_id"]
    assert post(trigger["url"]) == 202

    def sessions() -> dict[str, int]:
        builds = terminal.run("builds", "list", "--project", "shop", *where, "--json").document
        return {build["build_id"]: build["sessions"] for build in builds}

    until(lambda: second["build_id"] in sessions() and sessions()[second["build_id"]], "the event has its session")
    assert sessions() == {first["build_id"]: 0, second["build_id"]: 1}
    fetched = terminal.run("builds", "fetch", first["build_id"][:16], "-o", "b.tar.gz", *where, "--json").document
    assert fetched == {"build_id": first["build_id"], "file": "b.tar.gz"}
    for kind in ("builds", "deployments", "triggers", "events"):
        assert terminal.run(kind, "list", "--project", "nobody", *where).err.startswith(f"no {kind}")
    assert (terminal.folder / "b.tar.gz").stat().st_size

    ended = terminal.run("deployments", "deactivate", "--project", "shop", *where, "--json").document
    assert (ended["deployment_id"], ended["state"]) == (again["deployment_id"], "draining")
    assert post(trigger["url"]) == 404
    refused = terminal.run("projects", "delete", "shop", "--yes", *where, code=1)
    assert "P0233" in refused.err
    gone = terminal.run("projects", "delete", "shop", "--yes", "--force", *where, "--json").document
    assert gone == {"project": "shop", "sessions": 1}
    assert terminal.run("projects", "list", *where, "--json").document == []
    assert terminal.run("sessions", "list", *where, "--json").document == []
    found = terminal.run("gc", "--dry-run", *where, "--json").document
    assert (found["sessions"], found["dry_run"]) == (0, True)
    server.stop()


def test_what_a_home_has_sealed_stays_sealed_in_a_file(terminal: Terminal) -> None:
    terminal.write("shop/main.py", CODE)
    terminal.write("shop/perdure.yaml", MANIFEST)
    terminal.run("vars", "set", "PIN", "--secret", "--project", "shop", stdin=_text(terminal, "hush4711"))
    ran = terminal.run("run", "shop:main.py:secretive", "--json").document
    terminal.run("sessions", "export", ran["session_id"], "-o", "s.perdure", "--with-key")
    file = terminal.folder / "s.perdure"
    assert file.stat().st_mode & 0o777 == 0o600
    assert b"hush4711" not in file.read_bytes()
    assert b'"sealed": true' in file.read_bytes()
    terminal.run("sessions", "import", "s.perdure", "--home", "other")
    shown = terminal.run("sessions", "show", "latest", "--home", "other", "--json").document
    assert (shown["session_id"], shown["state"]) == (ran["session_id"], "completed")
    refused = terminal.run("sessions", "replay", "latest", "--home", "other", code=2)
    assert "P0220" in refused.err
    here = terminal.run("sessions", "import", "s.perdure", "--json").document
    assert here["session_id"] != ran["session_id"]


def _text(terminal: Terminal, text: str) -> object:
    file = Path(terminal.write("stdin", text))
    return file.open()


def test_an_export_that_cannot_be_written_leaves_nothing(terminal: Terminal) -> None:
    terminal.write("shop/main.py", "def main(event): return 1\n")
    terminal.run("run", "shop:main.py:main")
    failed = terminal.run("sessions", "export", "latest", "-o", "missing/file", code=2)
    assert "P0110" in failed.err
    terminal.write("no.perdure", "nothing")
    assert "P0229" in terminal.run("sessions", "import", "no.perdure", code=2).err
    assert until(lambda: not list(terminal.folder.glob("*.perdure.*")), "drafts are gone")

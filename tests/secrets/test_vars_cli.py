"""`perdure vars`, and where else a user meets a secret."""

from __future__ import annotations

import base64
import sys
from collections.abc import Iterator
from pathlib import Path

import perdure.testing
import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from terminal import Terminal, descendants, opened

VALUE = "hunter-2-hunter"
HANDLER = """
    import os

    def main(event):
        print("the token is", os.environ["TOKEN"])
        return len(os.environ["TOKEN"])
"""
MANIFEST = "name: shop\nvars:\n  TOKEN: {secret: true}\n  MODE: test\n"


@pytest.fixture(name="terminal")
def terminal_fixture(tmp_path: Path) -> Iterator[Terminal]:
    with opened(tmp_path) as terminal:
        terminal.write("shop/main.py", HANDLER)
        terminal.write("shop/perdure.yaml", MANIFEST)
        yield terminal


def give(terminal: Terminal, *arguments: str, value: str = VALUE) -> str:
    given = terminal.write("given", value)
    with given.open() as stdin:
        return terminal.run("vars", "set", *arguments, stdin=stdin).err


def environment(pid: int) -> bytes:
    """As it was given to a process; empty when that is gone, or lives where nobody else can look."""
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return b""


def test_a_secret_is_set_run_with_listed_and_unset(terminal: Terminal) -> None:
    assert "P0104" in terminal.run("run", "shop", code=2).err
    assert "set TOKEN (secret)" in give(terminal, "TOKEN", "--secret", "--project", "shop", value=VALUE + "\n")
    ran = terminal.run("run", "shop", "--json")
    assert (ran.document["result"], ran.document["prints"]) == (len(VALUE), ["the token is ***"])
    give(terminal, "MODE", "--project", "shop", value="live\x1b[2J")
    listed = terminal.run("vars", "list", "--project", "shop", "--json").document
    assert [(var["name"], var["secret"], var["value"]) for var in listed] == [
        ("MODE", False, "live\x1b[2J"),
        ("TOKEN", True, None),
    ]
    table = terminal.run("vars", "list", "--project", "shop").out
    assert [line.split() for line in table.splitlines()] == [
        ["NAME", "VALUE"],
        ["MODE", "live\\x1b[2J"],
        ["TOKEN", "(secret)"],
    ]
    assert terminal.run("vars", "list", "--project", "other").err == "no variables\n"
    assert "unset TOKEN" in terminal.run("vars", "unset", "TOKEN", "--project", "shop").err
    assert "was not set" in terminal.run("vars", "unset", "TOKEN", "--project", "shop").err
    unset = terminal.run("vars", "unset", "TOKEN", "--project", "shop", "--json")
    assert unset.document == {"name": "TOKEN", "existed": False}
    assert "P0104" in terminal.run("run", "shop", code=2).err


def test_values_come_from_the_environment_and_from_files_but_from_no_argument(terminal: Terminal) -> None:
    terminal.write("value", VALUE)
    terminal.variables["GIVEN"] = VALUE
    for source in (("--from-env", "GIVEN"), ("--from-file", "value")):
        told = terminal.run("vars", "set", "TOKEN", "--secret", "--project", "shop", *source, "--json")
        assert told.document == {"name": "TOKEN", "secret": True}
        assert terminal.run("run", "shop", "--json").document["result"] == len(VALUE)
    refused = terminal.run("run", "shop", "--var", f"TOKEN={VALUE}", code=2)
    assert "P0103" in refused.err
    assert VALUE not in refused.err
    assert "P0104" in terminal.run("vars", "set", "TOKEN", "--project", "shop", "--from-env", "NONE", code=2).err
    assert "P0110" in terminal.run("vars", "set", "TOKEN", "--project", "shop", "--from-file", "none", code=2).err


def test_a_secret_that_the_environment_should_have_given_is_missed_at_deploy(terminal: Terminal) -> None:
    (terminal.folder / "shop/perdure.yaml").write_text(MANIFEST.replace("{secret: true}", "{secret: true, env: GIVEN}"))
    server = terminal.serve()
    refused = terminal.run("deploy", "shop", "--server", server.address, code=2).err
    assert "P0104" in refused
    assert "perdure.yaml:3:3 variable TOKEN: GIVEN is not set" in refused
    assert "perdure vars set TOKEN --secret --project shop" in refused
    assert terminal.run("deployments", "list", "--server", server.address, "--json").document == []
    give(terminal, "TOKEN", "--secret", "--project", "shop", "--server", server.address)
    assert terminal.run("deploy", "shop", "--server", server.address).err.count("P0104") == 0
    server.stop()
    assert terminal.run("run", "shop", "--home", "other", code=2).err.count("GIVEN is not set") == 1
    terminal.variables["GIVEN"] = VALUE
    assert terminal.run("run", "shop", "--home", "other", "--json").document["result"] == len(VALUE)


def test_what_the_manifest_here_calls_secret_is_one(terminal: Terminal) -> None:
    (terminal.folder / "perdure.yaml").write_text(MANIFEST)
    assert "set TOKEN (secret)" in give(terminal, "TOKEN")
    assert "not masked" in give(terminal, "TOKEN", value="abc")


def test_checks_and_tests_take_secrets_without_a_home(terminal: Terminal) -> None:
    terminal.variables["TOKEN"] = VALUE
    checked = terminal.run("check", "shop")
    assert VALUE not in checked.out + checked.err
    outcome = perdure.testing.run(f"{terminal.folder / 'shop'}:main.py:main", vars={"TOKEN": VALUE, "MODE": "live"})
    assert (outcome.result, outcome.prints) == (len(VALUE), ["the token is ***"])


def test_the_key_of_the_environment_is_handed_to_nobody(terminal: Terminal) -> None:
    key = base64.b64encode(bytes(range(32))).decode()
    terminal.variables["PERDURE_KEY"] = key
    server = terminal.serve()
    server.deploy("shop", "shop")
    give(terminal, "TOKEN", "--secret", "--project", "shop", "--server", server.address)
    server.until(server.begin("main.py:main", project="shop"), "completed")
    below = [environment(pid) for pid in (server.host_pid, *descendants(server.host_pid))]
    assert any(below)
    assert not any(key.encode() in each for each in below)
    assert not (server.home / "secrets.key").exists()
    server.stop()
    del terminal.variables["PERDURE_KEY"]
    assert "P0220" in terminal.run("serve", "--home", server.home, code=2).err

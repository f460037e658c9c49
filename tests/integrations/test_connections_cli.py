"""`perdure connections`: made, listed, tested and removed by a user at a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from vendor_stubs import http_stub

sys.path.insert(0, str(Path(__file__).parents[1] / "e2e"))
from terminal import Terminal, opened

SECRET = "xoxb-hunter-2-hunter"
HANDLER = """
    import os
    from perdure.integrations import connection, slack_client

    def main(event):
        values = connection("team")
        print("the token is", values.need("token"))
        return [values.keys(), len(values.need("token"))]

    def client(event):
        slack_client("nobody")
"""
MANIFEST = "name: shop\nconnections:\n  team: slack\n"


@pytest.fixture(name="terminal")
def terminal_fixture(tmp_path: Path) -> Iterator[Terminal]:
    with opened(tmp_path) as terminal:
        terminal.write("shop/main.py", HANDLER)
        terminal.write("shop/perdure.yaml", MANIFEST)
        yield terminal


def add(terminal: Terminal, *arguments: str, code: int = 0) -> str:
    return terminal.run("connections", "add", *arguments, "--project", "shop", code=code).err


def test_a_connection_is_made_used_listed_and_removed(terminal: Terminal) -> None:
    assert "lacks token" in terminal.run("deploy", "shop").err
    token = terminal.write("token", f"{SECRET}\n")
    assert "connection to Slack with token" in add(terminal, "slack", "team", "--token", f"@{token}")
    assert "lacks" not in terminal.run("deploy", "shop").err
    ran = terminal.run("run", "shop:main.py:main", "--json")
    assert ran.document["result"] == [["token"], len(SECRET)]
    assert ran.document["prints"] == ["the token is ***"]
    (listed,) = terminal.run("connections", "list", "--project", "shop", "--json").document
    assert (listed["name"], listed["integration"], listed["keys"], listed["missing"]) == (
        "team",
        "slack",
        ["token"],
        [],
    )
    assert listed["webhook_url"].startswith("/connections/")
    assert SECRET not in terminal.run("connections", "list", "--project", "shop").out
    files = [file for file in terminal.folder.rglob("*") if file.is_file() and file != token]
    assert [file for file in files if SECRET.encode() in file.read_bytes()] == []
    assert "removed team" in terminal.run("connections", "remove", "team", "--project", "shop").err
    gone = terminal.run("connections", "remove", "team", "--project", "shop", "--json")
    assert gone.document == {"name": "team", "existed": False}
    assert terminal.run("connections", "list", "--project", "shop", "--json").document == []
    assert terminal.run("vars", "list", "--project", "shop", "--json").document == []


def test_a_client_without_a_connection_says_what_to_do(terminal: Terminal) -> None:
    ran = terminal.run("run", "shop:main.py:client", "--json", code=1)
    error = ran.document["error"]
    assert error["type"] == "perdure.integrations.ConnectionInitError"
    assert "nobody__token" in error["message"]
    assert "perdure connections add slack nobody --set token=@FILE" in ran.err + str(error)


def test_values_come_from_where_they_are_said_to_be(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUB_TOKEN", "ghp")
    add(terminal, "github", "hub", "--set", "token=${HUB_TOKEN}", "--set", "base_url=${HUB_URL:-http://127.0.0.1:1}")
    assert "P0108" in add(terminal, "github", "hub", "--set", "token=${NOT_THERE}", code=2)
    assert "command lines can be read" in add(terminal, "github", "hub", "--set", "token=ghp", code=2)
    assert "no key 'tokn'; did you mean 'token'?" in add(terminal, "github", "hub", "--set", "tokn=@x", code=2)
    assert "did you mean 'github'?" in add(terminal, "gitub", "hub", code=2)
    assert "is a connection to github already" in add(terminal, "slack", "hub", "--token", "@/dev/null", code=2)
    shown = terminal.run("vars", "list", "--project", "shop", "--json").document
    assert [(var["name"], var["value"]) for var in shown] == [
        ("hub__base_url", "http://127.0.0.1:1"),
        ("hub__token", None),
    ]


def test_a_connection_is_tested_without_its_credentials(terminal: Terminal) -> None:
    with http_stub({"GET /": {}}) as stub:
        add(terminal, "http", "api", "--set", f"base_url={stub.url}/", "--token", "secret-token")
        tested = terminal.run("connections", "test", "api", "--project", "shop", "--json")
        assert (tested.document["status"], tested.document["missing"]) == (200, [])
        assert [asked.headers.get("authorization") for asked in stub.asked] == [None]
        terminal.run("connections", "test", "api", "--project", "shop", "--offline")
        assert stub.lines == ["GET /"]
    assert "P0207" in terminal.run("connections", "test", "api", "--project", "shop", code=3).err
    add(terminal, "slack", "team", "--set", "base_url=http://127.0.0.1:1")
    assert "lacks token" in terminal.run("connections", "test", "team", "--offline", "--project", "shop", code=1).err
    assert "did you mean 'team'?" in terminal.run("connections", "test", "tam", "--project", "shop", code=2).err


def test_the_table_of_integrations(terminal: Terminal) -> None:
    found = {entry["name"]: entry for entry in terminal.run("connections", "integrations", "--json").document}
    assert found["slack"]["ways"] == [["token"], ["oauth_access_token"]]
    assert found["smtp"]["clients"] == ["smtp_client"]
    shown = terminal.run("connections", "integrations").out
    assert max(map(len, shown.splitlines())) <= 100
    words = {word for entry in found.values() for word in (entry["name"], *entry["clients"])}
    assert words <= set(shown.replace(",", " ").split())
    assert (shown.count("oauth_*"), shown.count("oauth_client_id")) == (sum(e["oauth"] for e in found.values()), 0)

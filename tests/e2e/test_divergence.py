"""Code that no longer fits its journal stops before it does anything outside, and both calls are shown."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.effects import EffectServer, serving
from terminal import Server, Terminal

RECORDED = """\
import requests
import time

def main(event):
    first = requests.get(f"{event['url']}/first").text
    second = requests.get(f"{event['url']}/second").text
    time.sleep(30 * 24 * 3600)
    third = requests.get(f"{event['url']}/third").text
    return [first, second, third]
"""
SECOND = "    second = requests.get(f\"{event['url']}/second\").text"
EDITED = "    second = requests.post(f\"{event['url']}/other\").text"
MOVED = f"# a comment moves all lines, which is no difference\n{RECORDED}"
SHORTER = RECORDED.replace("    time.sleep", "    return [first, second]\n    time.sleep")
DIVERGED = 4


@pytest.fixture(name="effects")
def effects_fixture() -> Iterator[EffectServer]:
    with serving() as server:
        yield server


@pytest.fixture(name="server")
def server_fixture(terminal: Terminal) -> Server:
    for folder, code in {
        "recorded": RECORDED,
        "edited": RECORDED.replace(SECOND, EDITED),
        "moved": MOVED,
        "shorter": SHORTER,
    }.items():
        terminal.write(f"{folder}/main.py", code)
    server = terminal.serve()
    server.deploy("recorded")
    return server


@pytest.fixture(name="session")
def session_fixture(server: Server, effects: EffectServer) -> str:
    """A recorded session that sleeps between its second and its third request."""
    session = server.begin("main.py:main", {"url": f"{effects.url}/run"})
    server.until_suspended(session)
    return session


def assert_both_sides(text: str) -> None:
    assert "P0501" in text
    assert "requests.api.get" in text
    assert "main.py:6" in text
    assert SECOND.strip() in text
    assert "requests.api.post" in text
    assert EDITED.strip() in text


def test_replay_shows_both_calls_and_does_nothing(server: Server, session: str, effects: EffectServer) -> None:
    seen = effects.ledger("run").requests
    where = ("--build", "edited", "--server", server.address)
    assert_both_sides(server.terminal.run("sessions", "replay", session, *where, code=DIVERGED).out)

    said = server.terminal.run("sessions", "replay", session, *where, "--json", code=DIVERGED).document
    assert said["agrees"] is False
    assert (said["recorded"]["function"], said["recorded"]["line"]) == ("requests.api.get", 6)
    assert (said["called"]["function"], said["called"]["line"]) == ("requests.api.post", 6)
    assert said["recorded"]["source"].strip() == SECOND.strip()
    assert said["called"]["source"].strip() == EDITED.strip()

    assert effects.ledger("run").requests == seen == {"GET /first": 1, "GET /second": 1}
    assert server.session(session).state == "waiting", "the session itself is as it was"


def test_replay_of_code_that_ends_too_soon(server: Server, session: str) -> None:
    where = ("--build", "shorter", "--server", server.address)
    said = server.terminal.run("sessions", "replay", session, *where, "--json", code=DIVERGED).document
    assert said["recorded"]["line"] == 7, "the sleep that it never came to"
    assert said["called"] is None


@pytest.mark.parametrize("build", [(), ("--build", "moved")], ids=["its own", "other lines"])
def test_replay_of_code_that_still_fits(
    server: Server, session: str, effects: EffectServer, build: tuple[str, ...]
) -> None:
    ran = server.terminal.run("sessions", "replay", session, *build, "--server", server.address)
    assert "no difference" in ran.out
    assert effects.ledger("run").total == 2


def test_replay_without_a_server(server: Server, session: str, effects: EffectServer) -> None:
    server.stop()
    ran = server.terminal.run("sessions", "replay", session, "--build", "edited", "--home", server.home, code=DIVERGED)
    assert_both_sides(ran.out)
    assert effects.ledger("run").total == 2


def test_a_live_session_on_edited_code_diverges(server: Server, session: str, effects: EffectServer) -> None:
    entries = server.session(session).entries
    where = ("--from", str(entries - 1), "--from-dir", "edited", "--server", server.address)  # the wait is not shared
    forked = server.terminal.run("sessions", "fork", session, *where, "--json").document["session_id"]
    server.until(forked, "diverged")
    assert_both_sides(server.terminal.run("sessions", "show", forked, "--server", server.address).out)
    shown = server.terminal.run("sessions", "show", forked, "--server", server.address, "--json").document
    assert (shown["state"], shown["result"]) == ("diverged", None)
    assert "requests.api.get at main.py:6" in shown["error"]["message"]
    assert "requests.api.post at main.py:6" in shown["error"]["message"]
    assert effects.ledger("run").requests == {"GET /first": 1, "GET /second": 1}

"""Code that no longer fits its journal stops before it does anything outside, and both calls are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

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
LOOP = """\
import perdure
import time

@perdure.activity
def work(how, item):
    return f"{how} {item}"

def main(event):
    done = []
    for item in range(3):
        HOW
        done.append(work(how, item))
        perdure.sleep(30 * 24 * 3600)
    return done
"""
OLD_WAY, BOTH_WAYS = 'how = "old"', 'how = "new" if perdure.version("way") else "old"'
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


def document(server: Server, session: str) -> Any:
    return server.terminal.run("sessions", "show", session, "--server", server.address, "--json").document


def wake(server: Server, session: str, times: int) -> None:
    for _ in range(times):
        server.until_suspended(session)
        server.terminal.run("sessions", "signal", session, "--wake", "--server", server.address)


def test_a_version_keeps_the_old_way_for_sessions_that_went_it(server: Server) -> None:
    server.terminal.write("loop/main.py", LOOP.replace("HOW", OLD_WAY))
    server.terminal.write("both/main.py", LOOP.replace("HOW", BOTH_WAYS))
    server.deploy("loop")
    old = server.begin("main.py:main")
    wake(server, old, 1)
    server.until_suspended(old)
    server.deploy("both")
    new = server.begin("main.py:main")
    wake(server, new, 3)
    where = ("--from-dir", "both", "--server", server.address, "--json")
    forked = server.terminal.run("sessions", "fork", old, "--from", "6", *where).document["session_id"]
    wake(server, forked, 2)
    server.until(new, "completed")
    server.until(forked, "completed")
    assert document(server, new)["result"] == ["new 0", "new 1", "new 2"]
    assert document(server, forked)["result"] == ["old 0", "old 1", "old 2"], "in a loop too: once old, always old"

    replayed = server.terminal.run("sessions", "replay", new, "--build", "both", "--server", server.address)
    assert "no difference" in replayed.out
    back = server.terminal.run("sessions", "replay", new, "--build", "loop", "--server", server.address, code=DIVERGED)
    assert "args[0]: 'new' -> 'old'" in back.out, "the version itself is no difference, what was done because of it is"


def test_a_session_that_has_ended_does_not_go_on_in_replay(server: Server) -> None:
    code = LOOP.replace("HOW", OLD_WAY).replace("        perdure.sleep(30 * 24 * 3600)\n", "")
    server.terminal.write("ends/main.py", code)
    server.terminal.write("more/main.py", code.replace("    return", "    work('more', 1)\n    return"))
    server.terminal.write("fails/main.py", code.replace("    return", "    done[9]\n    return"))
    server.deploy("ends")
    session = server.begin("main.py:main")
    server.until(session, "completed")
    where = ("--server", server.address, "--json")
    said = server.terminal.run("sessions", "replay", session, "--build", "more", *where, code=DIVERGED).document
    assert (said["recorded"], said["called"]["args"], said["agreed"]) == (None, "'more', 1", 6)
    said = server.terminal.run("sessions", "replay", session, "--build", "fails", *where, code=DIVERGED).document
    assert "IndexError" in said["reason"]


def test_the_error_of_a_diverged_session_has_its_code_and_both_builds(server: Server, session: str) -> None:
    entries = server.session(session).entries
    where = ("--server", server.address, "--json")
    fork = ("sessions", "fork", session, "--from", str(entries - 1), "--from-dir", "edited")
    forked = server.terminal.run(*fork, *where).document["session_id"]
    server.until(forked, "diverged")
    assert server.session(forked).error.code == "P0501"
    shown = document(server, forked)
    assert shown["error"]["code"] == "P0501"
    assert shown["divergence"]["recorded_build"] == server.session(session).build_id
    assert shown["divergence"]["called_build"] == server.session(forked).build_id
    text = server.terminal.run("sessions", "show", forked, "--server", server.address).out
    assert f"--build {server.session(session).build_id}" in text


def test_a_module_that_fails_to_load_is_said_so(terminal: Terminal) -> None:
    terminal.write("broken/main.py", "x = 1 // 0\n\ndef main(event): ...\n")
    ran = terminal.run("run", "broken/main.py:main", "--json", code=1)
    assert (ran.document["error"]["code"], ran.document["error"]["type"]) == ("P0302", "ZeroDivisionError")
    assert "importlib" not in terminal.run("run", "broken/main.py:main", code=1).err


def test_the_reason_of_a_stop_is_bounded(server: Server, session: str) -> None:
    stop = ("sessions", "stop", session, "--reason", "x" * 1001, "--server", server.address)
    assert "P0103" in server.terminal.run(*stop, code=2).err
    assert server.session(session).state == "waiting"

"""The ways through the command line that a user takes: run, interrupt, resume; serve, start, follow, steer."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from perdure_proto.v1 import control_pb2 as pb
from pool.held import outside
from support.effects import EffectServer, serving
from terminal import PATIENCE_S, PERDURE, Server, Terminal, alive, descendants, until

FAILED, USAGE, UNREACHABLE, INTERRUPTED = 1, 2, 3, 130

DOCUMENT = {
    "session_id", "project", "build_id", "entry_point", "state", "result", "error", "prints", "activities",
    "created_at", "ended_at", "parent_id", "event_id",
}  # fmt: skip
ACTIVITY = {
    "lane", "seq", "kind", "function", "state", "attempts", "started_at", "duration_ms",
    "file", "line", "args", "result",
}  # fmt: skip

HANDLERS = """
    import asyncio
    import logging
    import random
    import sys
    import time

    import perdure
    import requests

    def main(event):
        print("begin")
        for number in range(event["calls"]):
            print(requests.get(f"{event['url']}/slow/{event.get('slow', 0)}/{number}", timeout=60).text)
        print("end", file=sys.stderr)
        logging.getLogger("shop").warning("stock is low")
        return {"calls": event["calls"], "lucky": random.randrange(10)}

    def fails(event):
        raise ValueError("no more tea")

    def waits(event):
        print("waiting")
        signal = perdure.next_signal("go")
        print("heard", signal.payload)
        return signal.payload

    @perdure.activity
    def talk(until):
        while time.monotonic() < until:
            print("talking")

    def talks(event):
        talk(time.monotonic() + 60)

    async def later(event):
        await asyncio.sleep(0.01)
        return await asyncio.sleep(0.01, "later")

    def prints(event):
        for number in range(event):
            print(number, "\\N{SNOWMAN} caf\\xe9")
        return "\\N{SNOWMAN}"
"""


@pytest.fixture(name="effects")
def effects_fixture() -> Iterator[EffectServer]:
    with serving() as server:
        yield server


@pytest.fixture(name="project", autouse=True)
def project_fixture(terminal: Terminal) -> Path:
    return terminal.write("p/main.py", HANDLERS).parent


@pytest.fixture(name="server")
def server_fixture(terminal: Terminal) -> Server:
    server = terminal.serve()
    server.deploy("p")
    terminal.variables["PERDURE_SERVER"] = server.address
    return server


def event_of(effects: EffectServer, run: str, calls: int, slow_s: float = 0) -> str:
    return json.dumps({"url": f"{effects.url}/{run}", "calls": calls, "slow": slow_s})


def called(effects: EffectServer, run: str, times: int) -> None:
    until(lambda: effects.ledger(run).total >= times, f"{times} calls are made")


# --- run and resume ---------------------------------------------------------------------------------------------------


def test_run_streams_output_and_exits_by_the_outcome(terminal: Terminal, effects: EffectServer) -> None:
    ran = terminal.run("run", "p", "--event", event_of(effects, "run", 2))
    assert ran.out == "begin\n0\n1\n"
    assert "end\n" in ran.err
    assert "stock is low" in ran.err
    assert "completed" in ran.err.splitlines()[-1]

    failed = terminal.run("run", "p/main.py:fails", code=FAILED)
    assert 'File "main.py"' in failed.err
    assert 'raise ValueError("no more tea")' in failed.err
    assert "ValueError: no more tea" in failed.err


def test_run_json_is_the_document_and_nothing_else(terminal: Terminal, effects: EffectServer) -> None:
    document = terminal.run("run", "p", "--event", event_of(effects, "json", 2), "--json").document
    assert set(document) == DOCUMENT
    assert [set(activity) for activity in document["activities"]] == [ACTIVITY] * 3
    assert (document["project"], document["entry_point"], document["state"]) == ("p", "main.py:main", "completed")
    assert document["prints"] == ["begin", "0", "1"]
    assert document["result"]["calls"] == 2
    assert [(a["kind"], a["function"]) for a in document["activities"]] == [
        ("activity", "requests.api.get"),
        ("activity", "requests.api.get"),
        ("marker", "random.randrange"),
    ]
    assert document["error"] is None

    failed = terminal.run("run", "p/main.py:fails", "--json", code=FAILED).document
    assert set(failed) == DOCUMENT
    assert set(failed["error"]) == {"type", "message", "traceback"}
    assert (failed["error"]["type"], failed["error"]["message"]) == ("ValueError", "no more tea")
    assert failed["error"]["traceback"][-1] == {"file": "main.py", "line": 20, "name": "fails"}


def test_a_killed_run_is_resumed(terminal: Terminal) -> None:
    with outside(lambda _run, number: number == 4) as world:
        run = terminal.spawn("run", "p", "--event", event_of(world, "killed", 10))
        until(lambda: world.seen("killed") == [0, 1, 2, 3, 4], "it is inside its fifth call")
        below = descendants(run.pid)
        run.kill()
        out, _ = run.communicate(timeout=PATIENCE_S)
        until(lambda: not any(alive(pid) for pid in below), "its host and runner die with it")
        world.free.set()
        rest = terminal.run("resume")
    assert (out + rest.out).splitlines()[0] == "begin"
    assert rest.out.splitlines()[-1] == "9"
    assert world.seen("killed") == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8, 9]
    assert "no unfinished session" in terminal.run("resume").err


def test_ctrl_c_leaves_the_session_resumable(terminal: Terminal) -> None:
    with outside(lambda _run, number: number == 3) as world:
        run = terminal.spawn("run", "p", "--event", event_of(world, "interrupted", 10))
        until(lambda: world.seen("interrupted") == [0, 1, 2, 3], "it is inside its fourth call")
        run.send_signal(signal.SIGINT)
        interrupted = terminal.finish(run, INTERRUPTED)
        again = interrupted.err.splitlines()[-1]
        assert "interrupted" in again
        session = again.rpartition(" ")[2]
        assert f"perdure resume {session}" in again
        shown = terminal.run("sessions", "show", session, "--json").document
        assert shown["state"] in {"running", "waiting", "starting"}
        world.free.set()
        document = terminal.run("resume", session, "--json").document
    assert document["prints"] == ["begin", *map(str, range(10))]
    assert world.seen("interrupted") == [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 9]


def test_no_durable_records_nothing(terminal: Terminal, effects: EffectServer) -> None:
    document = terminal.run("run", "p", "--event", event_of(effects, "bare", 2), "--no-durable", "--json").document
    assert (document["state"], document["activities"]) == ("completed", [])
    assert document["prints"] == ["begin", "0", "1"]
    assert effects.ledger("bare").total == 2


def test_an_async_handler(terminal: Terminal) -> None:
    document = terminal.run("run", "p/main.py:later", "--json").document
    assert (document["state"], document["result"]) == ("completed", "later")


def test_exit_codes_of_wrong_use_and_no_server(terminal: Terminal) -> None:
    assert "Usage" in terminal.run("run", code=USAGE).err
    assert "No such command" in terminal.run("rnu", code=USAGE).err
    for command in (["sessions", "list"], ["start", "main.py:main", "--project", "p"], ["deploy", "p"]):
        terminal.variables["PERDURE_CONNECT_TIMEOUT"] = "0.5"
        ran = terminal.run(*command, "--server", "127.0.0.1:1", code=UNREACHABLE)
        assert ran.err.startswith("error[P0207] no coordinator answers at 127.0.0.1:1"), ran


# --- terminals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("locale", "encoding"), [("C.UTF-8", "utf-8"), ("C", "ascii:strict"), ("C", "latin-1")])
def test_terminals_of_any_encoding(terminal: Terminal, locale: str, encoding: str) -> None:
    """What cannot be shown is escaped, never a failure; the journal has it as it was."""
    terminal.variables |= {"LC_ALL": locale, "PYTHONIOENCODING": encoding}
    terminal.run("run", "p/main.py:prints", "--event", "1", encoding=encoding.partition(":")[0])
    document = terminal.run("sessions", "list", "--json", encoding=encoding.partition(":")[0]).document
    shown = terminal.run("sessions", "show", document[0]["session_id"], "--json", encoding=encoding.partition(":")[0])
    assert shown.document["prints"] == ["0 \N{SNOWMAN} café"]
    assert shown.document["result"] == "\N{SNOWMAN}"
    terminal.run("sessions", "list", encoding=encoding.partition(":")[0])


def test_colours_are_for_terminals_only(terminal: Terminal) -> None:
    def on_a_terminal() -> bytes:
        ours, theirs = os.openpty()
        process = subprocess.Popen(
            [PERDURE, "run", "p/main.py:later"],
            cwd=terminal.folder,
            env=terminal.environment | {"TERM": "xterm"},
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=theirs,
        )
        terminal.children.append(process)  # type: ignore[arg-type]  # bytes or text: only its end matters
        os.close(theirs)
        said = b""
        try:
            while chunk := os.read(ours, 4096):
                said += chunk
        except OSError:  # EIO: the other end is closed
            pass
        os.close(ours)
        assert process.wait(PATIENCE_S) == 0
        return said

    assert b"\x1b[" not in on_a_terminal(), "NO_COLOR is set"
    terminal.variables["NO_COLOR"] = ""
    assert b"\x1b[" in on_a_terminal()
    assert "\x1b[" not in terminal.run("run", "p/main.py:later").err


@pytest.mark.parametrize("command", [["run", "p/main.py:prints", "--event", "5000"], ["sessions", "list"], ["explain"]])
def test_a_reader_that_leaves(terminal: Terminal, command: list[str]) -> None:
    """`perdure ... | head -1`: no traceback, no words."""
    terminal.run("run", "p/main.py:prints", "--event", "1")
    ours, theirs = os.pipe()
    process = terminal.spawn(*command, stdout=theirs)
    os.close(theirs)
    with open(ours) as pipe:
        assert pipe.readline()
    _, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
    assert process.returncode in {0, 1}


# --- a served home ----------------------------------------------------------------------------------------------------


def test_start_and_wait(terminal: Terminal, server: Server, effects: EffectServer) -> None:
    ran = terminal.run("start", "main.py:main", "--project", "p", "--event", event_of(effects, "wait", 2), "--wait")
    assert ran.out == "begin\n0\n1\n"
    assert "completed" in ran.err.splitlines()[-1]

    where = ("--project", "p", "--json")
    begun = terminal.run("start", "main.py:later", *where).document
    assert set(begun) == {"session_id", "state"}
    document = terminal.run("start", "main.py:later", "--wait", *where).document
    assert set(document) == DOCUMENT
    assert document["result"] == "later"
    assert terminal.run("start", "main.py:fails", "--wait", *where, code=FAILED).document["state"] == "failed"


def test_list_show_history_logs(terminal: Terminal, server: Server, effects: EffectServer) -> None:
    event = json.loads(event_of(effects, "look", 2))
    session, failed = server.begin("main.py:main", event), server.begin("main.py:fails")
    server.until(session, "completed")
    server.until(failed, "failed")

    listed = terminal.run("sessions", "list", "--json").document
    assert {one["session_id"]: one["state"] for one in listed} == {session: "completed", failed: "failed"}
    assert [one["session_id"] for one in terminal.run("sessions", "list", "--state", "failed", "--json").document] == [
        failed
    ]
    table = terminal.run("sessions", "list").out
    assert session in table
    assert failed in table

    assert set(terminal.run("sessions", "show", session, "--json").document) == DOCUMENT
    shown = terminal.run("sessions", "show", session).out
    assert "requests.api.get" in shown
    assert "completed" in shown

    rows = terminal.run("sessions", "history", session, "--json").documents
    assert [row["seq"] for row in rows] == list(range(1, len(rows) + 1))
    assert [row["kind"] for row in rows] == ["started", "activity", "started", "activity", "marker"]
    assert terminal.run("sessions", "history", session, "--after", "4", "--json").documents == rows[4:]
    assert terminal.run("sessions", "history", session, "--limit", "2", "--json").documents == rows[:2]

    lines = terminal.run("sessions", "logs", session, "--json").documents
    assert [(line["stream"], line["text"]) for line in lines if line["stream"] != "log"] == [
        ("stdout", "begin"),
        ("stdout", "0"),
        ("stdout", "1"),
        ("stderr", "end"),
    ]
    assert [line["level"] for line in lines if line["stream"] == "log"] == ["WARNING"]
    assert len(terminal.run("sessions", "logs", session, "--limit", "2", "--json").documents) == 2


def test_logs_and_watch_follow_until_the_end(terminal: Terminal, server: Server) -> None:
    session = server.begin("main.py:waits")
    told = {command: terminal.folder / command for command in ("logs", "watch")}
    followers = []
    for command, option in (("logs", "-f"), ("watch", "--json")):
        with told[command].open("w") as file:
            followers.append(terminal.spawn("sessions", command, session, option, stdout=file))
        until(lambda file=told[command]: "waiting" in file.read_text(), "it comes while the session is alive")
        assert followers[-1].poll() is None
    server.until_suspended(session)
    answer = terminal.run("sessions", "signal", session, "go", '{"tea": 1}', "--json").document
    assert answer["session_id"] == session
    for follower in followers:
        terminal.finish(follower)
    assert "heard {'tea': 1}" in told["logs"].read_text()
    updates = [json.loads(line) for line in told["watch"].read_text().splitlines()]
    assert all(len(update) == 1 for update in updates)
    assert {key for update in updates for key in update} == {"session", "entry", "log"}
    states = [update["session"]["state"] for update in updates if "session" in update]
    assert states[-1] == "completed"
    assert "waiting" in states


def test_stop(terminal: Terminal, server: Server, effects: EffectServer) -> None:
    session = server.begin("main.py:waits")
    server.until(session, "waiting")
    terminal.run("sessions", "stop", session, "--reason", "closing time")
    server.until(session, "stopped")
    document = terminal.run("sessions", "show", session, "--json").document
    assert (document["error"]["type"], document["error"]["message"]) == ("perdure.Cancelled", "closing time")
    assert document["error"]["traceback"][-1] == {"file": "main.py", "line": 24, "name": "waits"}

    busy = server.begin("main.py:main", json.loads(event_of(effects, "busy", 1000, 0.1)))
    called(effects, "busy", 3)
    terminal.run("sessions", "stop", busy, "--reason", "closing time")
    server.until(busy, "stopped")
    assert terminal.run("sessions", "show", busy, "--json").document["error"]["message"] == "closing time"
    assert effects.ledger("busy").total < 1000

    forced = server.begin("main.py:waits")
    server.until(forced, "waiting")
    terminal.run("sessions", "stop", forced, "--force")
    server.until(forced, "stopped")


def test_stop_interrupts_an_activity_that_talks_all_the_time(terminal: Terminal, server: Server) -> None:
    """The signal may come in the middle of a line on its way to the host: that line must not be cut."""
    for _ in range(3):
        session = server.begin("main.py:talks")
        request = pb.GetLogsRequest(session_id=session, follow=True)
        assert next(server.control.GetLogs(request, timeout=PATIENCE_S)).text == "talking"
        terminal.run("sessions", "stop", session, "--reason", "quiet")
        assert server.until(session, "stopped").error.message == "quiet"


def test_fork_and_replay(terminal: Terminal, server: Server, effects: EffectServer) -> None:
    session = server.begin("main.py:main", json.loads(event_of(effects, "fork", 3)))
    server.until(session, "completed")
    document = terminal.run("sessions", "show", session, "--json").document
    last_call = document["activities"][1]["seq"]
    forked = terminal.run("sessions", "fork", session, "--from", str(last_call), "--json").document["session_id"]
    server.until(forked, "completed")
    assert effects.ledger("fork").requests == {"GET /slow/0/0": 1, "GET /slow/0/1": 1, "GET /slow/0/2": 2}
    assert terminal.run("sessions", "show", forked, "--json").document["result"]["calls"] == 3

    assert "no difference" in terminal.run("sessions", "replay", session).out
    assert terminal.run("sessions", "replay", session, "--json").document["agrees"] is True
    assert effects.ledger("fork").total == 4


def test_a_served_home_is_found_by_its_folder(terminal: Terminal, server: Server) -> None:
    del terminal.variables["PERDURE_SERVER"]
    session = server.begin("main.py:later")
    server.until(session, "completed")
    said: dict[str, Any] = terminal.run("version", "--home", server.home, "--json").document
    assert said["server"]["pid"] == server.process.pid
    assert terminal.run("sessions", "show", session, "--home", server.home, "--json").document["result"] == "later"
    server.stop()
    assert terminal.run("sessions", "show", session, "--home", server.home, "--json").document["result"] == "later"
    assert terminal.run("version", "--home", server.home, "--json").document["server"] is None


def test_the_server_ends_with_its_host_and_runners(terminal: Terminal, server: Server) -> None:
    session = server.begin("main.py:waits")
    server.until(session, "waiting")
    below = descendants(server.process.pid)
    assert below
    server.stop()
    until(lambda: not any(alive(pid) for pid in below), "its processes are gone")
    assert not (server.home / "endpoint.json").exists()

"""Nothing waits in a process: a session that sleeps for a month is rows in a journal, and wakes in a fresh process."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

import pytest
from perdure_proto.v1 import control_pb2 as pb
from pool.held import outside
from terminal import PATIENCE_S, Server, Terminal, alive, children, descendants, until

SLEEPERS = 1000
WAVE = 100
WARM_WAVES = 2
LIMIT_KIB = 10 * 1024
WAKE_S = 1.0
TRIES = 12  # to be within WAKE_S once, on a machine that others use, too

HANDLERS = """
    import time
    from urllib.request import urlopen

    import perdure

    MONTH_S = 30 * 24 * 3600

    def sleeper(event):
        print("good night")
        time.sleep(MONTH_S)
        print("good morning")
        return "slept"

    def caller(event):
        urlopen(event, timeout=300).close()
        time.sleep(MONTH_S)

    def listener(event):
        signal = perdure.next_signal("go")
        print(f"heard {signal.payload}")
        return signal.payload

    def tidy(event):
        try:
            time.sleep(MONTH_S)
        except perdure.Cancelled as stop:
            print(f"cancelled: {stop}")
            raise
        finally:
            print("cleaned up")
"""


@pytest.fixture(name="server")
def server_fixture(terminal: Terminal) -> Server:
    terminal.write("project/main.py", HANDLERS)
    server = terminal.serve()
    server.deploy("project")
    return server


def runners(server: Server) -> list[int]:
    """Processes below a zygote of the host that lead a group of processes: those that run, or once ran, a session."""
    below = [pid for zygote in children(server.host_pid) for pid in descendants(zygote) if alive(pid)]
    return [pid for pid in below if leads(pid)]


def leads(pid: int) -> bool:
    try:
        return os.getpgid(pid) == pid
    except ProcessLookupError:
        return False


def prints(server: Server, session: str) -> list[str]:
    shown = server.terminal.run("sessions", "show", session, "--server", server.address, "--json").document
    return list(shown["prints"])


def test_a_session_that_sleeps_has_no_process(server: Server) -> None:
    with outside(lambda _run, _number: True) as world:
        session = server.begin("main.py:caller", f"{world.url}/s/0")
        until(lambda: world.seen("s"), "it is inside a call")
        pid = server.session(session).runner_pid
        assert runners(server) == [pid]
        world.free.set()
        server.until_suspended(session)
    until(lambda: not alive(pid), "the runner is gone")
    assert runners(server) == []
    assert pid not in descendants(server.process.pid)

    listed = server.terminal.run("sessions", "list", "--server", server.address, "--json").document
    assert [(one["state"], one["suspended"], one["runner_pid"]) for one in listed] == [("waiting", True, None)]


@pytest.mark.parametrize(
    ("entry", "signal", "result"),
    [("sleeper", ["--wake"], "slept"), ("listener", ["go", '{"n": 1}'], {"n": 1})],
    ids=["wake", "signal"],
)
def test_a_woken_session_goes_on_within_a_second(server: Server, entry: str, signal: list[str], result: object) -> None:
    took = []
    for _ in range(TRIES):
        session = server.begin(f"main.py:{entry}")
        server.until_suspended(session)
        server.terminal.run("sessions", "signal", session, *signal, "--server", server.address)
        server.until(session, "completed")
        shown = server.terminal.run("sessions", "show", session, "--server", server.address, "--json").document
        assert shown["result"] == result
        took.append(woken_to_line_s(server, session))
        if took[-1] < WAKE_S:
            return
    pytest.fail(f"woken sessions took {took} s")


def woken_to_line_s(server: Server, session: str) -> float:
    """Seconds from the row that ended the wait to the first line that user code printed after it."""
    where = (session, "--server", server.address, "--json")
    rows = server.terminal.run("sessions", "history", *where).documents
    lines = server.terminal.run("sessions", "logs", *where).documents
    ended = dt.datetime.fromisoformat(next(row["at"] for row in rows if row["kind"] == "resolved"))
    return (dt.datetime.fromisoformat(lines[-1]["at"]) - ended).total_seconds()


def test_a_suspended_session_that_is_stopped_cleans_up(server: Server) -> None:
    session = server.begin("main.py:tidy")
    server.until_suspended(session)
    server.terminal.run("sessions", "stop", session, "--reason", "enough", "--server", server.address)
    server.until(session, "stopped")
    assert prints(server, session) == ["cancelled: enough", "cleaned up"]


def test_a_restarted_server_has_all_that_sleeps(server: Server) -> None:
    sleeping, listening = server.begin("main.py:sleeper"), server.begin("main.py:listener")
    server.until_suspended(sleeping)
    server.until_suspended(listening)
    server.stop()
    server.start()
    for session in (sleeping, listening):
        assert server.session(session).state == "waiting"
        assert server.session(session).suspended
    assert runners(server) == [], "nothing is started only to wait again"
    server.terminal.run("sessions", "signal", sleeping, "--wake", "--home", server.home)
    server.terminal.run("sessions", "signal", listening, "go", '"now"', "--home", server.home)
    server.until(sleeping, "completed")
    server.until(listening, "completed")
    assert prints(server, sleeping) == ["good night", "good morning"]
    assert prints(server, listening) == ["heard now"]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_sleepers_add_under_10_mib(server: Server) -> None:
    for _ in range(WARM_WAVES):  # threads and buffers for starting so many at once are there from now on
        fall_asleep(server, WAVE)
    before = anonymous_kib(server.process.pid)
    for _ in range(SLEEPERS // WAVE):
        fall_asleep(server, WAVE)
    added = anonymous_kib(server.process.pid) - before
    print(f"{SLEEPERS} suspended sessions add {added} KiB to the coordinator")
    assert runners(server) == []
    assert added < LIMIT_KIB


def fall_asleep(server: Server, count: int) -> None:
    """Start so many sessions, and wait until all that there are are suspended."""
    request = pb.StartSessionRequest(project="p", entry_point="main.py:sleeper", event=b"null")
    calls = [server.control.StartSession.future(request, timeout=PATIENCE_S) for _ in range(count)]
    sessions = [call.result().session_id for call in calls]
    for session in sessions:
        server.until_suspended(session)


def anonymous_kib(pid: int) -> int:
    """Memory of a process that is no file's: its share of files (PSS) changes when other processes come and go."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith(("Anonymous:", "Swap:")))

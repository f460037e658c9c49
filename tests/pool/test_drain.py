"""Hosts are emptied: their sessions end there, or go on elsewhere, and their processes end in order."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator

import pytest
from e2e.terminal import Server, Terminal, until
from perdure_proto.v1 import control_pb2 as pb
from pool.held import MANIFEST, PATIENCE_S, Held, handler, outside
from pool.hosts import attach, states

CALLS = 3


@pytest.fixture(name="world")
def world_fixture() -> Iterator[Held]:
    with outside(lambda _run, number: number == 1) as world:
        yield world


@pytest.fixture(name="server")
def server_fixture(terminal: Terminal) -> Server:
    terminal.write("project/perdure.yaml", MANIFEST)
    terminal.write("project/main.py", handler(CALLS))
    server = terminal.serve("home", "--runner", "none")
    server.deploy("project")
    return server


def inside(server: Server, world: Held) -> str:
    """A session that is inside its second call."""
    session = server.begin("main.py:main", {"url": f"{world.url}/s"})
    until(lambda: world.seen("s") == [0, 1], "it is inside a call")
    return session


def test_what_runs_on_a_draining_host_ends_there(terminal: Terminal, server: Server, world: Held) -> None:
    first = attach(terminal, server, "first")
    session = inside(server, world)
    attach(terminal, server, "second")
    assert terminal.run("hosts", "drain", "first", "--home", server.home, "--json").document == {
        "host_id": "first",
        "sessions": 1,
    }
    listed = terminal.run("hosts", "list", "--home", server.home, "--json").document
    assert [(host["host_id"], host["state"], host["sessions"]) for host in listed] == [
        ("first", "draining", 1),
        ("second", "ready", 0),
    ]
    shown = terminal.run("hosts", "show", "first", "--home", server.home, "--json").document
    (runner,) = shown["runners"]
    assert (runner["session_id"], runner["state"]) == (session, "running")
    assert runner["memory_bytes"] > 1_000_000
    assert shown["health"]["disk_free_bytes"] > 0
    world.free.set()
    assert server.until(session, "completed").epoch == 1
    assert world.seen("s") == [0, 1, 2]
    assert first.wait(PATIENCE_S) == 0
    assert states(server) == {"second": "ready"}


def test_drained_with_move_it_goes_on_elsewhere(terminal: Terminal, server: Server, world: Held) -> None:
    first = attach(terminal, server, "first")
    session = inside(server, world)
    attach(terminal, server, "second")
    terminal.run("hosts", "drain", "first", "--move", "--home", server.home)
    assert first.wait(PATIENCE_S) == 0
    until(lambda: world.seen("s") == [0, 1, 1], "what was in flight is done again")
    world.free.set()
    assert server.until(session, "completed").epoch == 2
    assert world.seen("s") == [0, 1, 1, 2]


def test_a_host_that_is_told_to_end_gives_its_sessions_away(terminal: Terminal, server: Server, world: Held) -> None:
    first = attach(terminal, server, "first")
    session = inside(server, world)
    attach(terminal, server, "second")
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE_S) == 0
    until(lambda: world.seen("s") == [0, 1, 1], "what was in flight is done again")
    world.free.set()
    assert server.until(session, "completed").epoch == 2
    assert states(server) == {"second": "ready"}


def test_a_second_signal_ends_it_at_once(terminal: Terminal, server: Server, world: Held) -> None:
    """A session without a journal cannot move: it keeps the host for as long as it is patient, or until then."""
    first = attach(terminal, server, "first")
    request = pb.StartSessionRequest(
        project="p",
        entry_point="main.py:main",
        event=json.dumps({"url": f"{world.url}/s"}).encode(),
        not_durable=True,
    )
    session = server.control.StartSession(request, timeout=PATIENCE_S).session_id
    until(lambda: world.seen("s") == [0, 1], "it is inside a call")
    first.send_signal(signal.SIGTERM)
    until(lambda: states(server) == {"first": "draining"}, "it waits for the session")
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE_S) == 0
    assert server.until(session, "failed").error.code == "P0604"


def test_a_drained_host_beside_the_server_stays_away(terminal: Terminal, world: Held) -> None:
    terminal.write("project/perdure.yaml", MANIFEST)
    terminal.write("project/main.py", handler(CALLS))
    server = terminal.serve("home")
    server.deploy("project")
    pid = server.host_pid
    (name,) = states(server)
    terminal.run("hosts", "drain", name, "--home", server.home)
    until(lambda: not states(server), f"host {pid} is gone")
    attach(terminal, server, "other")
    assert states(server) == {"other": "ready"}
    server.stop()

"""How a server with a gateway begins and ends: signals, exit codes, troubles of its start, and what is left behind."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from gateway_support import PATIENCE_S, Server, children, descendants, gone, loopback, served, until
from perdure_server.store.home import HomeLock

pytestmark = pytest.mark.slow

USAGE, FAILED = 2, 1


def nothing_is_left(server: Server, processes: set[int]) -> None:
    until(lambda: all(gone(pid) for pid in processes), "processes are left")
    assert not (server.home / "run" / "http.sock").exists()
    assert not (server.home / "endpoint.json").exists()
    server.start()  # no lock is held
    assert server.end() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_gateway_ends_all_in_order(tmp_path: Path, number: int) -> None:
    with served(tmp_path / "home") as server:
        server.start()
        server.deploy()
        processes = descendants(server.gateway.pid)
        with ThreadPoolExecutor() as pool:
            waiting = pool.submit(server.post, "ask", '{"wait": 40}')
            until(server.bodies)
            assert server.end(number) == 0
            assert waiting.exception() is not None or waiting.result().status_code >= 500
        assert server.log.read_text().count("ready grpc=") == 1
        assert "Traceback" not in server.log.read_text()
        nothing_is_left(server, processes)


def test_a_signal_to_the_coordinator_alone_or_to_all_ends_all(tmp_path: Path) -> None:
    """As a terminal's Ctrl-C comes to the whole group, and a service manager's SIGTERM to the whole unit."""
    with served(tmp_path / "home") as server:
        server.start()
        processes = descendants(server.gateway.pid)
        os.kill(server.coordinator(), signal.SIGTERM)
        assert server.gateway.wait(PATIENCE_S) == 0
        server.start(start_new_session=True)
        processes = descendants(server.gateway.pid)
        os.killpg(server.gateway.pid, signal.SIGINT)
        assert server.gateway.wait(PATIENCE_S) == 0
        nothing_is_left(server, processes)
        assert "Traceback" not in server.log.read_text()


def test_a_signal_while_the_next_coordinator_is_awaited_ends_all(tmp_path: Path) -> None:
    """Also in the pause before it is started, which is long by now; and no other is started after it."""
    with served(tmp_path / "home") as server:
        server.start()
        with server.without_coordinator():
            until(lambda: server.log.read_text().count("starting it again") >= 4)
            assert server.end() == 0
        said = server.log.read_text()
        assert "Traceback" not in said
        processes = descendants(os.getpid()) - {os.getpid()}
        assert not any(b"serve" in _command(pid) and str(server.home).encode() in _command(pid) for pid in processes)


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def test_a_coordinator_that_is_killed_before_it_ever_began_is_not_started_again(tmp_path: Path) -> None:
    """It does not get further than to a key that nobody writes, however slow we are."""
    with served(tmp_path / "home") as server:
        server.home.mkdir(mode=0o700)
        os.mkfifo(server.home / "key", 0o600)
        server.start(wait=False)
        (child,) = until(lambda: children(server.gateway.pid))
        os.kill(child, signal.SIGKILL)
        assert server.gateway.wait(PATIENCE_S) == 128 + signal.SIGKILL


def test_a_second_server_on_the_home_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with served(tmp_path / "home") as server:
        server.start()
        server.deploy()
        second = serve("--home", str(server.home), "--http", "127.0.0.1:0")
        assert (second.returncode, second.stderr.count("P0202")) == (USAGE, 1)
        assert str(server.gateway.pid) in second.stderr
        taken = serve("--home", str(tmp_path / "other"), "--http", server.http)
        assert (taken.returncode, taken.stderr.count("P0203")) == (USAGE, 1)
        with server.stopped():
            assert server.post().status_code == 202
        server.delivered()
        assert server.end() == 0


def test_a_home_that_something_else_uses(tmp_path: Path) -> None:
    with HomeLock(tmp_path / "home"):
        refused = serve("--home", str(tmp_path / "home"), "--http", "127.0.0.1:0")
    assert (refused.returncode, refused.stderr.count("P0202")) == (USAGE, 1)
    assert str(os.getpid()) in refused.stderr


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--http", "0.0.0.0:0"], "P0217"),
        (["--http", "127.0.0.1:x"], "P0203"),
        (["--http", "127.0.0.1:0", "--limits", "nonsense=1"], "P0102"),
        (["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:1:1"], "P0203"),
        (["--http", "127.0.0.1:0", "--public-url", "ftp://x"], "P0103"),
    ],
)
def test_what_is_wrong_with_the_options_is_said_once(tmp_path: Path, options: list[str], code: str) -> None:
    done = serve("--home", str(tmp_path / "home"), *options)
    assert done.returncode in {USAGE, FAILED}
    assert done.stderr.count(f"error[{code}]") == 1, done.stderr
    assert "Traceback" not in done.stderr


def test_a_damaged_inbox_or_journal_is_said_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "inbox.db").write_bytes(b"this is no database" * 1_000)
    done = serve("--home", str(home), "--http", "127.0.0.1:0")
    assert (done.returncode, done.stderr.count("error[P0209]")) == (FAILED, 1), done.stderr
    (home / "inbox.db").unlink()
    (home / "perdure.db").write_bytes(b"this is no database" * 1_000)
    done = serve("--home", str(home), "--http", "127.0.0.1:0")
    assert (done.returncode, done.stderr.count("error[P0209]")) == (FAILED, 1), done.stderr


def test_a_home_with_a_long_path_and_the_address_from_the_environment(tmp_path: Path) -> None:
    home = tmp_path / ("x" * 120) / "home"
    address = f"{loopback()}:8080"
    environment = os.environ | {"PERDURE_HTTP": address}
    command = [sys.executable, "-m", "perdure_server", "serve", "--home", str(home), "--isolation", "own"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert process.stderr is not None
    try:
        while not (line := process.stderr.readline()).startswith("ready"):
            assert line, "it ended"
        assert f"http={address}" in line
        assert (home / "inbox.db").stat().st_mode & 0o777 == 0o600
    finally:
        process.terminate()
        process.stderr.read()
        assert process.wait(PATIENCE_S) == 0


def test_an_event_that_is_not_this_versions_is_said(tmp_path: Path) -> None:
    with served(tmp_path / "home") as server:
        server.start()
        server.end()
        with closing(sqlite3.connect(server.home / "inbox.db")) as inbox:
            inbox.execute("INSERT INTO inbox (event_id, header, data) VALUES ('e', '{\"strange\": 1}', x'')")
            inbox.commit()
        done = serve("--home", str(server.home), "--http", "127.0.0.1:0")
        assert (done.returncode, done.stderr.count("error[P0209]")) == (FAILED, 1), done.stderr


def serve(*options: str) -> subprocess.CompletedProcess[str]:
    """One that cannot begin."""
    command = [sys.executable, "-m", "perdure_server", "serve", "--isolation", "own", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)

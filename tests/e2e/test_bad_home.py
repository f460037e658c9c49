"""Troubles of the home folder: full, damaged, too new, in use; and peers that speak another protocol."""

from __future__ import annotations

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import control_pb2_grpc, runner_pb2_grpc
from perdure_proto.v1 import runner_pb2 as runner
from support.effects import serving
from terminal import PATIENCE_S, Terminal, until

USAGE, FAILED, UNREACHABLE = 2, 1, 3
OTHER_VERSION = 99
DISK_BYTES = 8 * 1024 * 1024

SIMPLE = """
    import time

    def main(event):
        for number in range(20):
            print(number, time.time())
        return "done"
"""

GREEDY = """
    import requests

    def main(event):
        return sum(len(requests.get(f"{event['url']}/big/{number}").content) for number in range(30000, 30100))
"""


@pytest.fixture(name="home")
def home_fixture(terminal: Terminal) -> Path:
    """A home with a session that has ended."""
    terminal.write("p/main.py", SIMPLE)
    terminal.run("run", "p", "--home", "h")
    return terminal.folder / "h"


# --- a full disk ------------------------------------------------------------------------------------------------------


@pytest.fixture(name="disk")
def disk_fixture(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "none", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode != 0:
        pytest.skip("a small disk can be mounted by root only")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_told_and_the_session_goes_on_when_there_is_space(terminal: Terminal, disk: Path) -> None:
    terminal.write("p/main.py", GREEDY)
    with serving() as effects:
        event = json.dumps({"url": f"{effects.url}/full"})
        ballast = disk / "ballast"
        ballast.write_bytes(b"\0" * (DISK_BYTES - 2_500_000))
        ran = terminal.run("run", "p", "--home", disk / "h", "--event", event, code=FAILED)
        assert "error[P0211]" in ran.err, ran
        before = effects.ledger("full").requests
        assert 0 < len(before) < 100

        ballast.unlink()
        finished = terminal.run("resume", "--home", disk / "h", "--json").document
        assert (finished["state"], finished["result"]) == ("completed", sum(range(30000, 30100)))
        repeated = [path for path, times in effects.ledger("full").requests.items() if times > 1]
        assert len(repeated) <= 1, "only the call whose outcome found no space"


# --- a damaged journal, or one of another version -------------------------------------------------------------------


def no_database(path: Path) -> None:
    path.write_bytes(b"This is no database at all. " * 1000)


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (path.stat().st_size - 4096))


@pytest.mark.parametrize("damage", [no_database, cut, overwritten])
def test_a_damaged_journal(terminal: Terminal, home: Path, damage: Callable[[Path], None]) -> None:
    damage(home / "perdure.db")
    content = (home / "perdure.db").read_bytes()
    for command in (["run", "p"], ["serve"], ["sessions", "list"]):
        ran = terminal.run(*command, "--home", home, code=FAILED)
        assert ran.err.startswith("error[P0209]"), ran
    assert (home / "perdure.db").read_bytes() == content, "left as it was found"


def test_a_journal_of_a_newer_version(terminal: Terminal, home: Path) -> None:
    with sqlite3.connect(home / "perdure.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    for command in (["run", "p"], ["serve"], ["sessions", "list"]):
        ran = terminal.run(*command, "--home", home, code=FAILED)
        assert ran.err.startswith("error[P0210]"), ran
        assert "9999" in ran.err


# --- one coordinator at a time ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "host", "blobs", "host/home"])
def test_a_file_where_a_folder_belongs(terminal: Terminal, name: str) -> None:
    terminal.write("p/main.py", SIMPLE)
    terminal.write("h" + (f"/{name}" if name else ""), "in the way")
    ran = terminal.run("run", "p", "--home", "h", code=FAILED)
    assert "error[P0237] the home h cannot be used: " in ran.err
    assert ": Not a directory" in ran.err
    assert "--home" in ran.err


def test_a_folder_where_a_file_belongs(terminal: Terminal) -> None:
    terminal.write("p/main.py", SIMPLE)
    terminal.write("h/lock/x", "in the way")
    ran = terminal.run("run", "p", "--home", "h", code=FAILED)
    assert "error[P0237] the home h cannot be used: h/lock: Is a directory" in ran.err


@pytest.mark.parametrize("command", [("run", "p"), ("serve", "--grpc", "127.0.0.1:0")])
@pytest.mark.parametrize("place", ["/proc/h", "/dev/null/h"])
def test_there_is_no_place_for_the_home(terminal: Terminal, place: str, command: tuple[str, ...]) -> None:
    terminal.write("p/main.py", SIMPLE)
    ran = terminal.run(*command, "--home", place, code=FAILED)
    assert f"error[P0237] the home {place} cannot be used: " in ran.err


def test_a_server_says_so_too(terminal: Terminal) -> None:
    terminal.write("h/host", "in the way")
    ran = terminal.run("serve", "--home", "h", "--grpc", "127.0.0.1:0", code=FAILED)
    assert "error[P0237]" in ran.err


def test_a_home_has_one_coordinator(terminal: Terminal) -> None:
    terminal.write("p/main.py", SIMPLE)
    server = terminal.serve()
    for command in (["serve"], ["run", "p"]):
        ran = terminal.run(*command, "--home", server.home, code=USAGE)
        assert ran.err.startswith("error[P0202]"), ran
        assert f"process {server.process.pid} on {socket.gethostname()}" in ran.err
    server.stop()
    terminal.run("run", "p", "--home", server.home)


# --- other versions ---------------------------------------------------------------------------------------------------


class OtherCoordinator(control_pb2_grpc.ControlServicer):
    """Speaks another version of the protocol."""

    def GetVersion(self, request: pb.GetVersionRequest, context: Any) -> pb.GetVersionResponse:
        return pb.GetVersionResponse(version="9.9", protocol_version=OTHER_VERSION)


def test_a_coordinator_of_another_version(terminal: Terminal) -> None:
    with ThreadPoolExecutor(1) as threads:
        server = grpc.server(threads)
        control_pb2_grpc.add_ControlServicer_to_server(OtherCoordinator(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        ran = terminal.run("sessions", "list", "--server", f"127.0.0.1:{port}", code=UNREACHABLE)
        server.stop(None).wait()
    assert ran.err.startswith("error[P0208]"), ran
    assert f"protocol {OTHER_VERSION}" in ran.err


def test_a_client_of_another_version(terminal: Terminal) -> None:
    server = terminal.serve()
    program = (
        f"from perdure_server.coordinator import settings; settings.PROTOCOL_VERSION = {OTHER_VERSION}\n"
        f"from perdure_server.cli.main import main; main(['sessions', 'list', '--server', {server.address!r}])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert ran.returncode == UNREACHABLE, ran
    assert ran.stderr.startswith(f"error[P0208] the client speaks protocol {OTHER_VERSION}, this coordinator 1"), ran


def test_a_host_of_another_version(terminal: Terminal) -> None:
    server = terminal.serve("home", "--runner", "none")
    hello = runner.HostHello(protocol_version=OTHER_VERSION, host_id="other", capacity=1)
    stream = runner_pb2_grpc.HostsStub(server.channel).Attach(
        iter([runner.FromHost(hello=hello)]), timeout=PATIENCE_S, wait_for_ready=True
    )
    with pytest.raises(grpc.RpcError) as refused:
        next(stream)
    assert dict(refused.value.trailing_metadata())["perdure-code"] == "P0208"
    assert str(OTHER_VERSION) in refused.value.details()
    assert list(server.control.ListHosts(pb.ListHostsRequest(), timeout=PATIENCE_S).hosts) == []


def test_a_host_says_that_the_coordinator_is_of_another_version(terminal: Terminal) -> None:
    """It goes on dialling: the coordinator may be the side that is upgraded."""

    class Other(runner_pb2_grpc.HostsServicer):
        def Attach(self, request_iterator: Any, context: Any) -> Iterator[runner.ToHost]:
            next(request_iterator)
            yield runner.ToHost(welcome=runner.Welcome(protocol_version=OTHER_VERSION, heartbeat_ms=1000))
            for _ in request_iterator:
                pass

    with ThreadPoolExecutor(2) as threads, (terminal.folder / "host.log").open("w") as log:
        server = grpc.server(threads)
        runner_pb2_grpc.add_HostsServicer_to_server(Other(), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        host = terminal.spawn("host", "--coordinator", f"127.0.0.1:{port}", "--state-dir", "state", stderr=log)
        until(lambda: "P0208" in (terminal.folder / "host.log").read_text(), "the host says so")
        host.send_signal(signal.SIGTERM)
        host.wait(PATIENCE_S)
        server.stop(None).wait()
    assert f"protocol {OTHER_VERSION}" in (terminal.folder / "host.log").read_text()

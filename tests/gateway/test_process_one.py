"""`perdure serve` as process 1, as in a container without an init: nothing stays a zombie, and signals end it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from gateway_support import PATIENCE_S, children, descendants, gone, until

pytestmark = pytest.mark.slow

NAMESPACE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child")


@dataclass
class Contained:
    """`init`: process 1 of the namespace, by its number here."""

    process: subprocess.Popen[str]
    init: int

    def line(self) -> str:
        assert self.process.stderr is not None
        return self.process.stderr.readline()

    def until(self, said: str) -> None:
        while not (line := self.line()).startswith(said):
            assert line, "it ended"

    def kib(self) -> int:
        """Memory of process 1."""
        return int(Path(f"/proc/{self.init}/status").read_text().partition("VmRSS:")[2].split()[0])

    def sleepers(self) -> list[int]:
        """Its own children that sleep."""
        return [pid for pid in children(self.init) if _command(pid) == ["sleep", "600"]]


def contained(*arguments: str) -> Contained:
    command = [*NAMESPACE, sys.executable, "-m", "perdure_server", *arguments, "--isolation", "own"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    return Contained(process, until(lambda: children(process.pid))[0])


@pytest.fixture(name="server", params=[True, False], ids=["gateway", "alone"])
def server_fixture(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Contained]:
    try:
        subprocess.run([*NAMESPACE, "true"], check=True, capture_output=True, timeout=PATIENCE_S)
    except (OSError, subprocess.SubprocessError):
        pytest.skip("there are no namespaces for processes here")
    made = contained("serve", "--home", str(tmp_path / "home"), *(["--http", "127.0.0.1:0"] if request.param else []))
    made.until("ready")
    yield made
    if made.process.poll() is None:
        made.process.kill()
    made.process.communicate()


def test_it_is_small_waits_for_orphans_and_ends_in_order(server: Contained) -> None:
    until(lambda: server.kib() < 20 * 1024, "it is a second server")
    enter = ["nsenter", "--target", str(server.init), "--user", "--pid", "--preserve-credentials", "--", "sh", "-c"]
    orphans = "sleep 600 & sleep 600 & sleep 600 &"
    subprocess.run([*enter, orphans], check=True, stdout=subprocess.DEVNULL, timeout=PATIENCE_S)
    known = until(lambda: len(found := server.sleepers()) == 3 and found)
    for pid in known[:2]:
        os.kill(pid, signal.SIGKILL)
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in known[:2]), "zombies are left")
    assert server.sleepers() == known[2:]
    processes = descendants(server.init)
    os.kill(server.init, signal.SIGTERM)
    assert server.process.wait(PATIENCE_S) == 0
    until(lambda: all(gone(pid) for pid in processes), "processes are left")


def test_a_host_is_started_by_process_one_too(server: Contained, tmp_path: Path) -> None:
    socket = json.loads((tmp_path / "home/endpoint.json").read_text())["socket"]
    host = contained("host", "--coordinator", socket, "--state-dir", str(tmp_path / "host"))
    host.until("connected to")
    until(lambda: host.kib() < 20 * 1024, "it is a host itself")
    processes = descendants(host.init)
    os.kill(host.init, signal.SIGTERM)
    assert host.process.wait(PATIENCE_S) == 0
    host.process.communicate()
    until(lambda: all(gone(pid) for pid in processes), "processes are left")


def _command(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    except (FileNotFoundError, ProcessLookupError):
        return []


def test_its_exit_code_is_the_servers(tmp_path: Path) -> None:
    command = [*NAMESPACE, sys.executable, "-m", "perdure_server", "serve", "--http", "0.0.0.0:0"]
    done = subprocess.run(
        [*command, "--home", str(tmp_path / "h")], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    if "unshare" in done.stderr:
        pytest.skip("there are no namespaces for processes here")
    assert (done.returncode, done.stderr.count("error[P0217]")) == (2, 1)

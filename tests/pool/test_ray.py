"""A Ray cluster of two nodes runs the quickstart; one node is killed, and nothing is lost.

Ray is large: it is installed into an environment of its own (.venv-ray), which this test makes, and the cluster lives
in a network namespace: Ray puts its own address in place of 127.0.0.1.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from e2e.terminal import Server, Terminal, command_line, descendants, kill, until
from perdure_proto.v1 import control_pb2 as pb
from pool.held import PATIENCE_S
from pool.network import Machine, machines, obstacle

ROOT = Path(__file__).resolve().parents[2]
HOME = ROOT / ".venv-ray"
QUICKSTART = ROOT / "examples" / "quickstart"
SESSIONS = 12
PORT = 6399
STEPS = ["items tea", "items two cups", "items honey", "payment"]


def environment() -> Path:
    """The folder of programs of an environment with Ray; made when the extra has changed. Skips where it cannot be."""
    extra = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["ray"]
    wanted, mark = f"{sys.version} {extra}", HOME / "installed"
    if mark.exists() and mark.read_text() == wanted:
        return HOME / "bin"
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    for command in (
        ["venv", "--clear", "--python", sys.executable, str(HOME)],
        ["pip", "install", "--python", str(HOME / "bin" / "python"), "--editable", f"{ROOT}[ray]"],
    ):
        made = subprocess.run([str(uv), "--quiet", *command], capture_output=True, text=True)
        if made.returncode:
            pytest.skip(f"Ray cannot be had: {made.stderr.strip()[-500:]}")
    mark.write_text(wanted)
    return HOME / "bin"


class Cluster:
    """Nodes of Ray in a network namespace, each a process with all that it starts below it."""

    def __init__(self, terminal: Terminal, machine: Machine, programs: Path) -> None:
        self._terminal, self._machine, self._programs = terminal, machine, programs
        self.address = f"127.0.0.1:{PORT}"

    def start(self, *options: str) -> subprocess.Popen[bytes]:
        """A node."""
        small = ("--num-cpus=1", "--object-store-memory=80000000", "--disable-usage-stats", "--block")
        with (self._terminal.folder / "ray.log").open("ab") as log:
            return subprocess.Popen(
                [
                    *self._machine.command,
                    self._programs / "ray",
                    "start",
                    *options,
                    "--node-ip-address=127.0.0.1",
                    *small,
                ],
                env=self._terminal.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )


def end(node: subprocess.Popen[bytes]) -> None:
    """The node is gone, with everything that runs on it, at once."""
    everything = [node.pid, *descendants(node.pid)]
    for number in (signal.SIGSTOP, signal.SIGKILL):  # those that are stopped start nothing more
        for pid in everything:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
    node.wait(PATIENCE_S)


@contextmanager
def ended(node: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    try:
        yield node
    finally:
        if node.poll() is None:
            end(node)


@contextmanager
def shop(machine: Machine) -> Iterator[str]:
    """The quickstart's, where the sessions are; its URL."""
    command = [*machine.command, sys.executable, str(QUICKSTART / "shop.py")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def ledger(machine: Machine, url: str) -> list[str]:
    """What the shop was asked, in order."""
    ask = f"import urllib.request as u; print(u.urlopen('{url}/ledger').read().decode())"
    asked = subprocess.run([*machine.command, sys.executable, "-c", ask], capture_output=True, check=True, text=True)
    return list(json.loads(asked.stdout)["requests"])


def hosts(server: Server) -> dict[str, pb.Host]:
    answer = server.control.ListHosts(pb.ListHostsRequest(), timeout=PATIENCE_S)
    return {host.host_id: host for host in answer.hosts}


def host_of(node: subprocess.Popen[bytes]) -> int:
    """The process of the node's host."""
    return next(pid for pid in descendants(node.pid) if "perdure_server.app.ray_node" in command_line(pid))


def started_again(host: pb.Host | None, before: int) -> bool:
    return host is not None and host.pid not in {0, before}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_cluster_runs_the_quickstart_and_loses_nothing_with_a_node(
    terminal: Terminal,
) -> None:
    if why := obstacle():
        pytest.skip(why)
    programs = environment()
    terminal.variables["RAY_TMPDIR"] = tempfile.mkdtemp(prefix="pdr")  # its sockets need a short path
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, terminal.variables["RAY_TMPDIR"], ignore_errors=True)
        _, (machine,) = stack.enter_context(machines(1))
        cluster = Cluster(terminal, machine, programs)
        head = stack.enter_context(ended(cluster.start("--head", f"--port={PORT}", "--include-dashboard=false")))
        log = terminal.folder / "ray.log"
        until(lambda: "Ray runtime started" in log.read_text(), "the head is up", PATIENCE_S)
        second = stack.enter_context(ended(cluster.start(f"--address={cluster.address}")))
        terminal.program = [*machine.command, str(programs / "perdure")]
        doors = ("--grpc", "127.0.0.1:0", "--tls-name", "127.0.0.1")  # so hosts are invited, and join
        cluster_of = ("--runner", "ray", "--ray-address", cluster.address, "--network", "all")
        server = terminal.serve("home", *doors, *cluster_of)
        until(lambda: len(hosts(server)) == 2, f"each node has a host: {server.log}", PATIENCE_S)
        url = stack.enter_context(shop(machine))
        shutil.copytree(QUICKSTART, terminal.folder / "quickstart")
        terminal.run("deploy", "quickstart", "--project", "p", "--home", server.home)
        sessions = [server.begin("main.py:main", {"shop": url}) for _ in range(SESSIONS)]
        until(lambda: len(ledger(machine, url)) >= 2 * SESSIONS, "they are under way", PATIENCE_S)
        before = hosts(server).keys()
        end(second)
        orders = []
        for session in sessions:
            ran = server.until(session, "completed")
            result = json.loads(ran.result.data)
            assert result["paid"] == 40
            orders.append(result["order"])
        assert len(set(orders)) == SESSIONS
        seen = ledger(machine, url)
        for order in orders:
            path = f"POST /orders/{order}/"
            steps = [STEPS.index(line.removeprefix(path)) for line in seen if line.startswith(path)]
            assert steps == sorted(steps), f"a completed call was repeated: {steps}"
            assert set(steps) == set(range(len(STEPS)))
        repeated = len(seen) - SESSIONS * (1 + len(STEPS))
        assert 0 <= repeated <= SESSIONS, "at most what was in flight on the node"
        (left,) = hosts(server)
        assert left in before

        pid = host_of(head)
        kill(pid)
        until(lambda: started_again(hosts(server).get(left), pid), "Ray starts it again", PATIENCE_S)
        server.stop()

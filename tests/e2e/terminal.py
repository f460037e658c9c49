"""perdure as its user has it: the installed command in processes of its own, in a folder, with a clean environment.

`Terminal.run` runs a command to its end, `spawn` starts one, `serve` starts a server. Whatever is still alive at the
end of a test is killed, by its pid.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import grpc
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import control_pb2_grpc

T = TypeVar("T")

PERDURE = str(Path(sys.executable).parent / "perdure")
PATIENCE_S = 60.0
"""Longest wait for anything: generous, because a loaded machine is no reason to fail."""

_POLL_S = 0.01
_HOST = "perdure_server.app.host_process"
_OURS = ("perdure_server/", "perdure_runner/", "perdure has a fault")


@dataclass(frozen=True)
class Ran:
    """A command that has ended."""

    command: str
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What `--json` has printed."""
        return json.loads(self.out)

    @property
    def documents(self) -> list[Any]:
        """What `--json` has printed, one document a line."""
        return [json.loads(line) for line in self.out.splitlines()]

    def __str__(self) -> str:
        return f"$ {self.command}\nexit {self.code}\n{self.out}\n{self.err}"


@dataclass
class Terminal:
    """Commands run in `folder`; `variables` are added to their environment, `program` is how their lines begin."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    program: list[str] = field(default_factory=lambda: [PERDURE])
    children: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PERDURE", "PYTHON"))}
        patient = {"PERDURE_CONNECT_TIMEOUT": str(PATIENCE_S)}
        return kept | {"HOME": str(self.folder), "NO_COLOR": "1"} | patient | self.variables

    def write(self, path: str, text: str) -> Path:
        """A file of the user's, relative to the folder; the text may be indented."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text))
        return file

    def spawn(self, *arguments: str | Path, **how: Any) -> subprocess.Popen[str]:
        """Start a command; it is killed at the end of the test if it is still there."""
        command = [*self.program, *map(str, arguments)]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        where = {"cwd": self.folder} | pipes | how
        process = subprocess.Popen(command, env=self.environment, text=True, **where)
        self.children.append(process)
        return process

    def finish(self, process: subprocess.Popen[str], code: int = 0) -> Ran:
        """Wait for the end of what `spawn` started: this exit code, and no traceback of ours, or the test fails."""
        out, err = process.communicate(timeout=PATIENCE_S)
        ran = Ran(subprocess.list2cmdline(process.args), process.returncode, out or "", err or "")  # type: ignore[arg-type]  # a list, as given
        assert ran.code == code, ran
        assert not any(mark in ran.err for mark in _OURS), ran
        return ran

    def run(self, *arguments: str | Path, code: int = 0, **how: Any) -> Ran:
        """Run a command to its end; see `finish`."""
        return self.finish(self.spawn(*arguments, **how), code)

    def serve(self, home: str = "home", *arguments: str) -> Server:
        """A server on a home, ready."""
        server = Server(self, self.folder / home, arguments)
        server.start()
        return server

    def close(self) -> None:
        for child in self.children:
            if child.poll() is None:
                child.kill()
            child.communicate(timeout=PATIENCE_S)


class Server:
    """`perdure serve` as a process, and a client of it. Its stderr goes to the file `HOME.log`."""

    def __init__(self, terminal: Terminal, home: Path, arguments: tuple[str, ...]) -> None:
        self.terminal, self.home, self.arguments = terminal, home, arguments
        self.log = home.with_name(f"{home.name}.log")

    def start(self) -> None:
        """Start it (again), and wait until it says that it is ready."""
        said = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("a") as log:
            self.process = self.terminal.spawn("serve", "--home", self.home, *self.arguments, stderr=log)
        ready = until(lambda: self._ready(said), f"the server gets ready: {self.log}")
        self.address = ready.removeprefix("ready grpc=").split()[0]
        # By the socket, as whoever can open it: the address wants a token, which the command line finds by itself.
        self.channel = grpc.insecure_channel(json.loads((self.home / "endpoint.json").read_text())["socket"])
        self.control = control_pb2_grpc.ControlStub(self.channel)

    def _ready(self, said: int) -> str | None:
        text = self.log.read_text()[said:]
        assert self.process.poll() is None, text
        return next((line for line in text.splitlines(keepends=True) if line.startswith("ready ")), None)

    def kill(self) -> None:
        """`kill -9`."""
        self.process.kill()
        self.process.wait(PATIENCE_S)
        self.channel.close()

    def stop(self) -> None:
        """SIGTERM, and a clean end."""
        self.channel.close()
        self.process.terminate()
        assert self.process.wait(PATIENCE_S) == 0, self.log.read_text()

    def deploy(self, folder: str, project: str = "p") -> str:
        """From the command line; returns the build's id. The tests' outside world is a server of this machine."""
        manifest = self.terminal.folder / folder / "perdure.yaml"
        if not manifest.exists():
            manifest.write_text("network: all\n")
        ran = self.terminal.run("deploy", folder, "--project", project, "--server", self.address, "--json")
        return str(ran.document["build_id"])

    def begin(self, entry: str, event: Any = None, project: str = "p") -> str:
        """A session, by the API; returns its id."""
        request = pb.StartSessionRequest(project=project, entry_point=entry, event=json.dumps(event).encode())
        return str(self.control.StartSession(request, timeout=PATIENCE_S, wait_for_ready=True).session_id)

    def session(self, session_id: str) -> pb.Session:
        request = pb.GetSessionRequest(session_id=session_id)
        return self.control.GetSession(request, timeout=PATIENCE_S, wait_for_ready=True)

    def until(self, session_id: str, state: str) -> pb.Session:
        """Wait until a session is in that state; it fails at once when it ends in another one."""

        def there() -> pb.Session | None:
            session = self.session(session_id)
            assert not session.ended_at or session.state == state, session
            return session if session.state == state else None

        return until(there, f"session {session_id} is {state}")

    def until_suspended(self, session_id: str) -> pb.Session:
        """Wait until a session waits without a runner."""

        def there() -> pb.Session | None:
            session = self.session(session_id)
            return session if session.state == "waiting" and session.suspended else None

        return until(there, f"session {session_id} is suspended")

    @property
    def host_pid(self) -> int:
        """Of the host beside it; waits until there is one and it is attached."""

        def attached() -> int:
            hosts = self.control.ListHosts(pb.ListHostsRequest(), timeout=PATIENCE_S, wait_for_ready=True).hosts
            found = [pid for pid in children(self.process.pid) if _HOST in command_line(pid)]
            return found[0] if hosts and found else 0

        return until(attached, "a host is attached")


def until(condition: Callable[[], T | None], what: str, patience_s: float = PATIENCE_S) -> T:
    """Poll until the condition gives something true, and return it."""
    deadline = time.monotonic() + patience_s
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not within {patience_s} s: {what}"
        time.sleep(_POLL_S)
    return found


def alive(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def command_line(pid: int) -> str:
    """Arguments of a process, one a line; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", "\n")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children(pid: int) -> list[int]:
    """Children of all threads of a process."""
    try:
        lists = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for line in lists for child in line.split()]


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    below = children(pid)
    return below + [deeper for child in below for deeper in descendants(child)]


def kill(pid: int) -> None:
    """`kill -9`, and wait until it is gone."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(pid), f"process {pid} is gone")


@contextmanager
def opened(folder: Path) -> Iterator[Terminal]:
    """A terminal for the length of the block."""
    terminal = Terminal(folder)
    try:
        yield terminal
    finally:
        terminal.close()

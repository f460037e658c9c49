"""One server, its host, and what the attacks are after: a process with secrets, other sessions, files, sockets."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attacks.backends import PLAIN, Backend
from e2e.terminal import PATIENCE_S, Server, Terminal, alive, children, command_line, opened, until
from perdure_proto.v1 import control_pb2 as pb

HERE = Path(__file__).parent
MIB = 1 << 20
NOBODYS_PORT = 1
LIMITS = {"memory": 256 * MIB, "cpus": 0.1}
MANIFEST = """\
name: {name}
network: {network}
requirements: none
limits:
  memory: 256MiB
  processes: 64
  open_files: 256
  disk: 32MiB
  files: 2000
  log: 1MiB
  run_time: 180s
"""
VICTIM = """\
name: victim
network: {network}
requirements: none
vars:
  TOKEN: {token}
"""


class World:
    """See the module's docstring. `targets` is what the attacks are told."""

    def __init__(self, terminal: Terminal, backend: Backend) -> None:
        self.folder = terminal.folder
        self.backend = backend
        self._terminal = terminal
        self._run = secrets.token_hex(4)
        self.secrets = {name: f"CANARY-{name}-{secrets.token_hex(8)}" for name in _KINDS}
        (self.folder / "secret").write_text(self.secrets["file"])
        self._decoy, self._told = self._start_decoy()
        self.secrets |= self._told["secrets"]
        self.server = self._serve()
        self.pids = self._machinery()
        self.bystander = self._begin("handlers.py:go_on", durable=True, project="victim")
        self.victim = self._hold()
        self.targets = self._describe()
        self._pids_at_first = dict(self.pids)

    # What there is to see.

    def marked(self, mark: str) -> list[int]:
        """Processes of this machine that were started under a mark and are alive."""
        pids = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
        return [pid for pid in pids if mark in command_line(pid) and alive(pid)]

    def lines(self, session_id: str) -> list[str]:
        """What a session has printed so far."""
        request = pb.GetLogsRequest(session_id=session_id)
        return [line.text for line in self.server.control.GetLogs(request, timeout=PATIENCE_S)]

    def settled(self, session_id: str) -> None:
        """Wait until an endless session says that it is where it wants to be."""
        until(lambda: "settled" in self.lines(session_id), f"session {session_id} settles")

    def peak_kb(self, name: str) -> int:
        """The most memory that the host or the coordinator ever had, in KiB."""
        text = Path(f"/proc/{self.pids[name]}/status").read_text()
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmHWM:"))

    def harm(self) -> list[str]:
        """What the attacks have done to those that must go on: processes that are gone, a session that is stuck."""
        gone = [f"the {name} is gone" for name, pid in self.pids.items() if name != "victim" and not alive(pid)]
        session = self.server.session(self.victim)
        if session.ended_at or session.runner_pid != self.pids["victim"]:
            gone.append(f"the other session is not what it was: {session.state} {session.error.message}")
        request = pb.SignalSessionRequest(session_id=self.bystander, name="stop", payload=b"null")
        self.server.control.SignalSession(request, timeout=PATIENCE_S)
        ended = self.server.until(self.bystander, "completed")
        if not json.loads(ended.result.data) or ended.epoch != 1:
            gone.append(f"the bystander was disturbed: {ended.result.data!r} in epoch {ended.epoch}")
        return gone

    def event(self, mark: str, arguments: tuple[str, ...]) -> dict[str, Any]:
        """What one attack is told."""
        return {**self.targets, "mark": mark, "arguments": list(arguments)}

    def start(self, entry: str, project: str, event: dict[str, Any]) -> str:
        """Begin an attack's session."""
        return self._begin(entry, durable=False, project=project, event=event)

    def kill(self, session_id: str) -> None:
        """End a session by force."""
        request = pb.StopSessionRequest(session_id=session_id, force=True, reason="enough")
        self.server.control.StopSession(request, timeout=PATIENCE_S)

    # How it is made, and how it ends.

    def _start_decoy(self) -> tuple[subprocess.Popen[str], dict[str, Any]]:
        told = {"folder": str(self.folder), "key": secrets.randbits(31), "argv": self.secrets["argv"]}
        told |= {name: f"perdure-{name}-{self._run}" for name in ("abstract", "giving")}
        decoy = subprocess.Popen(
            [sys.executable, str(HERE / "decoy.py"), json.dumps(told)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={"CANARY": self.secrets["environ"]},
        )
        assert decoy.stdout is not None
        return decoy, told | json.loads(decoy.stdout.readline())

    def _serve(self) -> Server:
        network = "all" if self.backend.name == PLAIN else "none"
        port = self._told["port"]
        hosts = (
            "all"
            if network == "all"
            else json.dumps([f"{name}:{port}" for name in ("localhost", "127.0.0.1", "[::1]")])
        )
        for name, reaches, more in (
            ("attacks", network, ""),
            ("capped", network, "  cpus: 0.1\n"),
            ("listed", hosts, ""),
        ):
            shutil.copytree(HERE / "programs", self.folder / name, ignore=shutil.ignore_patterns("__pycache__"))
            (self.folder / name / "perdure.yaml").write_text(MANIFEST.format(name=name, network=reaches) + more)
        code = (HERE / "victim" / "handlers.py").read_text().replace("CANARY-code-@CODE@", self.secrets["code"])
        self._terminal.write("victim/handlers.py", code)
        self._terminal.write("victim/perdure.yaml", VICTIM.format(network=network, token=self.secrets["variable"]))
        self._terminal.variables |= self.backend.variables | {"CANARY": self.secrets["serverenv"]}
        server = self._terminal.serve("home", *self.backend.arguments)
        for name in ("attacks", "capped", "listed", "victim"):
            server.deploy(name, name)
        return server

    def _machinery(self) -> dict[str, int]:
        host = self.server.host_pid
        return {"coordinator": self.server.process.pid, "host": host, "decoy": self._decoy.pid}

    def _begin(self, entry: str, *, durable: bool, project: str, event: Any = None) -> str:
        request = pb.StartSessionRequest(
            project=project, entry_point=entry, event=json.dumps(event).encode(), not_durable=not durable
        )
        return str(self.server.control.StartSession(request, timeout=PATIENCE_S).session_id)

    def _hold(self) -> str:
        event = {
            "token": self.secrets["session"],
            "name": f"perdure-victim-{self._run}",
            "abstract": f"perdure-victim-{self._run}",
            "path": f"/tmp/perdure-victim-{self._run}.sock",
        }
        session_id = self._begin("handlers.py:hold", durable=False, project="victim", event=event)
        self.settled(session_id)
        ports = [int(line.removeprefix("port ")) for line in self.lines(session_id) if line.startswith("port ")]
        self._port = ports[0] if ports else NOBODYS_PORT  # Landlock lets it have no socket
        self.pids["victim"] = self.server.session(session_id).runner_pid
        zygotes = [pid for pid in children(self.pids["host"]) if "zygote" in command_line(pid)]
        if self.backend.name == "namespaces":  # these only wait for the zygotes, which are in process namespaces
            zygotes += [pid for first in zygotes for pid in children(first)]
        self.pids |= {f"zygote {number}": pid for number, pid in enumerate(zygotes)}
        return session_id

    def _describe(self) -> dict[str, Any]:
        endpoint = json.loads((self.server.home / "endpoint.json").read_text())
        victim = f"perdure-victim-{self._run}"
        return {
            "pids": self.pids,
            "victim": self.victim,
            "limits": LIMITS,
            "homes": ["/root", "/etc", str(self.server.home), str(self.folder)],
            "descriptor": self._told["descriptor"],
            "keys": {"decoy": self._told["key"], "left": secrets.randbits(31)},
            "ports": {
                "decoy": self._told["port"],
                "victim": self._port,
                "coordinator": int(self.server.address.rpartition(":")[2]),
            },
            "sockets": {
                "abstract": self._told["abstract"],
                "giving": self._told["giving"],
                "victim_abstract": victim,
                "path": str(self.folder / "decoy.sock"),
                "victim_path": f"/tmp/{victim}.sock",
            },
            "paths": {
                "secret": str(self.folder / "secret"),
                "home": str(self.server.home),
                "socket": endpoint["socket"].removeprefix("unix:"),
                "journal": str(next(self.server.home.glob("*.db"))),
                "key": str(self.server.home / "secrets.key"),
                "endpoint": str(self.server.home / "endpoint.json"),
                "package": str(Path(pb.__file__).resolve()),
            },
        }

    def close(self) -> None:
        """End what was started."""
        with contextlib.suppress(Exception):  # it may not have come so far
            self.kill(self.victim)
        self.server.stop()
        self._end_decoy()
        for path in Path("/tmp").glob(f"perdure-victim-{self._run}*"):
            path.unlink()
        Path(f"/dev/shm/perdure-victim-{self._run}").unlink(missing_ok=True)

    def _end_decoy(self) -> None:
        self._decoy.send_signal(signal.SIGCONT)
        self._decoy.communicate(timeout=PATIENCE_S)


_KINDS = ("file", "argv", "environ", "serverenv", "code", "variable", "session")


@contextlib.contextmanager
def opened_world(folder: Path, backend: Backend) -> Iterator[World]:
    """A world in `folder`, for the length of the block."""
    with opened(folder) as terminal:
        world = World(terminal, backend)
        try:
            yield world
        finally:
            world.close()

"""A server with HTTP, as a process, and projects of AutoKitteh's that are deployed to it as they are."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure_proto.v1 import control_pb2 as pb
from terminal import PATIENCE_S, Server, Terminal, opened

PROJECTS = Path(__file__).parent / "projects"


@dataclass
class Platform:
    """`urls` are those of webhooks, by trigger."""

    terminal: Terminal
    server: Server
    urls: dict[str, str]
    project: str

    @property
    def http(self) -> str:
        return f"http://{json.loads((self.server.home / 'endpoint.json').read_text())['http']}"

    def deploy(self, name: str) -> None:
        """From the command line, in a copy of the folder, which has no file of ours."""
        folder = self.terminal.folder / name
        if not folder.exists():
            shutil.copytree(PROJECTS / name, folder)
        made = self.terminal.run("deploy", name, "--server", self.server.address, "--json").document
        self.project = made["project"]
        self.urls = {trigger["name"]: trigger["url"] for trigger in made["triggers"] if trigger["url"]}

    def value(self, key: str) -> Any:
        """What is in the project's store; None: nothing."""
        stub = self.server.control
        stored = stub.ListValues(pb.ListValuesRequest(project=self.project, prefix=key), timeout=PATIENCE_S).values
        if key not in [each.key for each in stored]:
            return None
        return json.loads(stub.GetValue(pb.GetValueRequest(project=self.project, key=key), timeout=PATIENCE_S).value)

    def sessions(self, entry_point: str) -> list[str]:
        """Ids of the project's newest sessions at an entry point."""
        request = pb.ListSessionsRequest(project=self.project, limit=200)
        found = self.server.control.ListSessions(request, timeout=PATIENCE_S).sessions
        return [each.session_id for each in found if each.entry_point == entry_point]


def begun(folder: Path) -> Iterator[Platform]:
    with opened(folder) as terminal:
        server = terminal.serve("home", "--http", "127.0.0.1:0")
        yield Platform(terminal, server, {}, "")
        server.stop()

"""A server with HTTP, as a process, and projects of AutoKitteh's that are deployed to it as they are."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "e2e"))

from terminal import Server, Terminal, opened

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
        ran = self.terminal.run("store", "list", "--project", self.project, "--server", self.server.address, "--json")
        if key not in [each["key"] for each in ran.document]:
            return None
        where = ("--project", self.project, "--server", self.server.address, "--json")
        return self.terminal.run("store", "get", key, *where).document["value"]

    def sessions(self) -> list[dict[str, Any]]:
        ran = self.terminal.run("sessions", "list", "--server", self.server.address, "--json")
        return list(ran.document)


@pytest.fixture(name="platform")
def platform_fixture(tmp_path: Path) -> Iterator[Platform]:
    with opened(tmp_path) as terminal:
        server = terminal.serve("home", "--http", "127.0.0.1:0")
        yield Platform(terminal, server, {}, "")
        server.stop()

"""What every call in a project's source is, and why: asked of a process of its own, which runs none of that code.

The answer is `perdure_runner.child.policy.explaining`'s; here it is started, limited and read.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from perdure_runner.host import launch
from perdure_runner.host.config import HostConfig
from perdure_runner.host.pythons import InterpreterNotFoundError, Interpreters

from perdure_server.core.errors import PerdureError
from perdure_server.manifest.manifest import load_manifest

TIMEOUT_S: Final = 30.0
"""Libraries are imported to be looked at, and some take long."""
_MAIN: Final = "perdure_runner.child.policy.explaining:main"


@dataclass(frozen=True, slots=True)
class Site:
    """One call. `what`: activity, marker, direct, callbacks, system or unresolved; `loading`: when the module loads."""

    file: str
    line: int
    column: int
    call: str
    function: str
    what: str
    why: str
    loading: bool


async def scan(root: Path, file: str = "", line: int = 0) -> list[Site]:
    """The calls of one line, of a file, or of all files below `root`, in the order of the source.

    Raises `PerdureError`: P0101 to P0104 the manifest, P0213 no such Python, P0604 the process died or took too long.
    """
    manifest = load_manifest(root).to_json()
    try:
        python = (await Interpreters().resolve(manifest.get("python") or "")).path
    except InterpreterNotFoundError as missing:
        raise PerdureError("P0213", str(missing)) from None
    patterns = [rule["pattern"] for rule in manifest.get("activities", ()) if not rule["record"]]
    request = {"root": str(root), "no_activity": patterns, "file": file, "line": line}
    return await asyncio.to_thread(_ask, python, request)


def _ask(python: str, request: dict[str, Any]) -> list[Site]:
    request["root"] = os.path.abspath(request["root"])
    with tempfile.TemporaryDirectory(prefix="perdure-scan-") as scratch:
        config = HostConfig(state_dir=Path(scratch))
        ours, theirs = socket.socketpair()
        command = launch.command(config, python, "attach", "--main", _MAIN, "--fd", str(theirs.fileno()))
        with ours, theirs:
            process = subprocess.Popen(
                command,
                env=launch.environment(config, 0),
                cwd=scratch,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            theirs.close()
            try:
                return _sites(_conversation(ours, request))
            except (OSError, ValueError, TypeError) as error:
                raise PerdureError("P0604", f"the project's source could not be looked at: {error}") from None
            finally:
                process.kill()
                process.wait()


def _conversation(sock: socket.socket, request: dict[str, Any]) -> str:
    sock.settimeout(TIMEOUT_S)
    with sock.makefile("rw", encoding="utf-8") as stream:
        stream.write(json.dumps(request) + "\n")
        stream.flush()
        return stream.readline()


def _sites(answer: str) -> list[Site]:
    return [Site(**each) for each in json.loads(answer)]

"""A host whose disk is full: it says so, and the sessions go on where there is room."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from e2e.terminal import Terminal
from pool.hosts import attach, states

HANDLER = """
    import time

    def main(event):
        return time.time() > 0
    """


@pytest.fixture(autouse=True)
def disk_fixture(terminal: Terminal) -> Iterator[None]:
    """A file system of 256 KiB for the host named "full"."""
    if os.getuid() or not shutil.which("mount"):
        pytest.skip("needs root, to mount a small file system")
    place = terminal.folder / "state-full"
    place.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "none", place], check=False)
    if mounted.returncode:
        pytest.skip("file systems cannot be mounted here")
    yield
    subprocess.run(["umount", "-l", place], check=True)


def test_a_host_with_a_full_disk_is_told_and_replaced(terminal: Terminal) -> None:
    terminal.write("project/main.py", HANDLER)
    (terminal.folder / "project" / "large").write_bytes(os.urandom(400_000))
    server = terminal.serve("home", "--runner", "none")
    server.deploy("project")
    attach(terminal, server, "full")
    failed = server.until(server.begin("main.py:main", {}), "failed")
    assert failed.error.code == "P0604"
    assert "No space left on device" in failed.error.message
    attach(terminal, server, "roomy")
    assert states(server) == {"full": "ready", "roomy": "ready"}
    waiting = [server.begin("main.py:main", {}) for _ in range(6)]
    assert {server.until(session, "completed").state for session in waiting} == {"completed"}

"""Sockets of a home whose path is too long for one: in folders that are gone when the server is, however it ended."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from perdure_server.app import sockets
from perdure_server.app.sockets import socket_path

KEEP = """\
import sys
from pathlib import Path
from perdure_server.app.sockets import socket_path

with socket_path(Path(sys.argv[1]), "s") as path:
    print(path, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(name="short")
def short_fixture(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files, empty."""
    with tempfile.TemporaryDirectory(prefix="t") as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        monkeypatch.setenv("TMPDIR", folder)
        yield Path(folder)


@pytest.fixture(name="home")
def home_fixture(tmp_path: Path) -> Path:
    return tmp_path / ("x" * 120)


def keeper(home: Path) -> tuple[subprocess.Popen[str], Path]:
    """Another process with a socket of the home; where it is."""
    command = [sys.executable, "-c", KEEP, str(home)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return process, Path(process.stdout.readline().strip())


def test_a_short_home_has_its_sockets_itself(tmp_path: Path, short: Path) -> None:
    with socket_path(short, "s") as path:
        assert path == str(short / "run" / "s")


def test_a_folder_is_its_owners_and_gone_at_the_end(home: Path, short: Path) -> None:
    with socket_path(home, "s") as path:
        folder = Path(path).parent
        assert folder.parent == short
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert len(path) < 108
    assert list(short.iterdir()) == []


def test_what_a_killed_server_left_is_removed_and_what_a_living_one_has_is_not(home: Path, short: Path) -> None:
    dead, left = keeper(home)
    living, kept = keeper(home)
    (left.parent / "s").touch()
    dead.kill()
    dead.communicate()
    assert left.parent.exists()
    with socket_path(home, "s") as path:
        assert not left.parent.exists()
        assert kept.parent.exists()
        assert set(short.iterdir()) == {kept.parent, Path(path).parent}
    living.send_signal(signal.SIGKILL)
    living.communicate()
    with socket_path(home, "s"):
        assert not kept.parent.exists()


def test_nothing_of_others_is_touched(home: Path, short: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither another user's, nor what only has such a name, nor where a link leads."""
    (short / "perdure-sockets-file").touch()
    (short / "else").mkdir()
    (short / "perdure-sockets-link").symlink_to(short / "else")
    (short / "perdure-else").mkdir()
    before = set(short.iterdir())
    with socket_path(home, "s"):
        pass
    assert set(short.iterdir()) == before
    (short / "perdure-sockets-theirs").mkdir()
    me = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: me + 1)
    sockets._remove_left()
    assert (short / "perdure-sockets-theirs").exists()
    monkeypatch.undo()
    monkeypatch.setattr(tempfile, "tempdir", str(short))
    sockets._remove_left()
    assert set(short.iterdir()) == before


def test_a_folder_that_another_server_takes_for_one_that_was_left_is_made_anew(
    home: Path, short: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It came between the folder and its lock."""
    real, made = tempfile.mkdtemp, []

    def mkdtemp(prefix: str) -> str:
        folder = real(prefix=prefix)
        made.append(folder)
        if len(made) == 1:
            sockets._remove_left()
        return folder

    monkeypatch.setattr(tempfile, "mkdtemp", mkdtemp)
    with socket_path(home, "s") as path:
        assert [Path(path).parent.exists(), len(made)] == [True, 2]

"""The environment with the vendors' libraries, `.venv-integrations-*`; made when `requirements.txt` has changed."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).parent
HOME = HERE.parent.parent / f".venv-integrations-{sys.version_info[0]}.{sys.version_info[1]}"
_TIMEOUT_S = 400


def interpreter() -> tuple[Path | None, str]:
    """Its Python; or None, and why there is none."""
    with _alone():
        return _made()


@contextmanager
def _alone() -> Iterator[None]:
    """Tests run in several processes: one makes it, and the others wait until it has."""
    folder = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _made() -> tuple[Path | None, str]:
    needs = HERE / "requirements.txt"
    wanted = hashlib.sha256(repr((sys.version, needs.read_text())).encode()).hexdigest()
    python, mark = HOME / "bin" / "python", HOME / "installed"
    if not mark.exists() or mark.read_text() != wanted:
        shutil.rmtree(HOME, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", HOME], check=True)
        install = [sys.executable, "-m", "uv", "pip", "install", "-q", "--only-binary", ":all:"]
        command = [*install, "--python", str(python), "-r", str(needs)]
        try:
            made = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return None, "the vendors' libraries could not be installed in time"
        if made.returncode:
            return None, f"the vendors' libraries cannot be installed: {made.stderr.strip()[-300:]}"
        mark.write_text(wanted)
    return python, ""


def has_user(name: str) -> bool:
    """Is there a user of this name, and are we root, who may become it?"""
    import pwd

    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return os.geteuid() == 0

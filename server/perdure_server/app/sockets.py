"""Unix sockets of a home, for what runs on this machine."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

# A Unix socket's path has to fit into sockaddr_un.
_PATH_BYTES: Final = 107
_PREFIX: Final = "perdure-sockets-"


@contextmanager
def socket_path(home: Path, name: str) -> Iterator[str]:
    """Where a socket of the home is to be: in HOME/run (0700), or where its path is short enough, for this context."""
    path = home / "run" / name
    if len(os.fsencode(path)) <= _PATH_BYTES:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.parent.chmod(0o700)
        yield str(path)
        return
    _remove_left()
    folder, held = _folder()
    try:
        yield f"{folder}/{name}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _folder() -> tuple[str, int]:
    """A new one, and a descriptor that holds its lock: as long as somebody has that, whoever made the folder lives."""
    while True:
        folder = tempfile.mkdtemp(prefix=_PREFIX)
        held = _locked(folder)
        if held is not None and Path(folder).exists():
            return folder, held
        if held is not None:  # somebody took it for one that was left, before we had the lock
            os.close(held)


def _remove_left() -> None:
    """Folders of this user's servers that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if (held := _locked(str(folder))) is not None:
            shutil.rmtree(folder, ignore_errors=True)
            os.close(held)


def _locked(folder: str) -> int | None:
    """A descriptor that holds the folder's lock; None: somebody else does, or it is not there, or not ours."""
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        if os.fstat(held).st_uid != os.geteuid():
            raise PermissionError
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held

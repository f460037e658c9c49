"""Folders that are made in one piece and then only read: builds and environments."""

import os
import shutil
import stat
from pathlib import Path


def into_place(made: Path, final: Path) -> None:
    """Move a complete directory to its name; if another process was faster, its result is as good."""
    try:
        made.rename(final)
    except OSError:
        if not final.is_dir():
            raise


def read_only(root: Path) -> None:
    """Take the write permission from everything below `root`; its own stays, or it could not be moved.

    What is executable stays so. Links have no permissions: setting them would set those of what they lead to, if there
    is anything.
    """
    for folder, folders, files in os.walk(root):
        for path in (os.path.join(folder, name) for name in (*files, *folders)):
            mode = os.lstat(path).st_mode
            if not stat.S_ISLNK(mode):
                os.chmod(path, 0o555 if mode & 0o111 else 0o444)


def remove(root: Path) -> None:
    """Delete a folder, read-only ones included; what cannot be deleted stays."""
    for folder, _, _ in os.walk(root):
        os.chmod(folder, 0o700)
    shutil.rmtree(root, ignore_errors=True)


def clear_away(root: Path) -> None:
    """Delete the `tmp-<pid>-*` folders below `root` of processes that are dead now."""
    for left in root.glob("tmp-*"):
        if not _alive(left.name.split("-")[1]):
            remove(left)


def _alive(pid: str) -> bool:
    return pid.isdigit() and Path(f"/proc/{pid}").exists()

"""Folders that are made in one piece and then only read: builds and environments."""

import os
import shutil
from pathlib import Path


def into_place(made: Path, final: Path) -> None:
    """Move a complete directory to its name; if another process was faster, its result is as good."""
    try:
        made.rename(final)
    except OSError:
        if not final.is_dir():
            raise


def read_only(root: Path) -> None:
    """Take the write permission from everything below `root`; its own stays, or it could not be moved."""
    for folder, folders, files in os.walk(root):
        for name in files:
            os.chmod(os.path.join(folder, name), 0o444)
        for name in folders:
            os.chmod(os.path.join(folder, name), 0o555)  # noqa: S103 (readable by the runner's user)


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

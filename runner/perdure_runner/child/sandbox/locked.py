"""A runner that somebody else has put into namespaces, as bubblewrap does: the rest of the sandbox."""

import os
import socket
from collections.abc import Mapping, Sequence

from perdure_runner.child import relay
from perdure_runner.child.sandbox import kernel
from perdure_runner.child.sandbox.cell import Cell, Isolation, Settings


def lock(confine: Mapping[str, object], groups: Sequence[int], egress: int | None) -> None:
    """Join control groups, open the way out, limit files, and give up everything that user code must not have.

    Args:
        confine: as of `Cell.enter`; besides "resized": file systems in memory that are to have no more than "files"
            each, for which the capability CAP_SYS_ADMIN is needed. It is given up with all others.
        groups: files by which one joins; closed.
        egress: a socket to the egress proxy, for network "hosts"; closed.
    Raises:
        OSError: no user code must run.
    """
    for group in groups:
        os.write(group, b"0")
        os.close(group)
    if egress is not None:
        relay.open_door(egress)
    _limit_files(confine.get("resized"), confine.get("files"))
    cell = Cell(Settings(Isolation.LOCKED, "/nowhere", ()))
    cell.ready()
    cell.enter(confine, counted=bool(confine.get("counted")))


def nothing(_connection: socket.socket) -> int:
    """What a trial of this does when it is locked: it was possible."""
    return 0


def _limit_files(places: object, files: object) -> None:
    if isinstance(places, list) and isinstance(files, int) and files:
        for place in places:
            status = os.statvfs(place)
            already = status.f_files - status.f_ffree  # itself, and folders where something is shown
            kernel.resize(place, f"nr_inodes={already + files}")

"""A runner that somebody else has put into namespaces, as bubblewrap does: the rest of the sandbox."""

import os
from collections.abc import Mapping, Sequence

from perdure_runner.child import relay
from perdure_runner.child.sandbox.cell import Cell, Isolation, Settings


def lock(confine: Mapping[str, object], groups: Sequence[int], egress: int | None) -> None:
    """Join control groups, open the way out, and give up everything that user code must not have.

    Args:
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
    cell = Cell(Settings(Isolation.LOCKED, "/nowhere", ()))
    cell.ready()
    cell.enter(confine, counted=bool(confine.get("counted")))

"""Processes that user code forks: no part of the session, which is the first process alone.

Such a process runs natively and records nothing; its socket, numbers and place in the journal are its parent's. What it
prints goes where a subprocess's output goes, to descriptors 1 and 2.
"""

from __future__ import annotations

import os
import sys
from io import TextIOWrapper

from perdure_runner.child.lanes.lanes import Lanes
from perdure_runner.child.link import Link


def watch(link: Link, lanes: Lanes | None) -> None:
    """From now on a forked process leaves the session as soon as it begins. `lanes`: of a session that is recorded."""

    def leave() -> None:
        link.mute()
        if lanes is not None:
            lanes.free().__enter__()  # for good: whatever it does is a part of the call that forked it
        sys.stdout = sys.__stdout__ = _text(1)  # type: ignore[misc]
        sys.stderr = sys.__stderr__ = _text(2)  # type: ignore[misc]

    os.register_at_fork(after_in_child=leave)


def _text(descriptor: int) -> TextIOWrapper:
    return open(descriptor, "w", buffering=1, encoding="utf-8", errors="replace", closefd=False)

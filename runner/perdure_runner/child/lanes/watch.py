"""Notices a lane that waits for another one without blocking: it keeps the baton, and the other never gets it.

A loop such as ``while not done: pass`` ends in plain Python because threads are switched by time. Here it would run for
ever; so a lane that makes no call and waits for nothing for a long time, while others could go on, ends the session.
"""

from __future__ import annotations

import _thread
import sys
import time
import types
from collections.abc import Callable
from typing import Final

from perdure_runner.child.lanes.lanes import Strand

PATIENCE_S: Final = 60.0
"""Honest computation has to fit into this, where other threads are ready to run."""
_LOOK_EVERY_S: Final = 5.0
_sleep = time.sleep
_monotonic = time.monotonic


class Watch:
    """Whether anything goes on; asked from time to time."""

    def __init__(self, progress: Callable[[], object]) -> None:
        """`progress`: something that changes when a lane does anything; None while no other lane could go on."""
        self._progress = progress
        self._last: object = None
        self._since_s = 0.0

    def is_stuck(self, now_s: float) -> bool:
        """Has nothing changed for `PATIENCE_S` seconds, though it could?"""
        progress = self._progress()
        if progress is None or progress != self._last:
            self._last, self._since_s = progress, now_s
            return False
        return now_s - self._since_s >= PATIENCE_S


def begin(watch: Watch, stuck: Callable[[], None]) -> None:
    """Look after it in a thread of its own, and call `stuck` there."""

    def look() -> None:
        while not watch.is_stuck(_monotonic()):
            _sleep(_LOOK_EVERY_S)
        stuck()

    _thread.start_new_thread(look, ())


def frame_of(strand: Strand) -> types.FrameType | None:
    """Where a strand is now."""
    ident = strand.thread.ident if strand.thread is not None else None
    return sys._current_frames().get(ident or 0)  # noqa: SLF001 - the only way to see another thread

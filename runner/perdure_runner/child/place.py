"""Where user code is, as far as its output is concerned.

Replay makes the same lines of output again, but for those that an activity printed: it does not run. So the index of a
line counts these apart, each attempt by itself, and what is printed after an activity begins at a stage of its own.
"""

from __future__ import annotations

from typing import Final, NamedTuple

PER_STAGE: Final = 1 << 32
"""Indices of lines that each stage has for itself."""
AFTER: Final = 1 << 20
"""The stage after an activity: above every attempt. `AFTER * PER_STAGE` is still exact in JSON's numbers."""


class Place(NamedTuple):
    """How many calls have begun, in all lanes, the stage of the last one, and which activity runs now, or "".

    The stage is the number of an activity's attempt while it runs, `AFTER` when it has, and 0 for all other calls.
    """

    ordinal: int = 0
    stage: int = 0
    activity: str = ""

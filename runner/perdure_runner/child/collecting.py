"""Cyclic garbage collection at fixed steps of a session.

When the interpreter collects by itself depends on how much was allocated, and replay allocates less: it leaves
activities out. So finalizers of objects in cycles, and what weak references see, would be repeated at other places.
Here collections stand at fixed numbers of calls, counted over all lanes. The interpreter's own remain as an emergency
brake for code that makes garbage without making calls: a finalizer that calls out in one of those ends the session.
"""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Callable
from typing import Any, Final, NoReturn

import perdure

from perdure_runner.child.blame import speaks_for_others

STEP: Final = 256
"""Calls between two collections of what is young."""
_FULL: Final = 64
"""Every so many steps everything is collected: it takes as long as the program's objects are many."""
_EMERGENCY: Final = (500_000, 10, 10)
"""Thresholds of the interpreter's own collections: so many new objects that can be in cycles, on balance."""
_YOUNG: Final = 1 if sys.version_info < (3, 14) else 2
"""The generations to collect at a step: all but the oldest. From 3.14 on they are increments of its own choice."""


class Collector:
    """The session's collections, and the `gc` module as user code sees it: its switches act on the fixed steps."""

    def __init__(self, is_free: Callable[[], bool]) -> None:
        """is_free: whether the code that asks is free, so that what it does is not repeated by replay."""
        self.due = STEP
        """The number of calls from which on `step` is to be called."""
        self._is_free = is_free
        self._next = STEP
        self._steps = 0
        self._on = True
        self._own = False
        self._refused: perdure.ConcurrencyError | None = None
        self._refuse: Callable[[perdure.ConcurrencyError], NoReturn] = _raise
        self._thresholds = gc.get_threshold()
        self._gc = types.SimpleNamespace(**vars(gc))

    def install(self, refuse: Callable[[perdure.ConcurrencyError], NoReturn]) -> None:
        """Begin, for good. refuse: ends the session."""
        self._refuse = refuse
        self._gc.set_threshold(*_EMERGENCY)
        self._gc.enable()
        gc.callbacks.append(self._watch)
        for name in ("collect", "disable", "enable", "get_threshold", "isenabled", "set_threshold"):
            setattr(gc, name, getattr(self, name))

    def refuse_next(self, error: perdure.ConcurrencyError) -> None:
        """End the session at its next call, which the counting of calls finds at no cost."""
        self._refused, self.due = error, -1

    def step(self, calls: int, function: str) -> None:
        """`calls` calls have begun, and one of `function` is about to: what finalizers do comes before it."""
        if self.due < self._next:
            error = self._refused or perdure.ConcurrencyError(
                f"{function} was called by a finalizer at a moment that cannot be repeated: the code has made more "
                f"than {_EMERGENCY[0]:,} objects without a call; call gc.collect() in between"
            )
            self._refuse(error)
        self.due = self._next = calls + STEP
        self._steps += 1
        if self._on:
            self.collect(_YOUNG if self._steps % _FULL else 2)

    # ---- the functions of `gc`

    @speaks_for_others
    def collect(self, generation: int = 2) -> int:
        """`gc.collect`."""
        before, self._own = self._own, True
        try:
            return int(self._gc.collect(generation))
        finally:
            self._own = before

    def enable(self) -> None:
        """`gc.enable`."""
        self._switch(on=True)

    def disable(self) -> None:
        """`gc.disable`."""
        self._switch(on=False)

    def isenabled(self) -> bool:
        """`gc.isenabled`."""
        return self._on

    def get_threshold(self) -> tuple[int, int, int]:
        """`gc.get_threshold`."""
        return self._thresholds

    @speaks_for_others
    def set_threshold(self, *thresholds: int) -> None:
        """`gc.set_threshold`: 0 means no collections, as ever; other numbers are remembered only."""
        if self._is_free():
            return
        try:
            self._gc.set_threshold(*self._thresholds)
            self._gc.set_threshold(*thresholds)  # its checks, and what it does with those that are not given
            self._thresholds = self._gc.get_threshold()
        finally:
            self._gc.set_threshold(*_EMERGENCY)
        self._switch(on=self._thresholds[0] > 0)

    def _switch(self, *, on: bool) -> None:
        if not self._is_free():
            self._on = on
            (self._gc.enable if on else self._gc.disable)()

    def _watch(self, phase: str, _info: dict[str, Any]) -> None:
        if not (self._own or self._refused):
            self.due = -1 if phase == "start" and not self._is_free() else self._next


def _raise(error: perdure.ConcurrencyError) -> NoReturn:
    raise error

"""What lanes wait for, and what can be delivered to a strand that waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any

from perdure_runner.child.replay import Row

Key = tuple[str, int]
"""Lane and ordinal of a call."""
_numbers = count()


class Pending:
    """Something that one lane waits for. Delivered once, then over.

    It is one of: an outcome that the journal has (`position`); a call that may begin as soon as the history is used up
    and what was before is durable (`starts`); something that runs outside (`outside`); a wait at the coordinator
    (`key`).
    """

    __slots__ = (
        "done",
        "key",
        "number",
        "on_stop",
        "outside",
        "over",
        "position",
        "row",
        "silent",
        "speaks",
        "starts",
        "waiting",
    )

    def __init__(
        self,
        *,
        position: int | None = None,
        starts: bool = False,
        outside: bool = False,
        key: Key | None = None,
        row: Row | None = None,
        silent: bool = False,
    ) -> None:
        self.number = next(_numbers)
        self.position = position
        """The place in the journal of the row that says when user code went on."""
        self.starts = starts
        self.outside = outside
        self.key = key
        self.row = row
        """How the wait ended."""
        self.done = False
        """What ran outside has ended."""
        self.over = False
        self.silent = silent
        """User code does not see that it is over: it is a part of something larger."""
        self.speaks = False
        """Of what starts: it has an outcome at once, so nothing else may be delivered with it."""
        self.on_stop: Callable[[], None] | None = None
        """Called when it is over because the session is being stopped; None: it goes on then."""
        self.waiting: Waiting | None = None


class Waiting:
    """All that can be delivered to one strand while it waits."""

    __slots__ = ("_recorded", "deadline", "due_us", "outside", "pendings", "starts", "strand", "waits")

    def __init__(self) -> None:
        self.pendings: dict[Pending, None] = {}
        self._recorded: list[tuple[int, int, Pending]] = []
        self.starts: dict[Pending, None] = {}
        self.waits: dict[Key, Pending] = {}
        self.deadline: float | None = None
        """When its next timer fires: seconds of the session's clock."""
        self.due_us = 0
        """The same, by the clock on the wall."""
        self.strand: Any = None
        """Who waits for it, now."""

    def add(self, pending: Pending) -> None:
        """A lane of the strand waits for this, too."""
        pending.waiting = self
        self.pendings[pending] = None
        if pending.position is not None:
            heapq.heappush(self._recorded, (pending.position, pending.number, pending))
        elif pending.starts:
            self.starts[pending] = None
        elif pending.key is not None:
            self.waits[pending.key] = pending

    def drop(self, pending: Pending) -> None:
        """It is delivered, or nobody waits for it any more."""
        pending.over = True
        self.pendings.pop(pending, None)
        self.starts.pop(pending, None)
        if pending.key is not None and self.waits.get(pending.key) is pending:
            del self.waits[pending.key]

    def recorded(self) -> Pending | None:
        """The one that the journal delivers first."""
        heap = self._recorded
        while heap and heap[0][2].over:
            heapq.heappop(heap)
        return heap[0][2] if heap else None

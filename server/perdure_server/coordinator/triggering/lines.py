"""Who waits for a turn in one slot of a trigger: by pace, the oldest first."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from perdure_server.coordinator.triggering.live import Group
from perdure_server.store import DispatchRow

Key = tuple[int, str]
"""A dispatch: place of its event, and trigger."""
Slot = tuple[str, str, str]
"""What is held together: project, trigger, value of a key."""


@dataclass(slots=True, eq=False)
class Pending:
    """A dispatch whose row is in state "pending"."""

    row: DispatchRow
    group: Group
    over: bool = False  # started or finished

    @property
    def key(self) -> Key:
        return self.row.event_seq, self.row.trigger_name

    def slot(self, value: str) -> Slot:
        return self.group.project, self.row.trigger_name, value


@dataclass(slots=True)
class Line:
    """What counts in one slot: who may start now, by pace, and who runs."""

    ready: dict[str, deque[Pending]] = field(default_factory=dict)
    held: dict[Key, str] = field(default_factory=dict)  # its session; "" until that is durable
    heads: list[tuple[Key, str]] = field(default_factory=list)  # heap: the first of each pace that may be free
    later: list[tuple[int, str]] = field(default_factory=list)  # heap: when the other paces are free
    alarm_us: int = 0

    @property
    def empty(self) -> bool:
        return not self.ready and not self.held

    def append(self, pending: Pending) -> None:
        pace = pending.group.pace
        waiting = self.ready.setdefault(pace, deque())
        waiting.append(pending)
        if len(waiting) == 1:
            heapq.heappush(self.heads, (pending.key, pace))

    def take(self, pending: Pending) -> None:
        pace = pending.group.pace
        waiting = self.ready[pace]
        waiting.remove(pending)
        if waiting:
            heapq.heappush(self.heads, (waiting[0].key, pace))
        else:
            del self.ready[pace]

    def first(self, free_at: Callable[[Pending], int], now_us: int) -> Pending | None:
        """The oldest that is free; None: none is before the first time in `later`.

        There may be as many paces as strangers send keys: none is looked at twice for nothing.
        """
        while self.later and self.later[0][0] <= now_us:
            _, pace = heapq.heappop(self.later)
            if pace in self.ready:
                heapq.heappush(self.heads, (self.ready[pace][0].key, pace))
        while self.heads:
            key, pace = self.heads[0]
            waiting = self.ready.get(pace)
            if waiting is not None and waiting[0].key == key:
                free_us = free_at(waiting[0])
                if not free_us:
                    return waiting[0]
                heapq.heappush(self.later, (free_us, pace))
            heapq.heappop(self.heads)
        return None

    def look_at_all(self) -> None:
        """Paces may be others now."""
        self.later.clear()
        self.heads = sorted((waiting[0].key, pace) for pace, waiting in self.ready.items())

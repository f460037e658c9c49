"""Who waits for a host: first come, first served, among those that can be served at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from perdure_server.coordinator.choosing import Need

T = TypeVar("T")


class Queue(Generic[T]):
    """A line for each demand (`Need.demand`), so that those whom no host suits cost those behind them nothing."""

    def __init__(self) -> None:
        self._lines: dict[Need, deque[tuple[int, T]]] = {}  # with their numbers, which rise
        self._first = self._last = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, demand: Need, item: T) -> None:
        self._last += 1
        self._lines.setdefault(demand, deque()).append((self._last, item))
        self._length += 1

    def appendleft(self, demand: Need, item: T) -> None:
        """It was first before."""
        self._first -= 1
        self._lines.setdefault(demand, deque()).appendleft((self._first, item))
        self._length += 1

    def take(self, served: Callable[[Need], bool]) -> T | None:
        """The first whose demand is served now; None when there is nobody like that."""
        heads = [(line[0][0], demand) for demand, line in self._lines.items() if served(demand)]
        if not heads:
            return None
        _, demand = min(heads, key=lambda head: head[0])
        line = self._lines[demand]
        _, item = line.popleft()
        if not line:
            del self._lines[demand]
        self._length -= 1
        return item

    def keep(self, wanted: Callable[[T], bool]) -> list[T]:
        """Take out all that are not wanted any more."""
        gone = [item for line in self._lines.values() for _, item in line if not wanted(item)]
        if gone:
            left = {demand: deque(each for each in line if wanted(each[1])) for demand, line in self._lines.items()}
            self._lines = {demand: line for demand, line in left.items() if line}
            self._length = sum(map(len, self._lines.values()))
        return gone

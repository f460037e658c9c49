"""Who waits for a host: projects take turns, each in its own order, among those that can be served at all."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Generic, TypeVar

from perdure_server.coordinator.choosing import Need

T = TypeVar("T")


class Queue(Generic[T]):
    """A line for each demand (`Need.demand`), so that those whom no host suits cost those behind them nothing.

    An item's round is the one after its owner's item before, and not earlier than the one that is being served: so who
    has thousands waiting delays others by one item a round. (Start-time fair queueing: Goyal, Vin, Cheng, 1996.)
    """

    def __init__(self) -> None:
        self._lines: dict[Need, list[tuple[int, int, str, T]]] = {}  # heaps: round, number, owner
        self._round = 0  # that is being served
        self._newest: dict[str, tuple[int, int]] = {}  # of each owner who waits: round of the last item, how many
        self._first = self._last = 0
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def append(self, demand: Need, item: T, owner: str = "") -> None:
        self._last += 1
        newest, count = self._newest.get(owner, (0, 0))
        round_ = max(self._round, newest) + 1
        self._newest[owner] = round_, count + 1
        heapq.heappush(self._lines.setdefault(demand, []), (round_, self._last, owner, item))
        self._length += 1

    def appendleft(self, demand: Need, item: T, owner: str = "") -> None:
        """It was first of its owner's before: it is again, in the next round."""
        self._first -= 1
        newest, count = self._newest.get(owner, (0, 0))
        self._newest[owner] = newest, count + 1
        heapq.heappush(self._lines.setdefault(demand, []), (self._round + 1, self._first, owner, item))
        self._length += 1

    def take(self, served: Callable[[Need], bool]) -> T | None:
        """The first whose demand is served now; None when there is nobody like that."""
        heads = [(line[0][:2], demand) for demand, line in self._lines.items() if served(demand)]
        if not heads:
            return None
        _, demand = min(heads, key=lambda head: head[0])
        line = self._lines[demand]
        round_, _, owner, item = heapq.heappop(line)
        if not line:
            del self._lines[demand]
        self._round = max(self._round, round_)
        self._left(owner)
        return item

    def keep(self, wanted: Callable[[T], bool]) -> list[T]:
        """Take out all that are not wanted any more."""
        gone = [each for line in self._lines.values() for each in line if not wanted(each[3])]
        if gone:
            left = {demand: [each for each in line if wanted(each[3])] for demand, line in self._lines.items()}
            self._lines = {demand: line for demand, line in left.items() if line}
            for line in self._lines.values():
                heapq.heapify(line)
            for each in gone:
                self._left(each[2])
        return [each[3] for each in gone]

    def _left(self, owner: str) -> None:
        self._length -= 1
        newest, count = self._newest[owner]
        if count > 1:
            self._newest[owner] = newest, count - 1
        else:
            del self._newest[owner]

"""How often triggers start sessions: the latest starts of each key, as many as its limit."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Final

from perdure_server.coordinator.clock import Clock
from perdure_server.manifest.triggers import Rate

Key = tuple[str, str, str]
"""Project, trigger, and what an event is counted by: a stranger's text."""

MARKS: Final = 1_000  # times that are kept of a key; what is nearer than this part of its window is one
MARKS_OF_ONE: Final = 100_000  # of a project: then it forgets the keys that were quiet longest
_FORGET_EVERY: Final = 1_000


@dataclass(slots=True)
class _Mark:
    """Starts that are counted together, as late as the last of them: never too many pass."""

    first_us: int
    last_us: int
    count: int = 1


@dataclass(slots=True)
class _Starts:
    per_us: int = 0
    marks: deque[_Mark] = field(default_factory=deque)
    count: int = 0

    def forget(self, now_us: int) -> None:
        """Those that are over."""
        while self.marks and self.marks[0].last_us + self.per_us <= now_us:
            self.count -= self.marks.popleft().count

    def free_at(self, limit: int) -> int:
        """When so few of them count that there is room for one more; 0: there is."""
        excess = self.count - limit + 1
        for mark in self.marks:
            if excess <= 0:
                break
            excess -= mark.count
            if excess <= 0:
                return mark.last_us + self.per_us
        return 0

    def add(self, now_us: int, near_us: int) -> None:
        self.count += 1
        if self.marks and 0 <= now_us - self.marks[-1].first_us < near_us:
            self.marks[-1].last_us = now_us
            self.marks[-1].count += 1
        else:
            self.marks.append(_Mark(now_us, now_us))


class Rates:
    """In memory, and never more than so much of it: a restart begins a new count."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._starts: dict[str, OrderedDict[Key, _Starts]] = {}  # by project, those that started last at the end
        self._marks: dict[str, int] = {}  # of each project
        self._until_forgetting = _FORGET_EVERY

    def free_at(self, key: Key, rate: Rate) -> int:
        """When another one may start (Unix time in microseconds); 0: now."""
        of_project = self._starts.get(key[0])
        starts = of_project.get(key) if of_project is not None else None
        if starts is None:
            return 0
        self._renew(key[0], starts, rate)
        return starts.free_at(rate.limit)

    def note(self, key: Key, rate: Rate) -> None:
        """One starts now."""
        project, now_us = key[0], self._clock.now_us()
        of_project = self._starts.setdefault(project, OrderedDict())
        starts = of_project.setdefault(key, _Starts())
        of_project.move_to_end(key)
        self._renew(project, starts, rate)
        before = len(starts.marks)
        starts.add(now_us, starts.per_us // MARKS if rate.limit > MARKS else 0)
        self._count(project, len(starts.marks) - before)
        while self._marks[project] > MARKS_OF_ONE and len(of_project) > 1:
            self._drop(project, next(iter(of_project)))
        self._until_forgetting -= 1
        if not self._until_forgetting:
            self._forget(now_us)

    def _renew(self, project: str, starts: _Starts, rate: Rate) -> None:
        """The rate may have changed since, and time has passed."""
        before, starts.per_us = len(starts.marks), int(rate.per_s * 1e6)
        starts.forget(self._clock.now_us())
        self._count(project, len(starts.marks) - before)

    def _count(self, project: str, more: int) -> None:
        self._marks[project] = self._marks.get(project, 0) + more

    def _drop(self, project: str, key: Key) -> None:
        self._count(project, -len(self._starts[project].pop(key).marks))
        if not self._starts[project]:
            del self._starts[project], self._marks[project]

    def _forget(self, now_us: int) -> None:
        """Keys that count no more are not kept. Half of the work at most is this."""
        for project, of_project in list(self._starts.items()):
            for key, starts in list(of_project.items()):
                if not starts.marks or starts.marks[-1].last_us + starts.per_us <= now_us:
                    self._drop(project, key)
        self._until_forgetting = max(_FORGET_EVERY, sum(map(len, self._starts.values())))

"""How many sessions of a deployment have a runner at once, and how many of them wait for one."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Final

from perdure_server.core import limits
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Runner

if TYPE_CHECKING:
    from perdure_server.coordinator.actor import Actor
    from perdure_server.store import SessionRecord

_HELP: Final = "start it again later, or raise `limits: {queue: ..., sessions: ...}` in perdure.yaml"


class Quotas:
    """Counts by deployment. A session that finds all places of its deployment taken is parked here, out of the way.

    `sessions` and `queue` of a deployment are those of its build's manifest; 0 means no limit.
    """

    def __init__(self) -> None:
        self._taken: dict[tuple[str, int], str] = {}  # (session, epoch) -> deployment
        self._running: Counter[str] = Counter()
        self._waiting: dict[str, dict[str, Actor]] = {}  # deployment -> session -> who wants a runner
        self._of_project: Counter[str] = Counter()  # how many of these
        self._parked: dict[str, deque[Actor]] = {}

    @property
    def parked(self) -> int:
        """How many sessions wait here for a place, of all deployments."""
        return sum(map(len, self._parked.values()))

    def waiting_of(self, project: str) -> int:
        """How many sessions of a project wait."""
        return self._of_project[project]

    def admit(self, record: SessionRecord, queue: int) -> None:
        """Raises P0610 when as many sessions of the deployment wait as may."""
        name = _deployment(record)
        if not self.has_room(name, queue):
            waiting = len(self._waiting[name])
            raise PerdureError("P0610", limits.reached("queue", str(queue), str(waiting)), help=_HELP)

    def has_room(self, deployment_id: str, queue: int) -> bool:
        """May another session of the deployment wait?"""
        waiting = self._waiting.get(deployment_id, {})
        if queue and len(waiting) >= queue:
            for actor in [actor for actor in waiting.values() if not _wants(actor)]:
                self.dequeued(actor)  # it was stopped in the queue
        return not queue or len(waiting) < queue

    def enqueued(self, actor: Actor) -> None:
        waiting = self._waiting.setdefault(_deployment(actor.record), {})
        self._of_project[actor.record.project] += actor.session_id not in waiting
        waiting[actor.session_id] = actor

    def dequeued(self, actor: Actor) -> None:
        """It is placed, or needs no place any more."""
        name = _deployment(actor.record)
        waiting = self._waiting.get(name, {})
        if waiting.pop(actor.session_id, None) is not None:
            self._of_project[actor.record.project] -= 1
            if not self._of_project[actor.record.project]:
                del self._of_project[actor.record.project]
        if not waiting:
            self._waiting.pop(name, None)

    def park(self, actor: Actor) -> bool:
        """Keep the session until one of its deployment gives back a place; False when there is one."""
        name = _deployment(actor.record)
        if not actor.build.sessions or self._running[name] < actor.build.sessions:
            return False
        self._parked.setdefault(name, deque()).append(actor)
        return True

    def take(self, actor: Actor, epoch: int) -> None:
        """The session has a place."""
        name = _deployment(actor.record)
        self._taken[actor.session_id, epoch] = name
        self._running[name] += 1

    def give_back(self, session_id: str, epoch: int) -> Actor | None:
        """The place is free; who has to go back to the queue for it, if anybody waits. Harmless when said twice."""
        name = self._taken.pop((session_id, epoch), None)
        if name is None:
            return None
        self._running[name] -= 1
        if not self._running[name]:
            del self._running[name]
        return self._next(name)

    def gave_up(self, actor: Actor) -> Actor | None:
        """It left the queue without a place; who has to go there for the place that may have been kept for it."""
        self.dequeued(actor)
        name = _deployment(actor.record)
        return self._next(name) if self._running[name] < actor.build.sessions else None

    def prune(self) -> None:
        """Forget those that are parked and want no place any more."""
        for name, parked in list(self._parked.items()):
            wanting: deque[Actor] = deque()
            for actor in parked:
                if _wants(actor):
                    wanting.append(actor)
                else:
                    self.dequeued(actor)
            if wanting:
                self._parked[name] = wanting
            else:
                del self._parked[name]

    def _next(self, name: str) -> Actor | None:
        """The first of a deployment that is parked and still wants a place."""
        parked = self._parked.get(name)
        while parked:
            actor = parked.popleft()
            if not parked:
                del self._parked[name]
            if _wants(actor):
                return actor
            self.dequeued(actor)
        return None


def _wants(actor: Actor) -> bool:
    return not actor.dropped and actor.state.runner is Runner.WANTED


def _deployment(record: SessionRecord) -> str:
    """Sessions of builds that were never deployed are counted by build."""
    return record.deployment_id or record.build_id

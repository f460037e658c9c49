"""Which host runs which session, and how a session gets there."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from perdure_proto.v1.runner_pb2 import Start, ToHost

from perdure_server.coordinator import history
from perdure_server.coordinator.choosing import Need
from perdure_server.coordinator.hosts import Connection, Hosts
from perdure_server.coordinator.queueing import Queue
from perdure_server.coordinator.quotas import Quotas
from perdure_server.core import events as ev
from perdure_server.core import limits
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Phase, Runner
from perdure_server.store import Done, Failed, Mutation, Result, SessionRecord, SessionUpdate, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.actor import Actor
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.coordinator")

_TOLD: Final = 1_000
_FEW: Final = 100  # the part of the queue that a project may have, whoever crowds it


class Placement:
    """The queue of sessions that want a runner, and the sending of histories."""

    def __init__(self, coordinator: Coordinator, hosts: Hosts) -> None:
        self._c = coordinator
        self._hosts = hosts
        self._queue: Queue[Actor] = Queue()
        self.quotas = Quotas()
        self._told: set[Need] = set()  # that nobody meets: each is told once
        self._sending = asyncio.Semaphore(coordinator.settings.placing_limit)

    def __len__(self) -> int:
        """How many sessions wait."""
        return len(self._queue) + self.quotas.parked

    @property
    def full(self) -> bool:
        return len(self) >= self._c.settings.queue_limit

    @property
    def crowded(self) -> bool:
        """Do half of those wait who may? The rest is for who would be refused: rows that are durable can wait."""
        return len(self) >= max(1, self._c.settings.queue_limit // 2)

    def has_room(self, project: str) -> bool:
        """May a session of the project wait whose row is durable? A few of each may while others crowd the queue."""
        few = self._c.settings.queue_limit // _FEW
        return not self.crowded or (not self.full and self.quotas.waiting_of(project) < few)

    def admit(self, record: SessionRecord, queue: int) -> None:
        """Raises P0610 when too many wait: of all sessions, of the project's, or of the deployment's, of which `queue`
        may (0: any)."""
        if self._refusal(record.project):
            self.quotas.prune()
            for gone in self._queue.keep(_wants):
                self._gave_up(gone)
        if reason := self._refusal(record.project):
            raise PerdureError("P0610", reason, help="add a host, or start it again later")
        self.quotas.admit(record, queue)

    def _refusal(self, project: str) -> str:
        """Why none of the project's may be added."""
        most, share = self._c.settings.queue_limit, self._c.settings.project_queue
        if self.full:
            return limits.reached("queue", f"{most} of all projects", str(len(self)))
        mine = self.quotas.waiting_of(project)
        return limits.reached("queue", f"{share} of one project", str(mine)) if mine >= share else ""

    def want(self, actor: Actor, after_s: float) -> None:
        """Find a host for `actor`, at once or after `after_s` seconds."""
        if after_s:
            actor.arm("backoff", after_s, lambda: self.want(actor, 0))
            return
        demand = self._need(actor).demand
        self._queue.append(demand, actor, actor.record.project)
        self.quotas.enqueued(actor)
        self.pump()
        if demand not in self._told and len(self._hosts) and not self._hosts.suit(demand):
            if len(self._told) >= _TOLD:
                self._told.clear()
            self._told.add(demand)
            log.warning("sessions wait for a host with %s", demand)

    def pump(self) -> None:
        """Give room to those that wait, projects by turns; one that needs what no host has lets others pass."""
        passed: list[Actor] = []
        while (actor := self._queue.take(self._served)) is not None:
            if not _wants(actor):
                self._gave_up(actor)
                continue
            if self.quotas.park(actor):
                continue
            need = self._need(actor)
            if actor.unborn is None and not self._hosts.can_ever_run(need):
                actor.handle(ev.Doomed("P0213", f"no host has Python {need.python}, which the project asks for"))
                self._gave_up(actor)
                continue
            host = self._hosts.choose(actor.session_id, need)
            if host is None:  # the one with room has it already, for a replay or until its old runner is gone
                passed.append(actor)
                continue
            actor.connection = host
            self.quotas.dequeued(actor)
            actor.handle(ev.Placed())
        for actor in reversed(passed):
            self._unpark(actor)

    def _need(self, actor: Actor) -> Need:
        return self._c.builds.need(actor.record.build_id)

    def _served(self, demand: Need) -> bool:
        """Has a host room for such sessions, or is it time to tell them that there will be none?"""
        return self._hosts.have_room(demand) or not self._hosts.can_ever_run(demand)

    def begin(self, actor: Actor, epoch: int) -> None:
        """Fence off earlier runners durably, then send the session to its host."""
        connection = actor.connection
        assert connection is not None
        connection.gave(actor.session_id, epoch, actor.record.build_id)
        self.quotas.take(actor, epoch)
        session_id = actor.session_id
        unborn, actor.unborn = actor.unborn, None

        def raise_epoch(transaction: Transaction) -> int:
            if unborn is not None:
                transaction.insert_session(unborn)
            raised = transaction.raise_epoch(session_id)
            transaction.update_session(
                session_id, SessionUpdate(state=Phase.RUNNING.value, waiting=None, wake_at_us=None)
            )
            return raised

        def raised(result: Result) -> None:
            if actor.dropped:
                return
            match result:
                case Done(value) if value == epoch:
                    self._c.born(actor)
                    self._c.spawn(self._send(actor, epoch, connection))
                case Failed(error):
                    self._c.unborn(actor, error)
                    actor.handle(ev.StorageFailed(result.code or "P0209", str(error)))
                case _:
                    actor.handle(ev.Fenced())

        actor.writer.submit(Mutation(raise_epoch), raised)

    def released(self, connection: Connection, session_id: str, epoch: int) -> None:
        """The host has room again."""
        if (session_id, epoch) in connection.sessions:
            connection.sessions.discard((session_id, epoch))
            connection.moving.discard((session_id, epoch))
            self.given_back(session_id, epoch)
            if self._queue:
                self._c.soon(self.pump)

    def given_back(self, session_id: str, epoch: int) -> None:
        """The session's deployment may have another one run."""
        if (parked := self.quotas.give_back(session_id, epoch)) is not None:
            self._unpark(parked)
            self._c.soon(self.pump)

    def _gave_up(self, actor: Actor) -> None:
        """It was taken out of the queue, and needs no runner any more."""
        if (parked := self.quotas.gave_up(actor)) is not None:
            self._unpark(parked)

    def _unpark(self, actor: Actor) -> None:
        self._queue.appendleft(self._need(actor).demand, actor, actor.record.project)

    async def _send(self, actor: Actor, epoch: int, connection: Connection) -> None:
        """Start and history; given up as soon as the session or the host has gone elsewhere."""

        def current() -> bool:
            return not (actor.dropped or connection.closed) and actor.state.epoch == epoch

        try:
            start: Start | None = await history.start_message(self._c, actor.record, epoch, actor.state.next_seq - 1)
            async with self._sending:
                async for page in history.pages(self._c, actor.session_id, epoch, actor.state.next_seq - 1):
                    if not current():
                        return
                    for entry in page.entries:
                        actor.waits.note(entry)
                    if start is not None and (actor.session_id, epoch) in connection.moving:
                        actor.detach(epoch)  # it never came there: nobody will say that it is gone
                        actor.handle(ev.HostGone("the host is being emptied"))
                        return
                    if start is not None:
                        actor.knows_secrets |= bool(start.secrets)
                        connection.send(ToHost(start=start))
                        start = None
                    connection.send(ToHost(history=page))
                    await connection.drain()
        except PerdureError as error:
            if current():
                actor.handle(ev.Doomed(error.code, str(error)))


def _wants(actor: Actor) -> bool:
    return not actor.dropped and actor.state.runner is Runner.WANTED

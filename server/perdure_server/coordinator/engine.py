"""The coordinator: sessions in memory, hosts, and what passes between them.

Everything here runs on one event loop. Messages come in by plain calls, go through `core.session.step`, and leave by
plain calls; the store calls back when something is durable.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any, Final

from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_proto.v1.control_pb2 import SessionUpdate as Update

from perdure_server.coordinator import family
from perdure_server.coordinator.actor import Actor
from perdure_server.coordinator.builds import Builds
from perdure_server.coordinator.clock import Clock, SystemClock
from perdure_server.coordinator.connections import Connections
from perdure_server.coordinator.entries import Entries
from perdure_server.coordinator.hosts import Connection, Drain, HostEnd, Hosts, kill_runner
from perdure_server.coordinator.lifecycle.garbage import Garbage
from perdure_server.coordinator.loading import Loading
from perdure_server.coordinator.messages import session_message
from perdure_server.coordinator.outcomes import Outcomes
from perdure_server.coordinator.placement import Placement
from perdure_server.coordinator.pool import Pool
from perdure_server.coordinator.preparing import Preparing
from perdure_server.coordinator.recovery import Recovery
from perdure_server.coordinator.replays import Replays
from perdure_server.coordinator.requests import answering
from perdure_server.coordinator.requests.failing import Failures
from perdure_server.coordinator.sealing import hide
from perdure_server.coordinator.settings import Fault, Settings
from perdure_server.coordinator.subscriptions import Subscriptions
from perdure_server.coordinator.timers import Timers
from perdure_server.coordinator.translate import EVENTS
from perdure_server.coordinator.triggering import Dispatcher, deliveries
from perdure_server.coordinator.usage import Usage
from perdure_server.coordinator.variables import Variables
from perdure_server.coordinator.watch import Watchers
from perdure_server.coordinator.writer import Writer
from perdure_server.core import events as ev
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import SessionState
from perdure_server.environments.locks import Locks
from perdure_server.secrets import Vault
from perdure_server.store import (
    BlobStore,
    Done,
    Failed,
    Mutation,
    Result,
    SessionKeys,
    SessionRecord,
    Store,
    SubscriptionRow,
    Transaction,
)

log: Final = logging.getLogger("perdure.coordinator")


class Coordinator:
    """Owns the journal of a home, dispatches, places sessions on hosts. `start` it before use, `close` it after."""

    def __init__(
        self,
        store: Store,
        blobs: BlobStore,
        keys: SessionKeys,
        settings: Settings | None = None,
        clock: Clock | None = None,
        vault: Vault | None = None,
    ) -> None:
        self.store = store
        self.blobs = blobs
        self.keys = keys
        self.vault = vault or Vault.in_memory()
        self.settings = settings or Settings()
        self.clock = clock or SystemClock()
        self.hash_seed = int.from_bytes(keys.session_key("hash seed")[:4])
        self.public_url = ""  # of the HTTP face, without a slash at its end; empty: nothing is served there
        self.actors: dict[str, Actor] = {}
        self.hosts = Hosts(store.coordinator_id, self.settings, self.clock)
        self.watchers = Watchers(self.settings.watch_updates)
        self.builds = Builds(store, self.settings.ceiling, self.settings.default_network, self.clock.now_us)
        self.entries = Entries(store, blobs)
        self.locks = Locks(blobs, blobs.root.parent / "locks", build_sdists=self.settings.build_sdists)
        self.variables = Variables(store, self.vault, self.builds, self.clock)
        self.connections = Connections(store, self.variables, self.clock, self.settings.reaches)
        self.outcomes = Outcomes(self)
        self.failures = Failures()
        self.usage = Usage(self)
        self.placement = Placement(self, self.hosts)
        self.replays = Replays(self)
        self.pool = Pool(self)
        self.preparing = Preparing(self)
        self.loading = Loading(self)
        self.recovery = Recovery(self)
        self.subscriptions = Subscriptions(self)
        self.deliveries = deliveries.Finder(self)
        self.dispatcher = Dispatcher(self)
        self.builds.changed = self._deployed
        self.variables.changed = self._receives
        self.receivers_changed: Callable[[str], None] | None = None  # told the project whose webhooks may be others
        self.garbage = Garbage(self)
        self.timers = Timers(
            self.clock,
            lambda before_us, limit: asyncio.to_thread(store.due_timers, before_us, limit),
            self._timer_due,
            window_s=self.settings.timer_window_s,
            batch=self.settings.timer_batch,
        )
        self._lingering: list[Writer] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._births: dict[str, asyncio.Future[bool]] = {}  # of sessions whose rows are not durable yet

    # Life.

    async def start(self, *, recover: bool = True) -> None:
        """Take up every session that was alive, and keep looking after them; or look after new ones only.

        Raises P0220 when a key of the home's secrets is missing; then nothing is touched.
        """
        await self.variables.start()
        if recover:
            await self.recovery.recover()
            self.recovery.watch_over()
            await self.dispatcher.start()
            self.garbage.watch_over()
        else:
            self.timers.keep_all()

    async def close(self) -> None:
        """Cut the hosts and forget the sessions: all that counts is durable, and the next start takes it up."""
        self.recovery.close()
        self.garbage.close()
        self.dispatcher.close()
        for task in list(self._tasks):
            task.cancel()
        for actor in list(self.actors.values()):
            actor.drop()
        for connection in self.hosts:
            connection.close("the coordinator is shutting down")
        self.timers.close()
        self.watchers.fail_all(PerdureError("P0207", "the coordinator is shutting down"))
        await self.connections.tokens.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._reap)

    def _reap(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a task of the coordinator failed", exc_info=error)

    def _deployed(self, project: str) -> None:
        self.dispatcher.changed(project)
        self._receives(project)

    def _receives(self, project: str) -> None:
        if self.receivers_changed is not None:
            self.receivers_changed(project)

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back in the loop's next turn."""
        asyncio.get_running_loop().call_soon(callback)

    def linger(self, writer: Writer) -> None:
        """Flush `writer` within `linger_s`: one timer for all, set only while something lingers."""
        if not self._lingering:
            due_us = self.clock.now_us() + int(self.settings.linger_s * 1e6)
            self.clock.call_at(due_us, self._flush_lingering)
        self._lingering.append(writer)

    def _flush_lingering(self) -> None:
        lingering, self._lingering = self._lingering, []
        for writer in lingering:
            writer.flush()

    # Hosts.

    def connect(self, end: HostEnd, drain: Drain | None = None) -> Connection:
        """A host has dialled in; its first message has to be a hello. `drain` paces bulk where the link can be full."""
        return Connection(self, end, drain)

    def disconnect(self, connection: Connection, reason: str) -> None:
        """The link is gone, or is to be: its sessions are placed again."""
        if connection.closed:
            return
        connection.closed = True
        connection.end.closed(reason)
        if self.hosts.remove(connection):
            log.info("host %s is gone: %s", connection.host_id, reason)
        sessions, connection.sessions = connection.sessions, set()
        for session_id, epoch in sessions:
            self.placement.given_back(session_id, epoch)
            actor = self.actors.get(session_id)
            if actor is not None and actor.connection is connection and actor.state.epoch == epoch:
                actor.connection, actor.pid = None, 0
                actor.handle(ev.HostGone(reason))
                actor.settle()
        self.replays.host_gone(connection, reason)
        self.pool.host_gone(connection)
        self.preparing.host_gone(connection)

    def receive(self, connection: Connection, message: rpb.FromHost) -> None:
        """Take a message of a host. Raises `PerdureError` when the host itself makes no sense (P0208, P0702)."""
        connection.heard_us = self.clock.running_us()
        kind = message.WhichOneof("message")
        if kind == "hello":
            if connection.host_id:
                raise PerdureError("P0702", f"host {connection.host_id} has said hello already")
            self.hosts.greet(connection, message.hello)
            log.info("host %s has dialled in", connection.host_id)
            self.placement.pump()
            self.preparing.joined(connection)
        elif not connection.host_id:
            raise PerdureError("P0702", "a host's first message has to be its hello")
        elif kind == "heartbeat":
            self.hosts.beat(connection, message.heartbeat)
        elif kind == "leaving":
            self.pool.leaving(connection, message.leaving.reason)
        elif kind == "runner_health":
            self.pool.answered(connection, message.runner_health)
        elif kind == "prepared":
            self.preparing.answered(connection, message.prepared)
        elif kind is not None:
            self._of_session(connection, kind, getattr(message, kind))

    def _of_session(self, connection: Connection, kind: str, body: Any) -> None:
        if self.replays.takes(connection, kind, body):
            return
        actor = self.actors.get(body.session_id)
        if kind == "ask":
            if actor is not None and actor.connection is connection and body.epoch == actor.state.epoch:
                answering.ask(actor, connection, body)
        elif actor is not None and (actor.connection is connection or body.epoch != actor.state.epoch):
            event = EVENTS[kind](self, actor, body)
            if event is not None:
                actor.handle(event, body, connection)
        elif kind in {"attached", "live", "records", "waiting"}:
            kill_runner(connection, body.session_id, body.epoch, "fenced: the session is not here")
        if kind in {"done", "lost", "suspended"}:
            self.placement.released(connection, body.session_id, body.epoch)

    async def fetch_blob(self, digest: str) -> AsyncIterator[bytes]:
        """The pieces of a build or a payload. P0209 when it is not there, P0212 when `digest` is none."""
        chunks = await asyncio.to_thread(self.blobs.chunks, digest)
        while (chunk := await asyncio.to_thread(next, chunks, b"")) != b"":
            yield chunk

    # Sessions.

    async def begin(
        self,
        record: SessionRecord,
        copy_from: tuple[str, int] | None = None,
        subscriptions: Sequence[SubscriptionRow] = (),
    ) -> bool:
        """Make a session and want a runner for it; False when there is one of this id already.

        `copy_from`: the session and the last `seq` of the history that it begins with, in which it has made these
        `subscriptions`. Returns when it is durable.
        Raises P0610 when too many wait for a host, P0614 when the project stores too much.
        """
        build = await self.builds.of(record.build_id)
        self.placement.admit(record, build.queue)
        self.usage.check(record.project, len(record.event))
        await self.variables.check(record.project, record.deployment_id)
        if record.session_id in self.actors:
            return False
        next_seq = copy_from[1] + 1 if copy_from else 1
        actor = Actor(self, record, SessionState(next_seq=next_seq, durable=record.durable))
        self.actors[record.session_id] = actor
        birth: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._births[record.session_id] = birth
        if copy_from is None:
            actor.unborn = record
            actor.handle(ev.RunnerWanted())
        if actor.unborn is not None or copy_from is not None:
            actor.unborn = None
            insertion = _insertion(record, copy_from, subscriptions)
            actor.writer.submit(insertion, lambda result: self._inserted(actor, result))
        if copy_from is not None:
            actor.handle(ev.RunnerWanted())
        new = await birth
        if new:
            self.usage.add(record.project, len(record.event))
        return new

    def adopt(self, record: SessionRecord) -> None:
        """Want a runner for a new session whose row is durable already. For want of room it is left to the sweep."""
        self.usage.add(record.project, len(record.event))
        if record.session_id in self.actors:
            return
        if not self.placement.has_room(record.project):
            self.recovery.put_off(record.session_id)
            return
        if not self.builds.knows(record.build_id):
            self.spawn(self.loading.deliver(record.session_id, ev.RunnerWanted()))
            return
        actor = Actor(self, record, SessionState(durable=record.durable))
        self.actors[record.session_id] = actor
        actor.handle(ev.RunnerWanted())

    def _inserted(self, actor: Actor, result: Result) -> None:
        match result:
            case Done(value):
                self.born(actor, bool(value))
                if not value:
                    actor.drop()
            case Failed(error):
                self.unborn(actor, error)
                actor.drop()

    def born(self, actor: Actor, new: bool = True) -> None:
        """The session's row is durable; not `new`: there was one of this id."""
        if (birth := self._births.pop(actor.session_id, None)) is not None and not birth.done():
            birth.set_result(new)

    def unborn(self, actor: Actor, error: Exception) -> None:
        if (birth := self._births.pop(actor.session_id, None)) is not None and not birth.done():
            birth.set_exception(error)

    def remove(self, actor: Actor) -> None:
        """`actor` has dropped itself."""
        if self.actors.get(actor.session_id) is actor:
            del self.actors[actor.session_id]

    def ended(self, actor: Actor) -> None:
        """The end of the session is durable."""
        actor.drop()
        session_id = actor.session_id
        if self.watchers.watched(session_id):
            record = self.store.load_session(session_id)
            if record is not None:
                self.watchers.push(session_id, Update(session=session_message(record, None)))
            self.watchers.close(session_id)
        self.builds.session_ended(actor.record.project, actor.record.deployment_id)
        self.dispatcher.ended(actor.record)
        self.outcomes.told(actor.record.event_id)
        if self.store.bereaved(session_id):
            self.spawn(family.end_bereaved(self, session_id))

    def forgotten(self, actor: Actor, code: str, message: str) -> None:
        """What is in memory of a session could not be stored."""
        log.error("session %s left memory: %s %s", actor.session_id, code, message)
        self.watchers.fail(actor.session_id, PerdureError(code or "P0209", message))

    def _timer_due(self, session_id: str) -> None:
        if (actor := self.actors.get(session_id)) is not None:
            actor.timer_due()
        else:
            self.spawn(self._wake(session_id))

    async def _wake(self, session_id: str) -> None:
        if (actor := await self.loading.actor(session_id)) is not None:
            actor.timer_due()
            actor.settle()

    # Telling.

    def publish_session(self, actor: Actor) -> None:
        if self.watchers.watched(actor.session_id):
            self.watchers.push(actor.session_id, Update(session=session_message(actor.record, actor)))

    def publish_entries(self, session_id: str, entries: Sequence[jpb.Entry]) -> None:
        for entry in entries:
            update = Update(entry=entry)
            if update.entry.HasField("outcome"):
                hide(update.entry.outcome, self.blobs)
            self.watchers.push(session_id, update)

    def publish_lines(self, session_id: str, lines: Sequence[jpb.LogLine]) -> None:
        for line in lines:
            self.watchers.push(session_id, Update(log=line))

    # Faults, for tests and `perdure check`.

    def inject(self, actor: Actor, fault: Fault) -> None:
        match fault:
            case "kill-coordinator":
                os.kill(os.getpid(), signal.SIGKILL)
            case "kill-host":
                if actor.connection is not None:
                    actor.connection.close("fault injection")
            case "kill-runner":
                epoch = actor.state.epoch
                if actor.connection is not None:
                    kill_runner(actor.connection, actor.session_id, epoch, "fault injection")
                actor.handle(ev.RunnerLost(epoch, "fault injection", exit_code=-signal.SIGKILL))
                actor.settle()


def _insertion(
    record: SessionRecord, copy_from: tuple[str, int] | None, subscriptions: Sequence[SubscriptionRow]
) -> Mutation[bool]:
    def insert(transaction: Transaction) -> bool:
        inserted = transaction.insert_session(record)
        if inserted and copy_from is not None:
            transaction.copy_entries(copy_from[0], record.session_id, copy_from[1])
            copied = transaction.load_session(record.session_id)
            if copied is None or copied.entries != copy_from[1]:
                raise PerdureError("P0204", f"session {copy_from[0]!r} is gone: its time of retention is over")
            for row in subscriptions:
                transaction.put_subscription(row)
        return inserted

    return Mutation(insert)

"""What people ask of the hosts: which there are, how they and their runners are, and that one be emptied."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.runner_pb2 import AskRunnerHealth, Drain, RunnerHealth, ToHost

from perdure_server.coordinator.hosts import Connection, kill_runner
from perdure_server.core.errors import PerdureError, did_you_mean

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.coordinator")

HEALTH_TIMEOUT_S: Final = 5.0

_Asked = tuple[str, int]  # session, epoch


class Pool:
    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self.asked: dict[_Asked, tuple[Connection, asyncio.Future[RunnerHealth]]] = {}

    def list(self) -> pb.ListHostsResponse:
        """All hosts that are connected, in the order of their ids."""
        started_us = self._c.clock.now_us() - self._c.clock.running_us()
        hosts = sorted(self._c.hosts, key=lambda connection: connection.host_id)
        return pb.ListHostsResponse(hosts=[_message(connection, started_us) for connection in hosts])

    # Emptying one.

    def drain(self, host_id: str, *, move: bool) -> int:
        """Place nothing there any more; the host's process ends when its last session has gone.

        `move`: those that run there go on elsewhere, by replay, but for sessions without a journal. Gives how many
        sessions are there. Raises P0218 when there is no such host.
        """
        connection = self._c.hosts.get(host_id)
        if connection is None:
            hint = did_you_mean(host_id, [c.host_id for c in self._c.hosts])
            raise PerdureError("P0218", f"unknown host {host_id!r}", help=hint or "`perdure hosts list` shows all")
        sessions = len(connection.sessions)
        log.info("host %s drains: %d sessions%s", host_id, sessions, " move" if move else " end there")
        if not connection.draining:
            connection.draining = True
            connection.send(ToHost(drain=Drain(reason="drained by the operator")))
        if move:
            self._move(connection, "the host is drained")
        return sessions

    def leaving(self, connection: Connection, reason: str) -> None:
        """The host wants to end: its sessions go on elsewhere."""
        log.info("host %s leaves: %s", connection.host_id, reason)
        connection.draining = connection.leaving = True
        self._move(connection, reason)

    def _move(self, connection: Connection, reason: str) -> None:
        """Kill the runners. A session is placed anew when the host says that its runner is gone: never two at once."""
        for session_id, epoch in connection.sessions - connection.moving:
            actor = self._c.actors.get(session_id)
            if actor is None or actor.connection is not connection or actor.state.epoch != epoch:
                continue
            if actor.record.durable and not actor.state.phase.ended:
                connection.moving.add((session_id, epoch))
                kill_runner(connection, session_id, epoch, reason)

    # Health.

    async def runner_health(self, session_id: str) -> RunnerHealth:
        """How the session's runner is, by its host; without `state` when it has none.

        Raises P0213 when the host does not answer.
        """
        actor = self._c.actors.get(session_id)
        connection = actor.connection if actor is not None else None
        if actor is None or connection is None:
            return RunnerHealth(session_id=session_id)
        key = (session_id, actor.state.epoch)
        if key not in self.asked:
            self.asked[key] = (connection, asyncio.get_running_loop().create_future())
            connection.send(ToHost(ask_runner_health=AskRunnerHealth(session_id=session_id, epoch=key[1])))
        _, answer = asked = self.asked[key]
        try:
            await asyncio.wait([answer], timeout=HEALTH_TIMEOUT_S)
        finally:  # who asks may go away, and the next one is to hear how the runner is then
            if self.asked.get(key) is asked:
                del self.asked[key]
        if not answer.done():
            raise PerdureError("P0213", f"host {connection.host_id} does not say how its runner is")
        return answer.result()

    def answered(self, connection: Connection, health: RunnerHealth) -> None:
        asked = self.asked.get((health.session_id, health.epoch))
        if asked is not None and asked[0] is connection and not asked[1].done():
            asked[1].set_result(health)

    def host_gone(self, connection: Connection) -> None:
        for asked, answer in list(self.asked.values()):
            if asked is connection and not answer.done():
                answer.set_result(RunnerHealth())  # it has no such runner any more


def _message(connection: Connection, started_us: int) -> pb.Host:
    """`started_us`: the time of day when the clock was started by which hosts are heard."""
    hello = connection.hello
    return pb.Host(
        host_id=connection.host_id,
        sessions=len(connection.sessions),
        capacity=hello.capacity,
        version=hello.perdure_version,
        pid=hello.pid,
        isolation=hello.isolation,
        state="draining" if connection.draining else "ready",
        labels=hello.labels,
        pythons=hello.pythons,
        health=connection.health,
        heard_us=started_us + connection.heard_us,
        peer=connection.peer,
        certificate_until_us=connection.certificate_until_us,
    )

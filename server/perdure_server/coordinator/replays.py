"""Read-only replays: a host runs a session's history against its own or another build, and says what it found.

A replay looks to a host like any session, under epochs that no real placement ever reaches.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_proto.v1.runner_pb2 import ToHost

from perdure_server.coordinator import history
from perdure_server.coordinator.hosts import Connection, kill_runner
from perdure_server.core.errors import PerdureError
from perdure_server.store import SessionRecord

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

FIRST_EPOCH: Final = 1 << 62
TIMEOUT_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class _Run:
    connection: Connection
    done: asyncio.Future[rpb.Done]


class Replays:
    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._epochs = itertools.count(FIRST_EPOCH)
        self._runs: dict[tuple[str, int], _Run] = {}

    async def run(self, record: SessionRecord, build_id: str) -> pb.ReplaySessionResponse:
        """Replay all of the session's journal. Raises P0213 when no host has room, P0604 when the runner dies."""
        build = await self._c.builds.of(build_id)
        connection = self._c.hosts.choose(record.session_id, build.python)
        if connection is None:
            raise PerdureError("P0213", "no host has room for the replay, or the only one runs the session")
        epoch = next(self._epochs)
        key = (record.session_id, epoch)
        run = self._runs[key] = _Run(connection, asyncio.get_running_loop().create_future())
        connection.sessions.add(key)
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._send(connection, replace(record, build_id=build_id), epoch)
                done: rpb.Done = await run.done
                rows = history.journal(self._c, record.session_id)
                await asyncio.to_thread(history.complete, done.divergence, rows)
                return pb.ReplaySessionResponse(done=done, entries=record.entries)
        except TimeoutError:
            raise PerdureError("P0604", f"the replay took longer than {TIMEOUT_S:.0f} s") from None
        finally:
            del self._runs[key]
            kill_runner(connection, record.session_id, epoch, "the replay is over")
            self._c.placement.released(connection, record.session_id, epoch)

    async def _send(self, connection: Connection, record: SessionRecord, epoch: int) -> None:
        start = await history.start_message(self._c, record, epoch, record.entries)
        start.replay_only = True
        connection.send(ToHost(start=start))
        async for page in history.pages(self._c, record.session_id, epoch, record.entries):
            connection.send(ToHost(history=page))
            await connection.drain()

    def takes(self, connection: Connection, kind: str, body: Any) -> bool:
        """Is the message of a replay? Then it has been dealt with."""
        if body.epoch < FIRST_EPOCH:
            return False
        run = self._runs.get((body.session_id, body.epoch))
        if run is None or run.connection is not connection or run.done.done():
            return True
        match kind:
            case "done":
                run.done.set_result(body)
            case "lost":
                run.done.set_exception(PerdureError(body.code or "P0604", f"the replaying runner died: {body.reason}"))
            case "records":
                # Nothing new is stored: a replay that wants to record has come to the end of the history.
                acknowledged = rpb.Committed(session_id=body.session_id, epoch=body.epoch, no=body.records[-1].no)
                connection.send(ToHost(committed=acknowledged))
            case "waiting":
                # The history ends in a wait: there is no difference up to here.
                run.done.set_result(rpb.Done(session_id=body.session_id, state=rpb.DONE_STATE_REPLAYED))
        return True

    def host_gone(self, connection: Connection, reason: str) -> None:
        for run in self._runs.values():
            if run.connection is connection and not run.done.done():
                run.done.set_exception(PerdureError("P0213", f"the host of the replay is gone: {reason}"))

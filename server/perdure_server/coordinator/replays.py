"""Read-only replays: a host runs a session's history against its own or another build, and says what it found.

A replay looks to a host like any session, under epochs that no real placement ever reaches, and under an id of its
own: the session itself may be on the same host.
"""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_proto.v1.runner_pb2 import ToHost

from perdure_server.coordinator import history
from perdure_server.coordinator.choosing import Need
from perdure_server.coordinator.hosts import Connection, kill_runner
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Phase
from perdure_server.secrets import is_sealed
from perdure_server.store import SessionRecord

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

ALIAS: Final = "~"
"""In no session's id: what follows it, the host does not tell the runner (`perdure_runner.host.convert`)."""
ROOM_TIMEOUT_S: Final = 30.0
_ROOM_POLL_S: Final = 0.05
FIRST_EPOCH: Final = 1 << 62
TIMEOUT_S: Final = 600.0
_CUT_SHORT: Final = frozenset({"P0601", "P0602", "P0603", "P0604", "P0608", "P0611"})  # not user code's own end


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
        patience_s = min(TIMEOUT_S, build.limits.run_s or TIMEOUT_S)
        epoch = next(self._epochs)
        key = (f"{record.session_id}{ALIAS}{epoch - FIRST_EPOCH}", epoch)
        connection = await self._room(key[0], self._c.builds.need(build_id))
        run = self._runs[key] = _Run(connection, asyncio.get_running_loop().create_future())
        connection.gave(*key, build_id)
        try:
            async with asyncio.timeout(patience_s):
                secrets = await self._send(connection, replace(record, build_id=build_id), key)
                done: rpb.Done = await run.done
                done.session_id = record.session_id
                if done.HasField("result") and (secrets or _is_sealed(record)):
                    done.result.ClearField("data")  # the session's own counts, and this may hold them
                rows = history.journal(self._c, record.session_id)
                await asyncio.to_thread(history.complete, done.divergence, rows)
                _judge(done, record)
                return pb.ReplaySessionResponse(done=done, entries=record.entries)
        except TimeoutError:
            raise PerdureError("P0604", f"the replay took longer than {patience_s:g} s") from None
        finally:
            del self._runs[key]
            kill_runner(connection, *key, "the replay is over")
            self._c.placement.released(connection, *key)

    async def _room(self, alias: str, need: Need) -> Connection:
        """A host, as soon as one has room."""
        deadline = self._c.clock.now_us() + ROOM_TIMEOUT_S * 1e6
        while (connection := self._c.hosts.choose(alias, need)) is None:
            if not len(self._c.hosts) or self._c.clock.now_us() > deadline:
                raise PerdureError("P0213", "no host has room for the replay")
            await asyncio.sleep(_ROOM_POLL_S)
        return connection

    async def _send(self, connection: Connection, record: SessionRecord, key: tuple[str, int]) -> bool:
        """Start and history. Returns whether the runner is given secrets."""
        alias, epoch = key
        start = await history.start_message(self._c, record, epoch, record.entries)
        start.session_id, start.replay_only = alias, True
        connection.send(ToHost(start=start))
        async for page in history.pages(self._c, record.session_id, epoch, record.entries):
            page.session_id = alias
            connection.send(ToHost(history=page))
            await connection.drain()
        return bool(start.secrets)

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
            case "records" if body.records:
                # Nothing new is stored: a replay that wants to record has come to the end of the history.
                acknowledged = rpb.Committed(session_id=body.session_id, epoch=body.epoch, no=body.records[-1].no)
                connection.send(ToHost(committed=acknowledged))
            case "waiting":
                # The history ends in waits: there is no difference up to here.
                run.done.set_result(rpb.Done(session_id=body.session_id, state=rpb.DONE_STATE_REPLAYED))
        return True

    def host_gone(self, connection: Connection, reason: str) -> None:
        for run in self._runs.values():
            if run.connection is connection and not run.done.done():
                run.done.set_exception(PerdureError("P0213", f"the host of the replay is gone: {reason}"))


def _judge(done: rpb.Done, record: SessionRecord) -> None:
    """Whether the replay agrees, where the runner alone cannot know: it does not know how the session stands.

    Code that fails does not agree before it has come to the end of the journal, nor where the session had ended well,
    nor where it cannot even be loaded. A call beyond the journal differs only where the session had ended by itself.
    """
    differs = done.HasField("divergence")
    if done.state == rpb.DONE_STATE_FAILED and record.state != Phase.FAILED.value:
        ends_well = record.state == Phase.COMPLETED.value
        if differs or ends_well or done.error.code:
            done.state = rpb.DONE_STATE_DIVERGED
            done.divergence.reason = f"the code fails: {done.error.type}: {done.error.message}"
    elif done.state == rpb.DONE_STATE_REPLAYED and differs:
        if _ended_by_itself(record):
            done.state = rpb.DONE_STATE_DIVERGED
        else:
            done.ClearField("divergence")


def _ended_by_itself(record: SessionRecord) -> bool:
    if record.state == Phase.FAILED.value and record.error is not None:
        return jpb.Error.FromString(record.error).code not in _CUT_SHORT
    return record.state == Phase.COMPLETED.value


def _is_sealed(record: SessionRecord) -> bool:
    return record.result is not None and is_sealed(jpb.Payload.FromString(record.result).data)

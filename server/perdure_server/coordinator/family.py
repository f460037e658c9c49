"""Parents and children: what a parent is told of a child's end, and what a parent's end means for its children."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as pb
from perdure_proto.v1 import runner_pb2 as rpb

from perdure_server.coordinator import signalling
from perdure_server.coordinator.waits import unpack, wait_point
from perdure_server.core import effects as fx
from perdure_server.core import jsontext
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Phase
from perdure_server.store import SessionRecord, SignalRow, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.coordinator")

POLICIES: Final = ("abandon", "terminate", "request_cancel")
"""What becomes of a child that lives when its parent ends: it goes on, is killed, or is asked to stop."""

_PARENT_ENDED: Final = "its parent has ended"


@dataclass(slots=True)
class Report:
    """The end of a child, as a signal to its parent that is named by the child. Written with the end itself."""

    parent_id: str
    child_id: str
    payload: bytes
    at_us: int
    signal: SignalRow | None = field(default=None, init=False)  # None: there is nobody to tell

    def write_if_missing(self, tx: Transaction) -> None:
        """For a parent that asks, and may have been told."""
        self.signal = None
        if not tx.has_had_signal(self.parent_id, self.child_id):
            self.write(tx)

    def write(self, tx: Transaction) -> None:
        """In the transaction of the end."""
        self.signal = None
        parent = tx.load_session(self.parent_id)
        if parent is None or parent.ended_us is not None:
            return
        n = tx.add_signal(self.parent_id, self.child_id, self.payload, self.at_us)
        self.signal = SignalRow(n, self.child_id, self.payload, self.at_us)

    def deliver(self, c: Coordinator) -> None:
        """It is durable: a parent that waits for it goes on."""
        if self.signal is not None:
            c.spawn(hand_over(c, self.parent_id, self.signal))


async def hand_over(c: Coordinator, session_id: str, signal: SignalRow) -> None:
    """Let a session that lives have a signal that is durable. A suspended one is left alone unless it waits for it."""
    if not c.loading.at_hand(session_id) and not await asyncio.to_thread(_waits_for, c, session_id, signal.name):
        return
    actor = await c.loading.actor(session_id)
    if actor is not None:
        actor.signal_stored(signal)
        actor.settle()


def _waits_for(c: Coordinator, session_id: str, name: str) -> bool:
    """Would loading the session end a wait? Who does not wait now finds the signal among its rows when it does."""
    record = c.store.load_session(session_id)
    if record is None or record.ended_us is not None:
        return False
    return record.waiting is None or any(wait.takes(name) for wait in map(wait_point, unpack(record.waiting)))


def report(c: Coordinator, record: SessionRecord, end: fx.Finish, done: rpb.Done | None, at_us: int) -> Report | None:
    """What is to be told of the end of this session; None when it has no parent."""
    if not record.parent_id:
        return None
    result = done.result if done is not None and done.HasField("result") else None
    error = done.error if done is not None and done.HasField("error") else None
    if error is None and (end.code or end.message):
        error = pb.Error(type="PerdureError", message=end.message, code=end.code)
    payload = completion(record.session_id, end.phase.value, result, error, c.settings.signal_bytes)
    return Report(record.parent_id, record.session_id, payload, at_us)


def report_of_row(c: Coordinator, parent_id: str, record: SessionRecord, data: bytes | None) -> Report:
    """The same of a session that has ended before. `data`: of its result, where that is JSON."""
    result = pb.Payload.FromString(record.result) if record.result is not None else None
    if result is not None and data is not None:
        result.data = data
    error = pb.Error.FromString(record.error) if record.error is not None else None
    payload = completion(record.session_id, record.state, result, error, c.settings.signal_bytes)
    return Report(parent_id, record.session_id, payload, record.ended_us or 0)


def completion(child_id: str, state: str, result: pb.Payload | None, error: pb.Error | None, limit: int) -> bytes:
    """The payload of the signal: JSON of at most `limit` bytes. A result that is no JSON is told as its preview."""
    told: dict[str, Any] = {
        "session_id": child_id,
        "state": state,
        "completed": state == Phase.COMPLETED.value,
        "value": None,
        "error": None,
    }
    if error is not None:
        told["error"] = {"type": error.type, "message": error.message[:2000], "code": error.code}
    if result is not None:
        if result.encoding == pb.ENCODING_JSON and _is_json(result.data):
            whole = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
            if len(whole) + len(result.data) <= limit:
                # The value's own text takes the place of null: numbers and all stay as they were written.
                return whole.replace(b'"value": null', b'"value": ' + result.data, 1)
        told["preview"] = result.preview
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")


def _is_json(data: bytes) -> bool:
    """The child says so, and the child may be hostile."""
    try:
        jsontext.parse(data)
    except ValueError:
        return False
    return True


async def end_bereaved(c: Coordinator, parent_id: str = "") -> None:
    """End the living children of this parent, or of all that have ended, as their policy says."""
    for child in await asyncio.to_thread(c.store.bereaved, parent_id):
        stop = cpb.StopSessionRequest(
            session_id=child.session_id, force=child.policy == "terminate", reason=_PARENT_ENDED
        )
        try:
            await signalling.stop_session(c, stop)
        except PerdureError as error:
            if error.code != "P0205":
                log.error("child %s of an ended parent is not stopped: %s", child.session_id, error)  # noqa: TRY400

"""How requests are done: those of the journal with the row that tells their answer, others by themselves."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_proto.v1.runner_pb2 import ToHost

from perdure_server.coordinator.requests import OPERATIONS
from perdure_server.coordinator.requests.operations import Answer, Asker, Body, Entry
from perdure_server.coordinator.sealing import unseal
from perdure_server.coordinator.waits import Given, resolution
from perdure_server.core import events as ev
from perdure_server.core import jsontext
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import PRESENT, Ending
from perdure_server.store import SPILL_BYTES, Done, Mutation, Transaction, inline, spill
from perdure_server.store.home import IMPORTED

if TYPE_CHECKING:
    from perdure_server.coordinator.actor import Actor
    from perdure_server.coordinator.hosts import Connection

MOST_BYTES: Final = 1 << 20  # of a request
ANSWER_BYTES: Final = 4 << 20
MOST_ASKED: Final = 64  # questions of one session at once, past its journal
_OF_ITS_OWN: Final = frozenset({"status.set", "signal.next"})
"""All that code from a file may ask: the project whose name it bears is not its own."""


class Recorded:
    """A request that waits in the journal. What is written of it is written with the row that answers it."""

    def __init__(self, actor: Actor, waited: jpb.Entry, seq: int) -> None:
        self._actor = actor
        self._c = actor.coordinator
        self._waited = waited
        self._asker = _asker(actor, f"{waited.lane}.{waited.ordinal}")
        self._operation = OPERATIONS.get(waited.wait.names[0] if waited.wait.names else "")
        self._body: Body = {}
        self._refusal: PerdureError | None = None
        self._answer: Answer | None = None
        self.seq = seq
        self.entry = jpb.Entry()

    @property
    def at_hand(self) -> bool:
        """Can it be done at once, without a look elsewhere?"""
        return not self._waited.outcome.blob and not (self._operation and self._operation.prepare)

    async def prepare(self) -> None:
        """Get what the operation needs."""
        if self._waited.outcome.blob:
            await asyncio.to_thread(inline, self._waited, self._c.blobs)
        self.read()
        if self._refusal is None and self._operation and self._operation.prepare:
            try:
                self._body = await self._operation.prepare(self._c, self._asker, self._body)
            except Exception as error:  # noqa: BLE001 - a fault of ours is told, and ends no session
                self._refusal = self._refused(error)

    def read(self) -> None:
        """Understand what is asked."""
        try:
            asked = jpb.Entry(outcome=self._waited.outcome)
            unseal(asked, self._c.vault)
            self._body = _body(asked.outcome.data)
            if self._operation is None:
                raise _unknown(self._waited.wait.names[:1])
            _check_origin(self._actor, self._waited.wait.names[0])
        except PerdureError as error:
            self._refusal = error

    def make(self, transaction: Transaction) -> Sequence[bytes]:
        """Do it, and make the row. What is refused has changed nothing."""
        refusal, payload = self._refusal, b""
        if refusal is None:
            assert self._operation is not None
            try:
                with transaction.attempt():
                    self._answer, payload = _done(self._operation, transaction, self._asker, self._body)
            except sqlite3.Error:
                raise
            except Exception as error:  # noqa: BLE001 - a fault of ours is told, and ends no session
                refusal = self._refused(error)
        ending = Ending.ANSWERED
        if refusal is not None:
            self._answer, ending, payload = None, Ending.REFUSED, _told(refusal)
        self.entry = resolution(self._waited, ending, self.seq, self._asker.now_us, Given("", payload))
        if len(payload) <= SPILL_BYTES:
            return [self.entry.SerializeToString()]
        row = jpb.Entry.FromString(self.entry.SerializeToString())
        spill(row, self._c.blobs)
        return [row.SerializeToString()]

    def _refused(self, error: Exception) -> PerdureError:
        return _refusal(self._actor, self._waited.wait.names[0], error)

    def durable(self) -> None:
        """It is, whatever became of the session meanwhile."""
        if self._answer is not None and self._answer.then is not None:
            self._answer.then(self._c)

    def done(self) -> None:
        """Give the session its answer."""
        self._actor.waits.ended(self.entry)
        self._actor.resolution = self.entry
        self._actor.handle(ev.Resolved())


def answer(actor: Actor, waited: jpb.Entry, seq: int) -> None:
    """Do what this row asks for, and append the answer at `seq`."""
    request = Recorded(actor, waited, seq)
    if request.at_hand:
        request.read()
        actor.writer.write_made(request)
    else:
        actor.writer.write_made(request, request.prepare)


def ask(actor: Actor, connection: Connection, message: rpb.Ask) -> None:
    """Do what code asks for whose calls are not recorded, and send the answer."""
    if actor.state.runner not in PRESENT:
        return
    if len(actor.asked) >= MOST_ASKED:
        many = PerdureError("P0613", f"{MOST_ASKED} requests of the session are open already")
        connection.send(ToHost(answer=_reply(message, many)))
        return
    task = asyncio.get_running_loop().create_task(_reply_to(actor, connection, message))
    actor.asked.add(task)
    task.add_done_callback(actor.asked.discard)


async def _reply_to(actor: Actor, connection: Connection, message: rpb.Ask) -> None:
    try:
        reply = _reply(message, await _direct(actor, message))
    except Exception as error:  # noqa: BLE001 - a fault of ours is told, and ends no session
        reply = _reply(message, _refusal(actor, message.operation, error))
    if not connection.closed:
        connection.send(ToHost(answer=reply))


async def _direct(actor: Actor, message: rpb.Ask) -> bytes:
    c, asker = actor.coordinator, _asker(actor, "")
    operation = OPERATIONS.get(message.operation)
    if operation is None:
        raise _unknown([message.operation])
    _check_origin(actor, message.operation)
    body: Body = _body(message.body)
    if operation.prepare is not None:
        body = await operation.prepare(c, asker, body)
    result = await c.store.commit(Mutation(lambda transaction: _done(operation, transaction, asker, body)))
    assert isinstance(result, Done)
    done, payload = result.value
    if done.then is not None:
        done.then(c)
    return bytes(payload)


def _check_origin(actor: Actor, operation: str) -> None:
    """P0232 when the session was imported, or begins as one that was, and asks for anything of its project."""
    if actor.record.origin_id.startswith(IMPORTED) and operation not in _OF_ITS_OWN:
        raise PerdureError(
            "P0232",
            f"an imported session may not ask for {operation}",
            help="what a file says of its project proves nothing",
        )


def _done(operation: Entry, transaction: Transaction, asker: Asker, body: Body) -> tuple[Answer, bytes]:
    """The answer, and its value as JSON."""
    made = operation.run(transaction, asker, body)
    payload = json.dumps(made.value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    if len(payload) > ANSWER_BYTES:
        raise PerdureError("P0402", f"the answer has {len(payload)} bytes, more than {ANSWER_BYTES}")
    return made, payload


def _asker(actor: Actor, place: str) -> Asker:
    record = actor.record
    return Asker(
        session_id=record.session_id,
        project=record.project,
        deployment_id=record.deployment_id,
        build_id=record.build_id,
        event_id=record.event_id,
        durable=record.durable,
        now_us=actor.coordinator.clock.now_us(),
        place=place,
        settings=actor.coordinator.settings,
    )


def _body(data: bytes) -> dict[str, Any]:
    if len(data) > MOST_BYTES:
        raise PerdureError("P0402", f"the request has {len(data)} bytes, more than {MOST_BYTES}")
    try:
        body = jsontext.parse(data)
        if b"\\u" in data:
            json.dumps(body, ensure_ascii=False).encode()  # halves of characters are none, and nothing keeps them
    except ValueError as error:
        raise PerdureError("P0201", f"the request is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise PerdureError("P0103", "a request is an object")
    return body


def _unknown(names: Sequence[str]) -> PerdureError:
    named = names[0][:80] if names else ""
    return PerdureError("P0232", f"there is no operation {named!r}", help="runner and server differ in their versions")


def _refusal(actor: Actor, operation: str, error: Exception) -> PerdureError:
    """Why nothing was done. A fault of ours is one of an operation that there is: others are refused before."""
    c = actor.coordinator
    return c.failures.refusal(operation, actor.session_id, error, c.clock.now_us())


def _told(refusal: PerdureError) -> bytes:
    told = {"code": refusal.code, "message": str(refusal), "help": refusal.help or ""}
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")


def _reply(message: rpb.Ask, answered: bytes | PerdureError) -> rpb.Answer:
    reply = rpb.Answer(session_id=message.session_id, epoch=message.epoch, id=message.id)
    if isinstance(answered, PerdureError):
        told = json.loads(_told(answered))
        reply.error.CopyFrom(jpb.Error(type="PerdureError", **told))
    else:
        reply.body = answered
    return reply

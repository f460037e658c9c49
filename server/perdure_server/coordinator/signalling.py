"""Signals, wake-ups and stops: what people and other programs say to a session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator.following import known_session
from perdure_server.coordinator.messages import session_message
from perdure_server.coordinator.settings import Settings
from perdure_server.core import events as ev
from perdure_server.core import jsontext
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import RESERVED
from perdure_server.store import Done, Mutation, SignalRow, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.actor import Actor
    from perdure_server.coordinator.engine import Coordinator

MAX_REASON: Final = 1_000  # characters of why a session is stopped
MAX_GRACE_S: Final = 86_400.0
_COUNTED: Final = 16  # those that wait are counted whenever so many have come


async def signal_session(c: Coordinator, request: pb.SignalSessionRequest) -> pb.SignalSessionResponse:
    """Store a signal, and let a session that waits for it have it; `wake`: end its timer now.

    Raises P0103 no name, P0201 payload is no JSON, P0204, P0205, P0214 nothing to wake.
    """
    session_id = request.session_id
    known_session(c, session_id)
    if not request.name and not request.wake:
        raise PerdureError("P0103", "a signal has to have a name")
    if request.name:
        refuse_reserved(request.name)
        signal = await _store_signal(c, request)
        (await _living(c, session_id)).signal_stored(signal)
    if request.wake:
        actor = await _living(c, session_id)
        try:
            actor.ask(ev.Woken())
        finally:
            actor.settle()
    return pb.SignalSessionResponse(state=await _settled_state(c, session_id))


def refuse_reserved(name: str) -> None:
    """Names that only the coordinator gives: they tell a parent that a child has ended. P0103."""
    if name.startswith(RESERVED):
        raise PerdureError("P0103", f"{name[:80]!r} is no name for a signal: those that begin with {RESERVED} are ours")


async def _store_signal(c: Coordinator, request: pb.SignalSessionRequest) -> SignalRow:
    payload = request.payload or b"null"
    if len(payload) > c.settings.signal_bytes:
        raise PerdureError("P0402", f"the signal has {len(payload)} bytes, more than {c.settings.signal_bytes}")
    try:
        jsontext.parse(payload)
    except ValueError as error:
        raise PerdureError("P0201", f"the signal's payload is no JSON: {error}") from None
    at_us = c.clock.now_us()

    def add(transaction: Transaction) -> int:
        record = transaction.load_session(request.session_id)
        if record is None or record.ended_us is not None:
            raise _over(request.session_id, record.state if record else "unknown")
        n = transaction.add_signal(request.session_id, request.name, payload, at_us)
        check_room(transaction, request.session_id, n, c.settings)
        return n

    result = await c.store.commit(Mutation(add))
    assert isinstance(result, Done)
    return SignalRow(result.value, request.name, payload, at_us)


def check_room(transaction: Transaction, session_id: str, n: int, settings: Settings) -> None:
    """P0613 when more signals wait for a session than may. `n`: the number of the one that was added."""
    if n % _COUNTED:
        return
    count, size = transaction.signals_waiting(session_id)
    if count > settings.session_signals or size > settings.session_signal_bytes:
        raise PerdureError("P0613", f"{count} signals of {size} bytes wait for session {session_id}: it takes none")


async def stop_session(c: Coordinator, request: pb.StopSessionRequest) -> pb.StopSessionResponse:
    """Ask user code to end (`grace_s` seconds, 0: the default), or kill it (`force`). Raises P0103, P0204, P0205."""
    if len(request.reason) > MAX_REASON:
        raise PerdureError("P0103", f"the reason has {len(request.reason)} characters, more than {MAX_REASON}")
    if request.grace_s > MAX_GRACE_S:
        raise PerdureError(
            "P0103", f"{request.grace_s:g} s to clean up in are too many", help="a day at most; or --force"
        )
    actor = await _living(c, request.session_id)
    grace_s = request.grace_s if request.grace_s > 0 else c.settings.grace_s
    try:
        actor.ask(ev.StopRequested(request.reason, request.force, grace_s))
    finally:
        actor.settle()
    return pb.StopSessionResponse(state=await _settled_state(c, request.session_id))


async def _living(c: Coordinator, session_id: str) -> Actor:
    actor = await c.loading.actor(session_id)
    if actor is None:
        raise _over(session_id, known_session(c, session_id).state)
    return actor


async def _settled_state(c: Coordinator, session_id: str) -> str:
    """The state once all that was submitted is durable."""
    await c.store.commit(Mutation(lambda _transaction: None))
    return session_message(known_session(c, session_id), c.actors.get(session_id)).state


def _over(session_id: str, state: str) -> PerdureError:
    return PerdureError("P0205", f"{session_id} has ended: {state}")

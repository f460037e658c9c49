"""Subscribing to events, and what code asks for whose calls are not recorded."""

from __future__ import annotations

import json
import math
import re
import secrets
from collections.abc import Awaitable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from perdure_proto.v1 import journal_pb2 as jpb

from perdure_server.coordinator.requests.operations import Answer, Asker, Body, Entry, text
from perdure_server.core.errors import PerdureError
from perdure_server.core.filters import compile_filter
from perdure_server.core.state import WaitPoint
from perdure_server.store import Mutation, SubscriptionRow, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

MOST: Final = 1_000  # subscriptions of a session
_LONGEST: Final = 200  # characters of names
_FILTER: Final = 16_384
_GOT: Final = "got"
_PLACE: Final = re.compile(rb'\{"seq":([0-9]+),')


async def _find_source(c: Coordinator, asker: Asker, body: Body) -> Body:
    """P0223 when there is no such source: nothing would ever come."""
    deployment = await c.builds.deployment(asker.deployment_id)
    await c.dispatcher.live.check_source(asker.project, text(body, "source", _LONGEST), deployment)
    return body


def _subscribe(tx: Transaction, asker: Asker, body: Body) -> Answer:
    """Events that are stored from now on are meant."""
    source, condition = text(body, "source", _LONGEST), text(body, "filter", _FILTER, "")
    try:
        compile_filter(condition)
    except PerdureError as error:
        message = f"the filter is none, at its column {error.column}: {error.message}"
        raise PerdureError(error.code, message, help=error.help) from None
    if tx.subscriptions_counted(asker.session_id) >= MOST:
        raise PerdureError("P0613", f"session {asker.session_id} has {MOST} subscriptions, as many as it may")
    name = asker.place or f"direct.{secrets.token_hex(8)}"
    row = SubscriptionRow(asker.session_id, name, asker.project, source, condition, tx.last_event_seq())
    tx.put_subscription(row)
    return Answer({"subscription": name, "source": source, "filter": condition, "after": row.after_seq})


def _unsubscribe(tx: Transaction, asker: Asker, body: Body) -> Answer:
    name = text(body, "subscription", _LONGEST)
    return Answer({"subscription": name, "ended": tx.delete_subscription(asker.session_id, name)})


async def _wait_for_event(c: Coordinator, asker: Asker, body: Body) -> Body:
    if asker.place:
        raise PerdureError("P0232", "events are waited for in the journal")
    names = _names(body, "subscriptions")

    def attempt() -> Awaitable[Any]:
        return c.subscriptions.take_next(asker.session_id, names)

    return {_GOT: await c.subscriptions.until(asker.session_id, attempt, _timeout(body))}


async def _wait_for_signal(c: Coordinator, asker: Asker, body: Body) -> Body:
    if asker.place:
        raise PerdureError("P0232", "signals are waited for in the journal")
    wait = WaitPoint("", 0, 0, signals=_names(body, "names"))

    async def attempt() -> Any:
        actor = c.actors.get(asker.session_id)
        if actor is None or not any(wait.takes(signal.name) for signal in actor.signals):
            return None
        given = actor.take_signal(wait)
        await c.store.commit(Mutation(lambda tx: tx.consume_signal(asker.session_id, given.signal or 0)))
        return {"name": given.name, "payload": json.loads(given.payload)}

    return {_GOT: await c.subscriptions.until(asker.session_id, attempt, _timeout(body))}


def _got(_tx: Transaction, _asker: Asker, body: Body) -> Answer:
    return Answer(body[_GOT])


def _names(body: Body, key: str) -> tuple[str, ...]:
    names = body.get(key)
    if not isinstance(names, list) or len(names) > MOST or not all(isinstance(name, str) for name in names):
        raise PerdureError("P0103", f"{key!r} has to be a list of at most {MOST} texts")
    return tuple(name[:_LONGEST] for name in names)


def _timeout(body: Mapping[str, Any]) -> float | None:
    timeout = body.get("timeout")
    if timeout is None:
        return None
    if not isinstance(timeout, int | float) or not math.isfinite(timeout) or timeout < 0:
        raise PerdureError("P0103", "'timeout' has to be a number of seconds")
    return min(float(timeout), 1e9)


def place_of(payload: jpb.Payload) -> int:
    """Of an event in the journal; what is too long for it is there as its beginning."""
    found = _PLACE.match(payload.data or payload.preview.encode())
    return int(found[1]) if found else 0


def as_of(rows: Iterable[jpb.Entry], session_id: str, project: str) -> list[SubscriptionRow]:
    """What a session with this history is subscribed to, and how far it has come: for a copy of it."""
    held: dict[str, SubscriptionRow] = {}
    asked: dict[tuple[str, int], str] = {}
    for row in rows:
        call = row.lane, row.ordinal
        how = row.resolution
        if row.wait.kind == jpb.WAIT_KIND_REQUEST and row.wait.names[0] in OPERATIONS:
            asked[call] = row.wait.names[0]
        elif how.kind == jpb.RESOLUTION_KIND_ANSWERED and call in asked:
            answer = json.loads(how.payload.data)
            if asked[call] == "event.subscribe":
                name, source, condition = answer["subscription"], answer["source"], answer["filter"]
                held[name] = SubscriptionRow(session_id, name, project, source, condition, answer["after"])
            elif asked[call] == "event.unsubscribe":
                held.pop(answer["subscription"], None)
        elif how.kind == jpb.RESOLUTION_KIND_EVENT and how.name in held:
            held[how.name] = replace(held[how.name], after_seq=max(held[how.name].after_seq, place_of(how.payload)))
    return list(held.values())


OPERATIONS: Final = {
    "event.subscribe": Entry(_subscribe, _find_source),
    "event.unsubscribe": Entry(_unsubscribe),
    "event.next": Entry(_got, _wait_for_event),
    "signal.next": Entry(_got, _wait_for_signal),
}

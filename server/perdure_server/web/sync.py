"""Answers of synchronous triggers: what sessions say as outcomes of the event."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Coroutine, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive

from perdure_server.core.errors import PerdureError
from perdure_server.web import errors

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator
    from perdure_server.core.incoming import Accepted
    from perdure_server.store import SessionRecord

log: Final = logging.getLogger("perdure.web")

_STATUS: Final = "status_code"
_TAKERS: Final = 20  # of which it is asked why none has answered
_EMPTY: Final = frozenset({204, 205, 304})  # answers that have no body
_HOP: Final = frozenset(
    {"connection", "content-length", "date", "keep-alive", "te", "trailer", "transfer-encoding", "upgrade"}
)
"""Headers that are the server's business."""
_OF_ORIGIN: Final = frozenset({"clear-site-data", "service-worker-allowed", "strict-transport-security"})
"""Headers that say something of the whole origin, which is that of other projects, too."""


@dataclass(frozen=True, slots=True)
class Piece:
    """What one outcome says. `more`: another one follows, and its body is the next piece of the answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    more: bool


async def answer(c: Coordinator, accepted: Accepted, timeout_s: float, named: Mapping[str, str]) -> Response:
    """Wait for what sessions answer to the event; `named` are headers of every answer.

    504: nothing within `timeout_s` (the sessions go on); 502: nobody was there to answer, or all ended without an
    answer; 500: a session failed before it answered. None of these says more than the event's id.
    """
    outcomes = c.outcomes.follow(accepted.event_id)
    deadline = asyncio.get_running_loop().time() + timeout_s
    try:
        async with asyncio.timeout_at(deadline):
            first = await anext(outcomes, None)
    except TimeoutError:
        return _nothing(accepted, 504, f"no session answered within {timeout_s:g} s", named)
    if first is None:
        return await _nobody(c, accepted, named)
    piece = piece_of(first)
    headers = dict(named) | dict(piece.headers)
    if not piece.more:
        return Response(piece.body, piece.status, headers)
    return StreamingResponse(_pieces(piece, outcomes, timeout_s), piece.status, headers)


async def unless_gone(answer: Coroutine[Any, Any, Response], receive: Receive) -> Response:
    """The answer; it is waited for no longer than the caller does. Raises `ClientDisconnect`."""
    answering = asyncio.ensure_future(answer)
    gone = asyncio.ensure_future(_gone(receive))
    try:
        await asyncio.wait({answering, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not answering.done():
            raise ClientDisconnect
        return answering.result()
    finally:
        answering.cancel()
        gone.cancel()


async def _gone(receive: Receive) -> None:
    """Returns when the caller has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _pieces(first: Piece, outcomes: AsyncIterator[Any], timeout_s: float) -> AsyncIterator[bytes]:
    """Until one says that it is the last, or nobody is left to say more. Cuts the connection when it takes too long."""
    yield first.body
    more = True
    while more:
        async with asyncio.timeout(timeout_s):
            told = await anext(outcomes, None)
        if told is None:
            return
        piece = piece_of(told)
        yield piece.body
        more = piece.more


async def _nobody(c: Coordinator, accepted: Accepted, named: Mapping[str, str]) -> Response:
    """All that got the event have ended, if there were any."""
    ends = await asyncio.to_thread(_had_it, c, accepted)
    if any(each is not None and each.state in {"failed", "diverged", "stopped"} for each in ends):
        return _nothing(accepted, 500, "the session failed before it answered", named)
    why = "the session ended without an answer" if ends else "no session got the event"
    return _nothing(accepted, 502, why, named)


def _had_it(c: Coordinator, accepted: Accepted) -> list[SessionRecord | None]:
    """The sessions that the event has started, and those that had it by a subscription."""
    event = c.store.event(accepted.event_id)
    takers = c.store.deliveries(event.seq, _TAKERS) if event else []
    return [c.store.load_session(each) for each in (*accepted.started, *(row.session_id for row in takers))]


def _nothing(accepted: Accepted, status: int, why: str, named: Mapping[str, str]) -> Response:
    told = errors.document(PerdureError("P0236", why, help=f"perdure events show {accepted.event_id}")) | {
        "event_id": accepted.event_id
    }
    return Response(json.dumps(told), status, dict(named), "application/json")


def piece_of(outcome: Any) -> Piece:
    """Of an HTTP outcome, what it says; any other value is the body, as JSON. Nothing in it can break the answer."""
    if not isinstance(outcome, Mapping) or not isinstance(outcome.get(_STATUS), int):
        body, kind = _json(outcome)
        return Piece(200, {"content-type": kind}, body, more=False)
    status = outcome[_STATUS]
    headers = _headers(outcome.get("headers"))
    body, kind = _body(outcome.get("body")) if outcome.get("json") is None else _json(outcome["json"])
    if body:
        headers.setdefault("content-type", kind)
    valid = 200 <= status <= 599
    return Piece(status if valid else 500, headers, b"" if status in _EMPTY else body, outcome.get("more") is True)


def _headers(told: Any) -> dict[str, str]:
    """Those that HTTP allows, by lower-case names."""
    if not isinstance(told, Mapping):
        return {}
    named = {str(name).lower(): str(value) for name, value in told.items()}
    return {name: value for name, value in named.items() if name not in _HOP | _OF_ORIGIN and _sound(name, value)}


def _sound(name: str, value: str) -> bool:
    token = name.isascii() and bool(name) and all(each.isalnum() or each in "!#$%&'*+-.^_`|~" for each in name)
    fits = all(each == "\t" or (0x20 <= ord(each) < 0x100 and ord(each) != 0x7F) for each in value)
    if not (token and fits):
        log.warning("a header of an answer is left out: its name or value is none that HTTP allows")
    return token and fits


def _body(told: Any) -> tuple[bytes, str]:
    """A text, {"bytes": base64}, or nothing; else JSON. With its media type."""
    match told:
        case None:
            return b"", ""
        case str():
            return told.encode("utf-8", "replace"), "text/plain; charset=utf-8"
        case {"bytes": str() as encoded, **rest} if not rest:
            return _decoded(encoded), "application/octet-stream"
        case _:
            return _json(told)


def _json(told: Any) -> tuple[bytes, str]:
    return json.dumps(told, ensure_ascii=False).encode("utf-8", "replace"), "application/json"


def _decoded(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded)
    except ValueError:  # nothing of our SDK's making
        return encoded.encode("utf-8", "replace")

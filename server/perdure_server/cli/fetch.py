"""Reading a session whole, through any `Control`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal

from perdure_server.cli.connect import Control
from perdure_server.core.divergence import NEITHER, Sides
from perdure_server.core.errors import PerdureError

_PAGE = 200  # sessions per request


@dataclass(frozen=True, slots=True)
class Whole:
    """A session with its journal and its output."""

    session: control.Session
    entries: list[journal.Entry]
    logs: list[journal.LogLine]
    sides: Sides = NEITHER


LATEST = "latest"


async def named(remote: Control, text: str) -> str:
    """The id of the session that `text` means: the newest one of all for "latest", else `text` itself.

    Raises `PerdureError` P0204 when there is no session yet.
    """
    if text != LATEST:
        return text
    if newest := await sessions(remote, 1):
        return newest[0].session_id
    raise PerdureError("P0204", "there is no session yet")


async def whole(remote: Control, session_id: str) -> Whole:
    """Everything of one session. Raises `PerdureError` P0204 when it is unknown."""
    session = await remote.get_session(control.GetSessionRequest(session_id=session_id))
    history = control.GetHistoryRequest(session_id=session_id, with_data=True)
    entries = [entry async for entry in remote.get_history(history)]
    logs = [line async for line in remote.get_logs(control.GetLogsRequest(session_id=session_id))]
    return Whole(session, entries, logs, await sides(remote, session))


async def sides(remote: Control, session: control.Session) -> Sides:
    """The builds on both sides of a session's divergence: a fork shares what another session's build recorded."""
    if not session.HasField("divergence") or not session.forked_from:
        return Sides(session.build_id, session.build_id)
    try:
        origin = await remote.get_session(control.GetSessionRequest(session_id=session.forked_from))
    except PerdureError as error:
        if error.code != "P0204":
            raise
        return Sides("", session.build_id)  # its time of retention is over
    return Sides(origin.build_id, session.build_id)


async def sessions(
    remote: Control, limit: int, *, project: str = "", states: Sequence[str] = ()
) -> list[control.Session]:
    """Up to `limit` sessions, newest first, page by page."""
    found: list[control.Session] = []
    before = ""
    while len(found) < limit:
        page = await remote.list_sessions(
            control.ListSessionsRequest(
                project=project, states=states, limit=min(_PAGE, limit - len(found)), before=before
            )
        )
        found.extend(page.sessions)
        before = page.next
        if not before:  # a page may hold fewer than asked for, and still not be the last
            break
    return found[:limit]

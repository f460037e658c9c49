"""What sessions ask about other sessions: to start them, to be told of their end, to signal them."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from perdure_proto.v1 import journal_pb2 as pb
from perdure_proto.v1 import runner_pb2 as rpb

from perdure_server.coordinator import family, starting
from perdure_server.coordinator.requests.operations import Answer, Asker, Body, Entry, need, text
from perdure_server.coordinator.signalling import check_room, refuse_reserved
from perdure_server.core import ids
from perdure_server.core.errors import PerdureError
from perdure_server.store import SessionRecord, SignalRow, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_MEMO: Final = (64, 1_000)  # entries, and characters of a name or a text
_WATCHED: Final = 10_000  # sessions in one request
_TOLD_BYTES: Final = 64 << 20  # of what they are found to have returned, in one request
_READY: Final = "ready"  # what `prepare` found out; whatever the session has put there is replaced


# -- starting


async def _prepare_start(c: Coordinator, asker: Asker, body: Body) -> Body:
    """The new session's row."""
    entry_point = text(body, "entry", 1_000)
    starting.check_entry_point(entry_point)
    policy = text(body, "on_parent_end", 20, default=family.POLICIES[0])
    if policy not in family.POLICIES:
        raise PerdureError("P0103", f"on_parent_end: {policy!r} is none of {', '.join(family.POLICIES)}")
    project = text(body, "project", 200, default="") or asker.project
    deployment_id, build_id = asker.deployment_id, asker.build_id
    if project != asker.project:
        deployment = await starting.active_deployment(c, project)
        if {asker.project, "*"}.isdisjoint(deployment.settings.get("callers", ())):
            raise PerdureError(
                "P0232",
                f"project {project!r} does not let sessions of {asker.project!r} start its own",
                help=f"callers: [{asker.project}] in its manifest does",
            )
        deployment_id, build_id = deployment.deployment_id, deployment.build_id
    await starting.check_interpreter(c, build_id)
    await c.entries.check(project, build_id, entry_point)
    await c.variables.check(project, deployment_id)
    session_id = _child_id(asker)
    memo, form = _memo(body), _form(body)
    record = SessionRecord(
        session_id=session_id,
        project=project,
        build_id=build_id,
        deployment_id=deployment_id,
        entry_point=entry_point,
        event=_event(body.get("data"), session_id, memo, form, c.settings.event_bytes),
        created_us=asker.now_us,
        hash_seed=c.hash_seed,
        durable=asker.durable,
        parent_id=asker.session_id,
        on_parent_end=policy,
        event_form=form,
        memo=memo or None,
    )
    c.usage.check(project, len(record.event))
    return {_READY: record}


def _start(tx: Transaction, asker: Asker, body: Body) -> Answer:
    record, most = body[_READY], asker.settings.session_children
    crowd = asker.settings.living_sessions
    if tx.living(record.deployment_id, crowd) >= crowd:
        raise PerdureError("P0613", f"project {record.project!r} has {crowd} living sessions: no more are started")
    if tx.children(asker.session_id) >= most:
        raise PerdureError("P0613", f"session {asker.session_id} has started {most} sessions, as many as it may")
    if not tx.insert_session(record):  # hostile code was at this place before: it is not begun anew
        return Answer(record.session_id)
    return Answer(record.session_id, lambda c: c.adopt(record))


def _child_id(asker: Asker) -> str:
    """The same whenever the parent comes to the same place."""
    if not asker.place:
        return ids.make_id(ids.SESSION, asker.now_us, secrets.token_bytes(ids.RANDOM_BYTES))
    digest = hashlib.sha256(f"{asker.session_id} {asker.place}".encode()).digest()
    return ids.derived_id(ids.SESSION, digest)


def _memo(body: Body) -> dict[str, str]:
    memo = body.get("memo") or {}
    entries, longest = _MEMO
    if not isinstance(memo, dict) or len(memo) > entries:
        raise PerdureError("P0103", f"memo: at most {entries} texts by name are wanted")
    for name, value in memo.items():
        if not isinstance(value, str) or max(len(name), len(value)) > longest:
            raise PerdureError("P0103", f"memo: {name[:80]!r} is no text of at most {longest} characters")
    return memo


def _form(body: Body) -> int:
    form = body.get("event_form", rpb.EVENT_FORM_UNSPECIFIED)
    if form not in rpb.EventForm.values():
        raise PerdureError("P0103", f"event_form: there is none of number {form!r}")
    return int(form)


def _event(data: Any, session_id: str, memo: Mapping[str, str], form: int, limit: int) -> bytes:
    """What the child's handler is called with, as JSON."""
    if form != rpb.EVENT_FORM_UNSPECIFIED:
        data = {"event_id": "", "event_type": "", "data": data or {}, "memo": memo, "session_id": session_id}
    event = json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    if len(event) > limit:
        raise PerdureError("P0402", f"the data for the new session has {len(event)} bytes, more than {limit}")
    return event


# -- being told of their end


async def _prepare_watch(c: Coordinator, asker: Asker, body: Body) -> Body:
    """Reports of those that have ended; who lives reports by itself."""
    named = need(body, "session_ids", list)
    if len(named) > _WATCHED or not all(isinstance(name, str) for name in named):
        raise PerdureError("P0103", f"session_ids: at most {_WATCHED} texts are wanted")
    ended = await asyncio.to_thread(_ended, c, asker, list(dict.fromkeys(named)))
    return {_READY: ended}


def _ended(c: Coordinator, asker: Asker, session_ids: list[str]) -> list[family.Report]:
    reports: list[family.Report] = []
    size = 0
    for session_id in session_ids:
        record = c.store.load_session(session_id)
        if record is None or (record.parent_id != asker.session_id and record.project != asker.project):
            raise PerdureError("P0204", f"unknown session {session_id[:80]!r}")
        if record.ended_us is not None and not c.store.has_had_signal(asker.session_id, session_id):
            reports.append(family.report_of_row(c, asker.session_id, record, _data(c, record)))
            size += len(reports[-1].payload)
            if size > _TOLD_BYTES:
                raise PerdureError("P0402", f"results of more than {_TOLD_BYTES} bytes", help="wait for fewer at once")
        elif record.ended_us is None and record.parent_id != asker.session_id:
            raise PerdureError("P0232", f"{session_id} lives, and is no child of {asker.session_id}: nobody tells it")
    return reports


def _data(c: Coordinator, record: SessionRecord) -> bytes | None:
    """The result of an ended session, where it is JSON."""
    if record.result is None:
        return None
    result = pb.Payload.FromString(record.result)
    if result.encoding != pb.ENCODING_JSON:
        return None
    return c.blobs.get(result.blob) if result.blob else result.data


def _watch(tx: Transaction, asker: Asker, body: Body) -> Answer:
    reports: list[family.Report] = body[_READY]
    for report in reports:
        report.write_if_missing(tx)

    def deliver(c: Coordinator) -> None:
        for report in reports:
            report.deliver(c)

    return Answer({"now_us": asker.now_us}, deliver)


# -- signals


def _signal(tx: Transaction, asker: Asker, body: Body) -> Answer:
    session_id, name = text(body, "session_id", 200), text(body, "name", 200)
    refuse_reserved(name)
    payload, most = json.dumps(body.get("payload"), ensure_ascii=False).encode(), asker.settings.signal_bytes
    if len(payload) > most:
        raise PerdureError("P0402", f"the signal has {len(payload)} bytes, more than {most}")
    record = tx.load_session(session_id)
    if record is None:
        raise PerdureError("P0204", f"unknown session {session_id!r}")
    if record.project != asker.project:
        raise PerdureError("P0232", f"{session_id} belongs to project {record.project!r}, not to {asker.project!r}")
    if record.ended_us is not None:
        raise PerdureError("P0205", f"{session_id} has ended: {record.state}")
    n = tx.add_signal(session_id, name, payload, asker.now_us)
    check_room(tx, session_id, n, asker.settings)
    signal = SignalRow(n, name, payload, asker.now_us)
    return Answer(None, lambda c: c.spawn(family.hand_over(c, session_id, signal)))


OPERATIONS: Final[Mapping[str, Entry]] = {
    "session.start": Entry(_start, _prepare_start),
    "session.watch": Entry(_watch, _prepare_watch),
    "session.signal": Entry(_signal),
}

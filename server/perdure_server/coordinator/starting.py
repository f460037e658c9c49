"""New sessions: from a request, and from the history of another one."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
from typing import TYPE_CHECKING, Final

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb

from perdure_server.coordinator import family, lineage
from perdure_server.coordinator.requests import subscriptions
from perdure_server.core import ids, jsontext
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Phase
from perdure_server.store import Deployment, SessionRecord
from perdure_server.store.home import IMPORTED

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

# Builds that are run but not made live have their variables in a deployment, too: of this project, which no user can
# name, because ':' is in no valid name.
UNDEPLOYED: Final = ":builds"

SESSION_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,127}")
_ENTRY_POINT: Final = re.compile(r"[^:\0]+\.py:[^:\0]+")
_NAMED: Final = 10  # projects
LAST_ROWS: Final = frozenset(
    {jpb.ENTRY_KIND_ACTIVITY, jpb.ENTRY_KIND_MARKER, jpb.ENTRY_KIND_SYSTEM, jpb.ENTRY_KIND_RESOLVED}
)


def new_id(c: Coordinator, prefix: str) -> str:
    return ids.make_id(prefix, c.clock.now_us(), secrets.token_bytes(ids.RANDOM_BYTES))


async def start_session(c: Coordinator, request: pb.StartSessionRequest) -> pb.StartSessionResponse:
    """Start a session, or find the one that was started under the same id.

    Raises P0110, P0111 the build has no such file or function, P0114 bad entry point, P0201 event is no JSON,
    P0206 no active deployment, P0212 unknown build, P0213 no such interpreter, P0402 event too large, P0610 too
    many sessions wait.
    """
    session_id = request.session_id
    if session_id:
        if not SESSION_ID.fullmatch(session_id):
            raise PerdureError("P0103", f"{session_id[:80]!r} is no session id", help="letters, digits and _ . : -")
        if (state := await _state_of(c, session_id)) is not None:
            return pb.StartSessionResponse(session_id=session_id, state=state)
    check_entry_point(request.entry_point)
    if request.build_id:
        deployment = await _deployment_of_build(c, request.project, request.build_id)
    else:
        deployment = await active_deployment(c, request.project)
    form = _form(deployment)
    record = SessionRecord(
        session_id=session_id or new_id(c, ids.SESSION),
        project=request.project or (deployment.project if deployment else ""),
        build_id=request.build_id or (deployment.build_id if deployment else ""),
        deployment_id=deployment.deployment_id if deployment else "",
        entry_point=request.entry_point,
        event=_event(request.event, c.settings.event_bytes, form),
        created_us=c.clock.now_us(),
        hash_seed=c.hash_seed,
        durable=not request.not_durable,
        event_form=form,
        memo=dict(request.memo) or None,
    )
    await check_interpreter(c, record.build_id)
    await c.entries.check(record.project, record.build_id, record.entry_point)
    new = await c.begin(record)
    state = Phase.CREATED.value if new else await _state_of(c, record.session_id)
    return pb.StartSessionResponse(session_id=record.session_id, state=state or Phase.CREATED.value)


def check_entry_point(entry_point: str) -> None:
    """P0114 if it is none."""
    if not _ENTRY_POINT.fullmatch(entry_point):
        raise PerdureError("P0114", f"{entry_point[:200]!r} is no entry point", help="name it as file.py:handler")


async def check_interpreter(c: Coordinator, build_id: str) -> None:
    """Load the build; P0213 when no host has the Python that it asks for."""
    await c.builds.of(build_id)
    need = c.builds.need(build_id)
    if not c.hosts.can_ever_run(need):
        raise PerdureError(
            "P0213",
            f"no host has Python {need.python}, which the project asks for",
            help="install it, or change `python` in perdure.yaml",
        )


async def _state_of(c: Coordinator, session_id: str) -> str | None:
    if (actor := c.actors.get(session_id)) is not None:
        return actor.state.phase.value
    record = c.store.load_session(session_id)
    return record.state if record else None


def _form(deployment: Deployment | None) -> int:
    """What handlers are called with: those of AutoKitteh's projects always get an event."""
    theirs = deployment is not None and deployment.settings.get("form") == "autokitteh"
    return rpb.EVENT_FORM_AUTOKITTEH if theirs else rpb.EVENT_FORM_UNSPECIFIED


def _event(event: bytes, limit: int, form: int) -> bytes:
    if len(event) > limit:
        raise PerdureError("P0402", f"the event has {len(event)} bytes, more than {limit}")
    try:
        value = jsontext.parse(event or b"null")
    except ValueError as error:
        raise PerdureError("P0201", f"the event is no JSON: {error}") from None
    if form == rpb.EVENT_FORM_UNSPECIFIED:
        return event or b"null"
    return json.dumps({"data": {} if value is None else value}, ensure_ascii=False).encode("utf-8", "replace")


async def _deployment_of_build(c: Coordinator, project: str, build_id: str) -> Deployment | None:
    """Where the variables for a session of this build are; a fork on a build of a client's own may have none."""
    undeployed = await c.builds.deployment_of(project + UNDEPLOYED, build_id)
    return undeployed or await c.builds.deployment_of(project, build_id)


def project_of(c: Coordinator, named: str) -> str:
    """The project that a request names; the only one there is, when it names none, else P0206."""
    if named:
        return named
    projects = [name for name in c.store.projects() if not name.endswith(UNDEPLOYED)]
    if not projects:
        raise PerdureError("P0206", "no project is deployed yet", help="`perdure deploy DIR` makes one live")
    if len(projects) > 1:
        known = ", ".join(projects[:_NAMED]) + (", ..." if len(projects) > _NAMED else "")
        raise PerdureError("P0206", f"there are several projects: {known}", help="name one: --project NAME")
    return projects[0]


async def active_deployment(c: Coordinator, project: str) -> Deployment:
    """The active deployment of `project`; of the only project there is, when none is named. P0206 without one."""
    project = project_of(c, project)
    deployment = await c.builds.active(project)
    if deployment is None:
        raise PerdureError(
            "P0206", f"project {project!r} has no active deployment", help="`perdure deploy DIR` makes one live"
        )
    return deployment


async def fork_session(c: Coordinator, request: pb.ForkSessionRequest, session_id: str = "") -> pb.StartSessionResponse:
    """A new session that begins with the entries 1..from_seq of another, perhaps on another build.

    session_id: of the new one, instead of one that nobody has had.
    Raises P0204, P0212, P0214 when from_seq is not the last row of a call, P0234 imported without its key.
    """
    source = c.store.load_session(request.session_id)
    if source is None:
        raise PerdureError("P0204", f"unknown session {request.session_id!r}")
    c.keys.session_key(source.origin_id)  # P0234: nobody could read what it shares
    history = await asyncio.to_thread(_history, c, source, request.from_seq)
    ancestors = lineage.parse(source.forked_from).of_fork(source.session_id, source.created_us, request.from_seq)
    record = SessionRecord(
        session_id=session_id or new_id(c, ids.SESSION),
        project=source.project,
        build_id=request.build_id or source.build_id,
        deployment_id=source.deployment_id,
        entry_point=source.entry_point,
        event=source.event,
        created_us=c.clock.now_us(),
        hash_seed=source.hash_seed,
        durable=source.durable,
        event_form=source.event_form,
        memo=source.memo,
        forked_from=str(ancestors),
        origin_id=source.origin_id or source.session_id,
    )
    await check_interpreter(c, record.build_id)
    imported = record.origin_id.startswith(IMPORTED)  # it may not ask for events, nor has it asked here
    held = [] if imported else subscriptions.as_of(history, record.session_id, record.project)
    await c.begin(record, copy_from=(source.session_id, request.from_seq), subscriptions=held)
    for told in c.store.signals(record.session_id):  # of the ends of children
        await family.hand_over(c, record.session_id, told)
    return pb.StartSessionResponse(session_id=record.session_id, state=Phase.CREATED.value)


def _history(c: Coordinator, source: SessionRecord, from_seq: int) -> list[jpb.Entry]:
    """The rows up to there, without outcomes. A history may be cut only where no call is in the middle of its rows."""
    last_row: dict[tuple[str, int], int] = {}
    complete: set[int] = set()
    history: list[jpb.Entry] = []
    for row in c.store.entries(source.session_id):
        entry = jpb.Entry.FromString(row)
        entry.ClearField("outcome")
        if entry.seq <= from_seq:
            history.append(entry)
        last_row[entry.lane, entry.ordinal] = entry.seq
        if entry.kind in LAST_ROWS:
            complete.add(entry.seq)
    boundaries = sorted({0, *(seq for seq in last_row.values() if seq in complete)})
    if from_seq in boundaries:
        return history
    near = [
        max((b for b in boundaries if b < from_seq), default=None),
        min((b for b in boundaries if b > from_seq), default=None),
    ]
    places = " or ".join(str(b) for b in near if b is not None)
    raise PerdureError(
        "P0214",
        f"entry {from_seq} of {source.session_id} is not the end of a call",
        help=f"fork from {places}; `perdure sessions history` shows all entries",
    )

"""Would a build break the sessions that run now? All of them are replayed on it, read-only, a few at a time."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import runner_pb2 as runner

from perdure_server.cli import documents, fetch, render
from perdure_server.cli.connect import Control
from perdure_server.core import divergence
from perdure_server.core.divergence import Sides
from perdure_server.core.errors import PerdureError

AT_ONCE = 4
ALL = 1_000_000  # sessions
_SHOWN = 3  # sessions whose difference is shown to people in full
LIVE = ("created", "starting", "running", "waiting")


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the replay of one session found, or why there was none."""

    session: control.Session
    sides: Sides
    answer: control.ReplaySessionResponse | None = None
    problem: PerdureError | None = None

    @property
    def agrees(self) -> bool:
        """Can the session go on with this build?"""
        return self.answer is not None and self.answer.done.state != runner.DONE_STATE_DIVERGED


@dataclass(frozen=True, slots=True)
class Preflight:
    """All verdicts on one build."""

    project: str
    build_id: str
    verdicts: tuple[Verdict, ...]

    @property
    def broken(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts if not verdict.agrees)


async def fly(remote: Control, project: str, build_id: str, folder: str) -> Preflight:
    """Replay all sessions of a project that have not ended and that record anything, on a build made of `folder`."""
    found = await fetch.sessions(remote, ALL, project=project, states=LIVE)
    turns = asyncio.Semaphore(AT_ONCE)

    async def judge(session: control.Session) -> Verdict:
        sides = Sides(session.build_id, build_id, folder)
        request = control.ReplaySessionRequest(session_id=session.session_id, build_id=build_id)
        async with turns:
            try:
                return Verdict(session, sides, await remote.replay_session(request))
            except PerdureError as error:
                return Verdict(session, sides, problem=error)

    verdicts = await asyncio.gather(*(judge(session) for session in found if session.durable))
    return Preflight(project, build_id, tuple(verdicts))


def refusal(preflight: Preflight) -> PerdureError:
    """The error of a deployment that is not made because of its preflight."""
    return PerdureError(
        "P0503",
        f"not deployed: build {preflight.build_id[:12]} would break {len(preflight.broken)} of "
        f"{len(preflight.verdicts)} running sessions of {preflight.project}",
        help='put the change under `if perdure.version("name"):`, or deploy with --force: '
        "sessions keep the build they began with",
    )


def report(preflight: Preflight) -> None:
    """For people: the sessions that would break with the first difference of each, then how many agree."""
    for verdict in preflight.broken[:_SHOWN]:
        session = verdict.session
        render.show(f"{session.session_id} ({session.entry_point}, {session.state})")
        if verdict.answer is None:
            render.show(f"  could not be replayed: {verdict.problem}")
        else:
            render.replayed(session.session_id, verdict.answer, verdict.sides)
        render.show()
    for verdict in preflight.broken[_SHOWN:]:
        render.show(f"{verdict.session.session_id}: {_reason(verdict)}")
    agree = len(preflight.verdicts) - len(preflight.broken)
    render.say(
        f"preflight: {agree} of {len(preflight.verdicts)} running sessions of {preflight.project} agree with "
        f"build {preflight.build_id[:12]}"
    )


def document(preflight: Preflight) -> documents.Document:
    """The same for programs."""
    return {
        "project": preflight.project,
        "build_id": preflight.build_id,
        "sessions": len(preflight.verdicts),
        "broken": [_document(verdict) for verdict in preflight.broken],
    }


def _document(verdict: Verdict) -> documents.Document:
    facts = {"entry_point": verdict.session.entry_point, "state": verdict.session.state}
    if verdict.answer is None:
        return {"session_id": verdict.session.session_id, "reason": _reason(verdict)} | facts
    return documents.replay(verdict.session.session_id, verdict.answer, verdict.sides) | facts


def _reason(verdict: Verdict) -> str:
    if verdict.answer is None:
        return str(verdict.problem)
    return divergence.sentence(verdict.answer.done.divergence)

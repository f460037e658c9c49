"""One embedded engine in this process: runs sessions, with a fault in each if asked, and tells what they were.

This is the fork server's work: each engine lives in a process of its own, so that the coordinator can be killed too.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from google.protobuf import json_format
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_server.app.engine import Engine
from perdure_server.cli import builds, documents, fetch
from perdure_server.cli.calls import assemble
from perdure_server.coordinator.actor import Actor
from perdure_server.coordinator.settings import Fault, Settings
from perdure_server.core import divergence
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Rules
from perdure_server.store import Done, EventRow, Mutation, Transaction

AT_ONCE = 6
"""Sessions that run at the same time in one engine."""


@dataclass(frozen=True)
class Job:
    """One session to run. `fault` strikes after journal entry `after` (0: never). `resume`: it has been started."""

    session: str
    entry: str
    event: dict[str, Any]
    signals: list[tuple[str, str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    fault: Fault = "kill-runner"
    after: int = 0
    resume: bool = False


@dataclass
class Faults:
    """What the coordinator asks after every durable entry: each fault strikes once."""

    planned: dict[tuple[str, int], Fault]

    def __call__(self, session: str, _number: int, entry: jpb.Entry) -> Fault | None:
        return self.planned.pop((session, entry.seq), None)


@dataclass
class Death:
    """One death of the coordinator for many sessions, each right after an entry of its own (`planned`).

    A session that has come to its entry is stopped there: of what is under way for it, or comes later, nothing reaches
    the coordinator, as if it were dead already. It is, with all its runners, as soon as no session is left to come.
    """

    planned: dict[str, int]
    stopped: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    actors: dict[str, Actor] = field(default_factory=dict)  # the coordinator's

    def __call__(self, session: str, _number: int, entry: jpb.Entry) -> Fault | None:
        if self.planned.get(session) == entry.seq:
            actor = self.actors[session]  # it stays among them, so that nobody takes the session up anew
            actor.dropped = True
            actor.writer._batch = None  # what lingers dies with the coordinator
            self.stopped[session].set()
            self.comes_no_more(session)
        return None

    def comes_no_more(self, session: str) -> None:
        """The session is at its entry, or has ended without coming to it."""
        if self.planned.pop(session, None) and not self.planned:
            os.kill(os.getpid(), signal.SIGKILL)


def run(
    home: str, folder: str, jobs: list[dict[str, Any]], *, suspend_at_once: bool = False, together: bool = False
) -> None:
    """Run these jobs to their ends: resumed ones first, then the new ones.

    `together`: the coordinator dies once for all new ones, see `Death`. What each was is written to
    HOME/told/SESSION.json (see `facts`): this process may be the one that is killed.
    """
    plan = [Job(**job) for job in jobs]
    asyncio.run(_run(Path(home), Path(folder), plan, suspend_at_once, together))


async def _run(home: Path, folder: Path, jobs: list[Job], suspend_at_once: bool, together: bool) -> None:
    due = [job for job in jobs if job.after and not job.resume]
    death = Death({job.session: job.after for job in due} if together else {})
    faults = death if together else Faults({(job.session, job.after): job.fault for job in due})
    settings = Settings(rules=Rules(suspend_after_s=0.0 if suspend_at_once else 5.0), faults=faults)
    async with Engine.embedded(home, settings=settings) as engine:
        death.actors = engine.coordinator.actors
        runs = Runs(engine, home, death)
        await runs.follow_all([job for job in jobs if job.resume])
        if new := [job for job in jobs if not job.resume]:
            await runs.deploy(folder)
            await runs.follow_all(new)


class Runs:
    """Sessions in one engine."""

    def __init__(self, engine: Engine, home: Path, death: Death | None = None) -> None:
        self._engine = engine
        self._death = death or Death({})
        self._sent: set[tuple[str, int]] = set()
        self._told = home / "told"
        self._told.mkdir(exist_ok=True)
        self._built = home / "built.json"
        self._build = pb.DeployResponse()

    async def deploy(self, folder: Path) -> None:
        """Make `folder` the build of the sessions that are started from now on. A home has only one."""
        if self._built.exists():
            json_format.Parse(self._built.read_text(), self._build)
        else:
            self._build = await builds.send(self._engine.control, builds.folder(folder, None), build_only=True)
            self._built.write_text(json_format.MessageToJson(self._build))

    async def follow_all(self, jobs: Iterable[Job]) -> None:
        """Start what is to be started, and follow every session to its end."""
        gate = asyncio.Semaphore(AT_ONCE)

        async def follow(job: Job) -> None:
            async with gate:
                telling = asyncio.create_task(self._tell(job))
                stopping = asyncio.create_task(self._death.stopped[job.session].wait())
                await asyncio.wait((telling, stopping), return_when=asyncio.FIRST_COMPLETED)
                stopping.cancel()
            await telling  # of a stopped session: until the coordinator dies
            self._death.comes_no_more(job.session)

        await asyncio.gather(*(follow(job) for job in jobs))

    async def _tell(self, job: Job) -> None:
        told = await self._follow(job)
        (self._told / f"{job.session}.json").write_text(json.dumps(told))

    async def _follow(self, job: Job) -> dict[str, Any]:
        try:
            if not job.resume:
                await self._start(job)
            await self._send_signals(job, "start")
            request = pb.WatchSessionRequest(session_id=job.session, until_done=True)
            async for update in self._engine.control.watch_session(request):
                if update.WhichOneof("update") == "session" and update.session.state == "waiting":
                    await self._send_signals(job, "waiting")
                    if update.session.waiting_for.kind == jpb.WAIT_KIND_EVENT:
                        await self._send_events(job)
        except PerdureError as refused:
            return {"refused": refused.code, "message": str(refused)}
        return facts(await fetch.whole(self._engine.control, job.session))

    async def _start(self, job: Job) -> None:
        request = pb.StartSessionRequest(
            project=self._build.project,
            build_id=self._build.build_id,
            entry_point=job.entry,
            event=json.dumps(job.event).encode(),
            session_id=job.session,
        )
        await self._engine.control.start_session(request)

    async def _send_signals(self, job: Job, when: str) -> None:
        """Send what is due and has not been stored; the engine before this one may have died while it sent one."""
        for number, (due, name, payload) in enumerate(job.signals):
            if due != when or (job.session, number) in self._sent:
                continue
            self._sent.add((job.session, number))
            if not (job.resume and name in await self._stored_signals(job.session)):
                signal = pb.SignalSessionRequest(
                    session_id=job.session, name=name, payload=json.dumps(payload).encode()
                )
                await self._engine.control.signal_session(signal)

    async def _send_events(self, job: Job) -> None:
        """Store what is due; what the engine before this one has stored is known by its mark."""
        coordinator = self._engine.coordinator
        record = coordinator.store.load_session(job.session)
        assert record is not None
        project = record.project
        for number, brought in enumerate(job.events):
            mark = f"{job.session} {number}"
            data = json.dumps({"run": job.session, **brought}).encode()
            row = EventRow(
                f"evt_{mark}", project, "hook", "webhook", "post", coordinator.clock.now_us(), data, {}, mark
            )
            stored = await coordinator.store.commit(Mutation(partial(_insert_event, row)))
            if isinstance(stored, Done) and stored.value:
                coordinator.subscriptions.arrived(project, "hook", stored.value)

    async def _stored_signals(self, session: str) -> set[str]:
        """Names of the signals that a session has got or will get. The programs are sent each name once."""
        waiting = {signal.name for signal in self._engine.coordinator.store.signals(session)}
        history = self._engine.control.get_history(pb.GetHistoryRequest(session_id=session))
        return waiting | {
            entry.resolution.name async for entry in history
        }  # read last: a signal goes from there to here


def _insert_event(row: EventRow, transaction: Transaction) -> int:
    return transaction.insert_event(row)


def facts(whole: fetch.Whole) -> dict[str, Any]:
    """What a session was, as plain data."""
    document = documents.session(whole.session, whole.entries, whole.logs)
    error = whole.session.error
    return {
        "state": whole.session.state,
        "result": document["result"],
        "error": document["error"],
        "code": error.code,
        "divergence": divergence.sentence(whole.session.divergence),
        "prints": document["prints"],
        "errors": [line.text for line in whole.logs if line.stream != jpb.STREAM_STDOUT],
        "calls": [f"{call.kind.value} {call.function}" for call in assemble(whole.entries)],
        "rows": [asdict(row) for row in rows(whole.entries)],
    }


@dataclass(frozen=True)
class Row:
    """A journal row, as far as tests look at it."""

    seq: int
    lane: str
    ordinal: int
    kind: str
    function: str
    line: int


def rows(entries: Iterable[jpb.Entry]) -> list[Row]:
    """The journal in short."""
    return [
        Row(e.seq, e.lane, e.ordinal, jpb.EntryKind.Name(e.kind).removeprefix("ENTRY_KIND_"), e.function, e.site.line)
        for e in entries
    ]

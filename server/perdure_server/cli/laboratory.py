"""Runs of one handler under disturbance, for `perdure check`: time is skipped, runners are killed on purpose."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1.journal_pb2 import Entry

from perdure_server.cli import fetch
from perdure_server.cli.compare import CHILD, SESSION, Difference, Run, differences
from perdure_server.cli.connect import Control
from perdure_server.cli.skipping import FAMILY, Family, Skipping
from perdure_server.coordinator.replays import ALIAS
from perdure_server.coordinator.settings import Fault

MIN_PATIENCE_S = 30.0
PATIENCE_FACTOR = 20.0  # how many times longer than the undisturbed run a disturbed one may take


@dataclass(slots=True)
class Kills:
    """Which session's runner is killed after which entry; each once."""

    planned: dict[str, int] = field(default_factory=dict)

    def fault(self, session_id: str, _number: int, entry: Entry) -> Fault | None:
        """What the coordinator asks after every durable entry."""
        if self.planned.get(session_id) != entry.seq:
            return None
        del self.planned[session_id]
        return "kill-runner"


@dataclass(frozen=True, slots=True)
class Found:
    """A difference in the run whose runner was killed after entry `after` (0: in a replay of the undisturbed run)."""

    after: int
    difference: Difference


class Twins(Protocol):
    """What no client can ask of a coordinator: see `app.twins`."""

    async def lend(self, project: str, build_id: str, other: str, /) -> None: ...
    async def repeat(self, session_id: str, from_seq: int, /) -> str: ...


@dataclass(slots=True)
class Laboratory:
    """Runs sessions like `template`. Long waits are skipped; waits for signals get one of `signals`: see `skipping`.

    Ids are of the same length, because previews are cut. Runs that are disturbed have a project each: what the store
    holds for one is nothing to the next.
    """

    remote: Control
    twins: Twins
    kills: Kills
    template: control.StartSessionRequest
    signals: Mapping[str, bytes]
    patience_s: float = MIN_PATIENCE_S

    async def undisturbed(self) -> Run:
        """The run that all others must agree with. It has as long as it needs."""
        began = time.monotonic()
        run = await self.run(_run_id(0))
        self.patience_s = max(MIN_PATIENCE_S, PATIENCE_FACTOR * (time.monotonic() - began))
        return run

    async def killed(self, after: int, reference: Run) -> list[Found]:
        """Kill the runner right after entry `after`; what differs from the reference, and from the run's own replay."""
        session_id = _run_id(after)
        project = f"{self.template.project}.{session_id}"
        try:
            async with asyncio.timeout(self.patience_s):
                await self.twins.lend(self.template.project, self.template.build_id, project)
                run = await self.run(session_id, kill_after=after, project=project)
                found = differences(reference, run, same_journal=False) or await self._replayed(run)
        except TimeoutError:
            place = next((call.site for call in reference.calls if call.seq >= after), None)
            stuck = Difference(
                place.file if place else reference.entry_point.partition(":")[0],
                place.line if place else 1,
                f"no end within {self.patience_s:.0f} s",
                reference.state,
                (await self._session(session_id)).state,
            )
            found = [stuck]
        return [Found(after, difference) for difference in found]

    async def replayed(self, run: Run) -> list[Found]:
        """What differs when an undisturbed run's whole journal is replayed by a new session."""
        return [Found(0, difference) for difference in await self._replayed(run)]

    async def _replayed(self, run: Run) -> list[Difference]:
        again = await self.twins.repeat(run.session_id, run.whole_calls)
        return differences(run, await self._finished(again), same_journal=True)

    async def run(self, session_id: str, kill_after: int | None = None, project: str = "") -> Run:
        """One session to its end, in the template's project or another; its runner is killed after `kill_after`."""
        if kill_after is not None:
            self.kills.planned[session_id] = kill_after
        request = control.StartSessionRequest()
        request.CopyFrom(self.template)
        request.session_id = session_id
        request.project = project or request.project
        await self.remote.start_session(request)
        return await self._finished(session_id)

    async def _finished(self, session_id: str) -> Run:
        """A session at its end; its waits were ended, and those of its descendants."""
        await Family(self.remote, session_id, Skipping(self.signals)).end()
        whole = await fetch.whole(self.remote, session_id)
        return Run.of(whole, await self._names(whole.session))

    async def _names(self, session: control.Session) -> dict[str, str]:
        """What is another text in every run, and what to take it for."""
        own = session.session_id.partition(ALIAS)[0]
        family = await fetch.sessions(self.remote, FAMILY, project=session.project)
        names = {each.session_id: CHILD for each in family if each.parent_id}
        if session.project != self.template.project:
            names[session.project] = self.template.project
        return names | {own: SESSION}

    async def _session(self, session_id: str) -> control.Session:
        return await self.remote.get_session(control.GetSessionRequest(session_id=session_id))


def _run_id(after: int) -> str:
    return f"check-{after:06}"

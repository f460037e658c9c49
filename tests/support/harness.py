"""Running the programs: plainly, recorded, and with something killed after every entry of their journals.

A `Bench` is one worker's equipment: the counting server, the fork server and a folder for homes. Its results are
`Outcome`s, which know what may and what may not differ between runs.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.effects import EffectServer, Ledger, serving
from support.forkserver import ForkServer
from support.programs import LIBRARY, PROGRAMS, Case

RUNNER, COORDINATOR = "kill-runner", "kill-coordinator"
SIGKILLED = -9


@dataclass(frozen=True)
class Outcome:
    """What one run was: what the engine says (`facts` of support.embedded, or the plain run's) and what it effected."""

    facts: dict[str, Any]
    ledger: Ledger
    folder: Path

    @property
    def result(self) -> Any:
        return self.facts["result"]

    @property
    def prints(self) -> list[str]:
        return self.facts["prints"]

    @property
    def error(self) -> str | None:
        """ "Type: message" of what ended the program, if something did."""
        error = self.facts["error"]
        if isinstance(error, dict):
            return f"{error['type'].rpartition('.')[2]}: {error['message']}"
        return error

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.facts["rows"]


@dataclass(eq=False)
class Bench:
    """See the module's docstring."""

    server: EffectServer
    forks: ForkServer
    folder: Path
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    _homes: dict[Path, Path] = field(default_factory=dict)

    def event(self, name: str) -> dict[str, Any]:
        """The event of one run: its own part of the server, its own folder, the library's place."""
        run = f"{name.replace('/', '.')}-{next(self._numbers)}"
        folder = self.folder / "files" / run
        folder.mkdir(parents=True)
        return {"url": f"{self.server.url}/{run}", "dir": str(folder), "lib": str(LIBRARY), "run": run}

    def plain(self, case: Case, programs: Path = PROGRAMS) -> Outcome:
        """Ordinary Python."""
        event = self.event(case.id)
        arguments = {"code": str(programs), "entry": case.entry, "event": event, "variables": case.vars}
        return self._outcome(event, self._ask("support.plain:run_plain", **arguments))

    def recorded(self, case: Case, programs: Path = PROGRAMS, **how: Any) -> Outcome:
        """One undisturbed session in a home of its own."""
        return self.recorded_each([case], programs, **how)[0]

    def recorded_each(self, cases: Iterable[Case], programs: Path = PROGRAMS, **how: Any) -> list[Outcome]:
        """The same for several programs of a folder, in one engine: it costs more than their sessions."""
        return [runs[0] for runs in self.killed_each([(case, [0]) for case in cases], RUNNER, programs, **how)]

    def killed(
        self, case: Case, after: Iterable[int], what: str, programs: Path = PROGRAMS, together: int = 1, **how: Any
    ) -> dict[int, Outcome]:
        """One session for each entry number in `after`: killed right after that entry, then brought to its end.

        So many sessions share one death of their coordinator as `together` says, see `embedded.Death`.
        """
        return self.killed_each([(case, after)], what, programs, together, **how)[0]

    def killed_each(
        self,
        plan: Iterable[tuple[Case, Iterable[int]]],
        what: str,
        programs: Path = PROGRAMS,
        together: int = 1,
        **how: Any,
    ) -> list[dict[int, Outcome]]:
        """As `killed`, for several programs of a folder in the same engines; what each was, in this order."""
        planned = [(case, {k: self._job(case, k, what) for k in after}) for case, after in plan]
        home = self._home(programs)
        everyone = [job for _, jobs in planned for job in jobs.values()]
        steps = [everyone] if what == RUNNER else _one_after_the_other(everyone, together)
        for step in steps:
            fatal = what == COORDINATOR and any(job["after"] and not job["resume"] for job in step)
            asked = {"home": str(home), "folder": str(programs), "jobs": step, "together": together > 1, **how}
            chance = any(case.check for case, _ in planned)  # a run may be shorter than its model
            expect = {SIGKILLED, 0} if chance else {SIGKILLED}
            try:
                self._ask("support.embedded:run", expect=expect if fatal else {0}, **asked)
            except BaseException:
                del self._homes[programs]  # its unfinished sessions are not the next test's business
                raise
        return [
            {k: self._outcome(job["event"], _told(home, job["session"])) for k, job in jobs.items()}
            for _, jobs in planned
        ]

    def _home(self, programs: Path) -> Path:
        """The home where the programs of a folder run: their build is packed and compiled once per worker."""
        if programs not in self._homes:
            home = self.folder / "homes" / str(next(self._numbers))
            home.mkdir(parents=True)
            self._homes[programs] = home
        return self._homes[programs]

    def _job(self, case: Case, after: int, what: str) -> dict[str, Any]:
        event = self.event(case.id)
        return {
            "session": event.pop("run"),
            "entry": case.entry,
            "event": event,
            "signals": case.signals,
            "events": case.events,
            "fault": what,
            "after": after,
            "resume": False,
        }

    def _ask(self, do: str, expect: Collection[int] = (0,), **arguments: Any) -> dict[str, Any]:
        reply = self.forks.ask(do, **arguments)
        assert reply["exit"] in expect, f"exit code {reply['exit']}, not {expect}\n{reply['stderr']}"
        return reply["answer"] or {}

    def _outcome(self, event: dict[str, Any], facts: dict[str, Any]) -> Outcome:
        run = event["url"].rpartition("/")[2]
        return Outcome(facts, self.server.ledger(run), Path(event["dir"]))


def _told(home: Path, session: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((home / "told" / f"{session}.json").read_text())
    return told


def _one_after_the_other(jobs: Sequence[dict[str, Any]], together: int) -> Iterator[list[dict[str, Any]]]:
    """Each engine brings the sessions that its predecessor died with to their ends, then starts the next ones."""
    before: list[dict[str, Any]] = []
    for first in range(0, len(jobs), together):
        after = jobs[first : first + together]
        yield [*before, *after]
        before = [{**job, "resume": True} for job in after]
    yield before


@contextmanager
def bench(folder: Path) -> Iterator[Bench]:
    """The equipment, for the length of the block."""
    with serving() as server:
        forks = ForkServer()
        try:
            yield Bench(server, forks, folder)
        finally:
            forks.close()


def extra_requests(more: Counter[str], plain: Counter[str]) -> Counter[str]:
    """Requests of one ledger beyond those of another; negative for missing ones."""
    return Counter({path: n for path in {*more, *plain} if (n := more[path] - plain[path])})

"""Running probes in every mode and judging what they did: four columns, each a list of complaints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from matrix.probe import Probe, agree
from support.harness import Bench, extra_requests

MODES = ("plain", "live", "replayed", "killed")
ENGINE_PATIENCE_S = 400.0
_numbers = count(1)


@dataclass(frozen=True)
class Examined:
    """What is wrong with a probe, by mode: no complaints, no fault."""

    probe: Probe
    complaints: dict[str, list[str]]

    @property
    def ok(self) -> bool:
        return not any(self.complaints.values())


@dataclass(frozen=True)
class _Run:
    facts: dict[str, Any]
    asked: Counter[str]
    """Requests to the counting server."""
    files: dict[str, bytes]

    @property
    def error(self) -> str | None:
        """ "Type: message" of what ended the program, if something did."""
        error = self.facts.get("error")
        if isinstance(error, dict):
            return f"{error['type'].rpartition('.')[2]}: {error['message']}"
        return error


def examine(bench: Bench, probes: Sequence[Probe]) -> list[Examined]:
    """Every probe that can run here, in every mode."""
    probes = [probe for probe in probes if probe.possible]
    number = next(_numbers)
    laboratory = _Laboratory(bench, f"matrix{number}-", bench.folder / "matrix" / str(number))
    for probe in probes:
        probe.write(laboratory.build)
    plain = {probe.name: laboratory.plain(probe) for probe in probes}
    recorded = laboratory.recorded(probes)
    return [Examined(probe, _judge(probe, plain[probe.name], recorded[probe.name])) for probe in probes]


class _Laboratory:
    """Runs probes; `prefix` keeps their ledgers on the server apart from all others."""

    def __init__(self, bench: Bench, prefix: str, folder: Path) -> None:
        self._bench = bench
        self._prefix = prefix
        self.build, self._files, self._home = (folder / name for name in ("build", "files", "home"))
        for path in (self.build, self._files, self._home):
            path.mkdir(parents=True)

    def plain(self, probe: Probe) -> _Run:
        """Ordinary Python."""
        run = f"{probe.name}.plain"
        (self._files / run).mkdir()
        event = {"url": f"{self._bench.server.url}/{self._prefix}{run}", "dir": str(self._files / run)}
        arguments = {"code": str(self.build), "entry": probe.entry, "event": event, "variables": {}}
        reply = self._bench.forks.ask("support.plain:run_plain", **arguments)
        facts = reply["answer"] or {"result": None, "error": f"no answer: {reply['stderr']}", "prints": []}
        return self._run(run, facts)

    def recorded(self, probes: Sequence[Probe]) -> dict[str, dict[str, _Run]]:
        """All other modes, by probe."""
        arguments = {"home": str(self._home), "folder": str(self.build), "files": str(self._files)}
        arguments |= {"server": self._bench.server.url, "prefix": self._prefix}
        entries = {probe.name: probe.entry for probe in probes}
        reply = self._bench.forks.ask("matrix.inside:run", timeout=ENGINE_PATIENCE_S, probes=entries, **arguments)
        broken = {"live": {"state": f"no engine: {reply['stderr']}"}}
        told = reply["answer"] or dict.fromkeys(entries, broken)
        return {
            name: {mode: self._run(f"{name}.{mode}", facts) for mode, facts in modes.items()}
            for name, modes in told.items()
        }

    def _run(self, run: str, facts: dict[str, Any]) -> _Run:
        folder = self._files / run
        files = {str(f.relative_to(folder)): f.read_bytes() for f in folder.rglob("*") if f.is_file()}
        return _Run(facts, self._bench.server.ledger(self._prefix + run).requests, files)


# ---------------------------------------------------------------- judging


def _judge(probe: Probe, plain: _Run, recorded: dict[str, _Run]) -> dict[str, list[str]]:
    live = recorded["live"]
    complaints = {"plain": list(_of_plain(probe, plain)), "live": list(_of_live(probe, plain, live))}
    if set(recorded) == {"live"} or live.error != plain.error:
        return complaints | {mode: ["there is no live run to compare it with"] for mode in ("replayed", "killed")}
    killed = {int(mode): run for mode, run in recorded.items() if mode not in {"live", "replayed"}}
    return complaints | {
        "replayed": list(_of_replay(live, recorded["replayed"])),
        "killed": [
            f"after entry {after} ({_row(live, after)}): {complaint}"
            for after, run in killed.items()
            for complaint in _of_killed(probe, live, run, after)
        ],
    }


def _of_plain(probe: Probe, run: _Run) -> Iterator[str]:
    """The probe itself is right."""
    yield from _differ("result", probe.gives, run.facts["result"])
    yield from _differ("error", probe.error, run.facts["error"])
    if probe.prints:
        yield from _differ("output", list(probe.prints), run.facts["prints"])
    if probe.asks is not None:
        yield from _differ("requests", probe.asks, run.asked.total())


def _of_live(probe: Probe, plain: _Run, run: _Run) -> Iterator[str]:
    """The same as plainly, and recorded as expected."""
    if run.facts["state"] not in {"completed", "failed"}:
        yield f"state {run.facts['state']}: {run.facts.get('divergence', '')}"
        return
    if run.error != plain.error:
        yield f"error: expected {plain.error}, got {run.error} {_traceback(run)}"
        return
    yield from _differ("result", plain.facts["result"], run.facts["result"])
    yield from _differ("output", plain.facts["prints"], run.facts["prints"])
    yield from _differ("requests", dict(plain.asked), dict(run.asked))
    yield from _differ("files", plain.files, run.files)
    if probe.calls is not None and not agree(run.facts["calls"], probe.calls):
        yield f"calls: expected {probe.calls!r}, got {run.facts['calls']}"


def _of_replay(live: _Run, run: _Run) -> Iterator[str]:
    """The same once more from the journal alone: the session and its replay together did what one run does."""
    if run.facts["state"] != live.facts["state"]:
        yield f"state: expected {live.facts['state']}, got {run.facts['state']}: {run.facts.get('divergence', '')}"
        return
    yield from _differ("result", live.facts["result"], run.facts["result"])
    yield from _differ("calls", live.facts["calls"], run.facts["calls"])
    yield from _differ("requests", dict(live.asked), dict(run.asked))
    yield from _differ("files", live.files, run.files)


def _of_killed(probe: Probe, live: _Run, run: _Run, after: int) -> Iterator[str]:
    """The same in spite of a kill; only what was in flight may reach the world twice."""
    if probe.may_lose and (run.error or "").startswith("HandleLost: "):
        return
    if run.facts["state"] != live.facts["state"]:
        yield f"state {run.facts['state']}: {run.facts.get('divergence', '')} {_traceback(run)}"
        return
    yield from _differ("error", live.error, run.error)
    yield from _differ("result", live.facts["result"], run.facts["result"])
    yield from _differ("output", live.facts["prints"], run.facts["prints"])
    yield from _differ("calls", live.facts["calls"], run.facts["calls"])
    extra = extra_requests(run.asked, live.asked)
    around = [row["kind"] for row in run.facts["rows"][max(0, after - probe.in_flight) : after + probe.in_flight]]
    allowed = probe.in_flight if "STARTED" in around else 0
    if extra.total() > allowed or any(n < 0 for n in extra.values()):
        yield f"requests: {dict(extra)} beyond the live run's, {allowed} may be in flight"


def _differ(what: str, expected: Any, found: Any) -> Iterator[str]:
    if expected != found:
        yield f"{what}: expected {expected!r}, got {found!r}"


def _row(run: _Run, after: int) -> str:
    row = run.facts["rows"][after - 1]
    return f"{row['kind']} {row['function']}"


def _traceback(run: _Run) -> str:
    error = run.facts.get("error")
    return " < ".join(f"{f['file']}:{f['line']}" for f in error["traceback"]) if isinstance(error, dict) else ""

"""Comparing two runs of one handler: calls, output, outcome. Pure.

Two runs that were made apart may differ for a good reason: what the world answered differed (a random number, the
time, a server). So a comparison has a horizon: the first call whose recorded outcome differs. What comes after it may
follow from it and is not judged. A replay of a run's own journal has no horizon: it must agree in everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest

from perdure_proto.v1 import journal_pb2 as journal

from perdure_server.cli import documents
from perdure_server.cli.calls import Call, assemble
from perdure_server.cli.fetch import Whole

_TEXT = 200  # characters of a value shown in a difference


@dataclass(frozen=True, slots=True)
class Run:
    """What is compared of a session; its id is taken out of every text, since every session has another."""

    session_id: str
    state: str
    outcome: str
    entry_point: str
    divergence: journal.Divergence | None
    calls: list[Call]
    lines: list[journal.LogLine]

    @classmethod
    def of(cls, whole: Whole) -> Run:
        """The run that a session was."""
        session = whole.session
        return cls(
            session.session_id,
            session.state,
            _outcome_text(whole),
            session.entry_point,
            session.divergence if session.HasField("divergence") else None,
            assemble(whole.entries),
            whole.logs,
        )

    @property
    def whole_calls(self) -> int:
        """`seq` of the last row of the last call that has ended: how far a fork can share its journal."""
        return max((call.seq for call in self.calls if call.duration_us is not None), default=0)

    def text(self, text: str) -> str:
        """`text` without this session's id."""
        return text.replace(self.session_id, "<session>")


def _outcome_text(whole: Whole) -> str:
    if (error := documents.error(whole.session)) is not None:
        return f"{error['type']}: {error['message']}"
    return repr(documents.value(whole.session.result)) if whole.session.HasField("result") else ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference: at which line of user code, and what it is."""

    file: str
    line: int
    what: str
    expected: str
    found: str


def differences(expected: Run, found: Run, *, same_journal: bool) -> list[Difference]:
    """What differs in `found`. `same_journal`: it is a replay of the other's journal, so nothing may differ."""
    if found.divergence is not None:
        return [_diverged(found.divergence)]
    changed, horizon = _calls(expected, found, same_journal)
    if changed is not None:
        return [changed]
    ours, theirs = (_lines(run, horizon, replayed=same_journal) for run in (expected, found))
    if (line := _output(ours, theirs, expected)) is not None:
        return [line]
    ends = [f"{run.state} {run.text(run.outcome)}" for run in (expected, found)]
    if horizon is None and ends[0] != ends[1]:
        return [Difference(*_place_after(expected, len(expected.calls)), "another end", *map(cut, ends))]
    return []


def _diverged(divergence: journal.Divergence) -> Difference:
    side = divergence.called if divergence.HasField("called") else divergence.recorded
    recorded, called = (
        f"{entry.function}({entry.args_preview}) at {entry.site.file}:{entry.site.line}" if present else "nothing"
        for entry, present in (
            (divergence.recorded, divergence.HasField("recorded")),
            (divergence.called, divergence.HasField("called")),
        )
    )
    return Difference(side.site.file, side.site.line, "another call in replay", cut(recorded), cut(called))


def _calls(expected: Run, found: Run, same_journal: bool) -> tuple[Difference | None, int | None]:
    """The first call that differs, if any; and the horizon: the ordinal of the first call with another outcome."""
    pairs = dict.fromkeys(_keys(expected.calls) + _keys(found.calls))
    ours, theirs = ({(call.lane, call.ordinal): call for call in run.calls} for run in (expected, found))
    for key in pairs:
        a, b = ours.get(key), theirs.get(key)
        if a is None or b is None or _identity(a) != _identity(b):
            place = (a or b or expected.calls[0]).site
            return Difference(place.file, place.line, "another call", _name(a), _name(b)), None
        if not same_journal and not _same_outcome(a, b, expected, found):
            return None, a.ordinal
    return None, None


def _keys(calls: Sequence[Call]) -> list[tuple[str, int]]:
    return [(call.lane, call.ordinal) for call in calls]


def _identity(call: Call) -> tuple[object, ...]:
    return (call.kind, call.function, call.args_digest, call.site.file, call.site.line)


def _name(call: Call | None) -> str:
    return "no call" if call is None else cut(f"{call.function}({call.args_preview}) at {call.place}")


def _same_outcome(a: Call, b: Call, expected: Run, found: Run) -> bool:
    if a.outcome is None or b.outcome is None:
        return a.outcome is b.outcome and a.state == b.state
    same = (a.outcome.data, a.outcome.blob, a.is_error) == (b.outcome.data, b.outcome.blob, b.is_error)
    same = same and a.attempts == b.attempts  # the world let another one succeed
    return same and expected.text(a.outcome.preview) == found.text(b.outcome.preview)


_Line = tuple[int, int, str]


def _output(ours: list[_Line], theirs: list[_Line], expected: Run) -> Difference | None:
    """The first line of output that differs."""
    for number, (a, b) in enumerate(zip_longest(ours, theirs), 1):
        if a != b:
            ordinal = (a or b or (0, 0, ""))[0]
            what = f"other output after this call (line {number} of all)"
            return Difference(*_place_after(expected, ordinal), what, *(cut(x[2]) if x else "nothing" for x in (a, b)))
    return None


def _lines(run: Run, horizon: int | None, *, replayed: bool) -> list[_Line]:
    """`(ordinal, stream, text)` of the lines up to the horizon. `replayed`: without those that activities wrote."""
    known = (
        line for line in run.lines if (horizon is None or line.ordinal < horizon) and not (replayed and line.activity)
    )
    return [(line.ordinal, int(line.stream), run.text(line.text)) for line in known]


def _place_after(run: Run, ordinal: int) -> tuple[str, int]:
    """`file, line` of call number `ordinal`, which is the last thing known before what differs; else the handler's."""
    before = [call for call in run.calls if call.ordinal <= ordinal]
    if before:
        return before[-1].site.file, before[-1].site.line
    return run.entry_point.partition(":")[0], 1


def cut(text: str) -> str:
    """A value as far as it is shown in a difference."""
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"

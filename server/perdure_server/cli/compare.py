"""Comparing two runs of one handler: calls, output, outcome. Pure.

Two runs that were made apart may differ for a good reason: what the world answered differed (a random number, the
time, a server), or came in another order to lanes that waited side by side. So a comparison has a horizon: the
first answer that differs. Calls that begin after it may follow from it and are not judged. A replay of a run's own
journal has no horizon: it must agree in everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from perdure_proto.v1 import journal_pb2 as journal

from perdure_server.cli import documents
from perdure_server.cli.calls import Call, assemble
from perdure_server.cli.fetch import Whole

_Key = tuple[str, int]
_Step = tuple[int, _Key, bool]
_STEPS = frozenset({journal.ENTRY_KIND_ACTIVITY, journal.ENTRY_KIND_MARKER, journal.ENTRY_KIND_ORDER})
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
    begun: dict[_Key, int]
    """`seq` of the first row of each call."""
    steps: list[_Step]
    """`seq`, call and whether it is the order of lanes alone, of each row by which user code went on."""

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
            _begun(whole.entries),
            _steps(whole.entries),
        )

    @property
    def whole_calls(self) -> int:
        """`seq` of the last row of the last call that has ended: how far a fork can share its journal."""
        return max((call.seq for call in self.calls if call.duration_us is not None), default=0)

    def text(self, text: str) -> str:
        """`text` without this session's id."""
        return text.replace(self.session_id, "<session>")


def _begun(entries: Iterable[journal.Entry]) -> dict[_Key, int]:
    begun: dict[_Key, int] = {}
    for entry in entries:
        begun.setdefault((entry.lane, entry.ordinal), entry.seq)
    return begun


def _steps(entries: Sequence[journal.Entry]) -> list[_Step]:
    several = any(entry.kind == journal.ENTRY_KIND_ORDER for entry in entries)
    kinds = _STEPS if several else _STEPS | {journal.ENTRY_KIND_RESOLVED}  # ORDER says when a lane saw that one
    return [
        (entry.seq, (entry.lane, entry.ordinal), entry.kind == journal.ENTRY_KIND_ORDER)
        for entry in entries
        if entry.kind in kinds
    ]


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
    """The first call that differs, if any; and the horizon: how many calls had begun when the answers parted."""
    ours, theirs = ({(call.lane, call.ordinal): call for call in run.calls} for run in (expected, found))
    parted = None if same_journal else _parting(expected, found, ours, theirs)
    for key in dict.fromkeys([*ours, *theirs]):
        if parted and not (_before(expected, key, parted[0]) or _before(found, key, parted[1])):
            continue
        a, b = ours.get(key), theirs.get(key)
        if a is None or b is None or _identity(a) != _identity(b):
            place = (a or b or expected.calls[0]).site
            return Difference(place.file, place.line, "another call", _name(a), _name(b)), None
    return None, sum(_before(expected, key, parted[0]) for key in ours) if parted else None


def _parting(
    expected: Run, found: Run, ours: Mapping[_Key, Call], theirs: Mapping[_Key, Call]
) -> tuple[int, int] | None:
    """`seq` in both runs of the first answer of the world that differs, or that another lane got first."""
    for (seq, key, order), (other_seq, other_key, other_order) in zip(expected.steps, found.steps, strict=False):
        same = (key, order) == (other_key, other_order)
        if same and not order and key in ours and key in theirs:
            same = _same_outcome(ours[key], theirs[key], expected, found)
        if not same:
            return seq, other_seq
    return None


def _before(run: Run, key: _Key, seq: int) -> bool:
    return run.begun.get(key, seq) < seq


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

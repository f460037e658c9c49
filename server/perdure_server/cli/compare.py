"""Comparing two runs of one handler: calls, output, outcome. Pure.

Two runs that were made apart may differ for a good reason: what the world answered differed (a random number, the
time, a server), or came in another order to lanes that waited side by side. So a comparison has a horizon: the
first answer that differs. Calls that begin after it may follow from it and are not judged. A replay of a run's own
journal has no horizon: it must agree in everything.

An end by an error of perdure's own, as HandleLost, follows from no answer of the world: it is judged in any case.

Ids of sessions are no answers of the world, though each run has others: wherever they stand, they are taken for equal.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

from perdure_proto.v1 import journal_pb2 as journal

from perdure_server.cli import documents
from perdure_server.cli.calls import Call, assemble
from perdure_server.cli.fetch import Whole

_Key = tuple[str, int]
_Step = tuple[int, _Key, bool]
_STEPS = frozenset({journal.ENTRY_KIND_ACTIVITY, journal.ENTRY_KIND_MARKER, journal.ENTRY_KIND_ORDER})
_NAMING = frozenset({journal.WAIT_KIND_SIGNAL, journal.WAIT_KIND_EVENT})
_TEXT = 200  # characters of a value shown in a difference
_CUT = "..."  # ends previews that do not tell all
_WATCH = "perdure.session.watch"
SESSION = "<session>"
CHILD = "<child>"


@dataclass(frozen=True)
class Run:
    """What is compared of a session.

    names: what stands in every text for the names that each run has of its own: its session's, its children's, ...
    """

    session_id: str
    names: Mapping[str, str]
    state: str
    outcome: str
    error: journal.Error
    entry_point: str
    divergence: journal.Divergence | None
    calls: list[Call]
    lines: list[journal.LogLine]
    begun: dict[_Key, int]
    """`seq` of the first row of each call."""
    awaited: dict[_Key, str]
    """What each wait for a signal or an event names; there is no preview of it."""
    steps: list[_Step]
    """`seq`, call and whether it is the order of lanes alone, of each row by which user code went on."""

    @classmethod
    def of(cls, whole: Whole, names: Mapping[str, str] | None = None) -> Run:
        """The run that a session was."""
        session = whole.session
        return cls(
            session.session_id,
            names or {session.session_id: SESSION},
            session.state,
            _outcome_text(whole),
            session.error,
            session.entry_point,
            session.divergence if session.HasField("divergence") else None,
            assemble(whole.entries),
            whole.logs,
            _begun(whole.entries),
            {(row.lane, row.ordinal): ", ".join(row.wait.names) for row in whole.entries if row.wait.kind in _NAMING},
            _steps(whole.entries),
        )

    def arguments(self, call: Call) -> str:
        """As far as they are known."""
        return call.args_preview or self.awaited.get((call.lane, call.ordinal), "")

    @cached_property
    def mentioned(self) -> bool:
        """Does user code know one of its own names?"""
        texts = (self.arguments(call) + (call.outcome.preview if call.outcome else "") for call in self.calls)
        return any(self.text(text) != text for text in (*texts, *(line.text for line in self.lines)))

    @property
    def whole_calls(self) -> int:
        """`seq` of the last row of the last call that has ended: how far a fork can share its journal."""
        return max((call.seq for call in self.calls if call.duration_us is not None), default=0)

    def text(self, text: str) -> str:
        """`text` without the run's own names."""
        for name, instead in self.names.items():
            text = text.replace(name, instead)
        return text

    def data(self, data: bytes) -> bytes:
        """The same for a value as it is recorded."""
        for name, instead in self.names.items():
            data = data.replace(name.encode(), instead.encode())
        return data


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
    if ends[0] != ends[1] and found.error.code not in {"", expected.error.code}:
        return [Difference(*_place_of_error(found), "another end", *map(cut, ends))]
    if ends[0] != ends[1] and horizon is None:
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
        if a is None or b is None or not _same_call(a, b, expected, found):
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


def _same_call(a: Call, b: Call, expected: Run, found: Run) -> bool:
    if _identity(a) != _identity(b):
        return False
    return a.args_digest == b.args_digest or _same_but_for_names(
        expected.arguments(a), found.arguments(b), expected, found
    )


def _identity(call: Call) -> tuple[object, ...]:
    return (call.kind, call.function, call.site.file, call.site.line)


def _same_but_for_names(a: str, b: str, expected: Run, found: Run) -> bool:
    """Do arguments whose digests differ hold the runs' own names, and are the same else, as far as can be seen?"""
    texts = expected.text(a), found.text(b)
    named = texts[0] != a or (a.endswith(_CUT) and expected.mentioned)
    return texts[0] == texts[1] and named


def _name(call: Call | None) -> str:
    return "no call" if call is None else cut(f"{call.function}({call.args_preview}) at {call.place}")


def _same_outcome(a: Call, b: Call, expected: Run, found: Run) -> bool:
    if a.outcome is None or b.outcome is None:
        return a.outcome is b.outcome and a.state == b.state
    if a.is_error != b.is_error or a.attempts != b.attempts:  # the world let another one succeed
        return False
    if _tells_only_the_time(a) and _tells_only_the_time(b):
        return True
    values = (expected.data(a.outcome.data) or a.outcome.blob, found.data(b.outcome.data) or b.outcome.blob)
    return values[0] == values[1] and expected.text(a.outcome.preview) == found.text(b.outcome.preview)


def _tells_only_the_time(call: Call) -> bool:
    """Is it the beginning of perdure.wait? By itself the time in the answer decides nothing."""
    return call.function == _WATCH and not call.is_error and "[]" not in call.args_preview


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


def _place_of_error(run: Run) -> tuple[str, int]:
    """`file, line` of the user's code that it came to."""
    if run.error.traceback:
        return run.error.traceback[-1].file, run.error.traceback[-1].line
    return _place_after(run, len(run.calls))


def cut(text: str) -> str:
    """A value as far as it is shown in a difference."""
    return text if len(text) <= _TEXT else text[: _TEXT - 1] + "…"

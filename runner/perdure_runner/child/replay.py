"""What a call must do, given the journal: the pure decision core of the runner.

No I/O, no clock. `History` holds the rows that the coordinator sent, grouped by call; `History.next` compares the
call that user code makes now with the recorded one and says what to do. The form (a pure state machine that returns
decisions) follows the virtual machine of Restate's SDKs.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import Any, Protocol

from perdure_runner.child.ancestry import Ancestry

Row = dict[str, Any]
"""One journal row as it travels in a frame: the keys of docs/explanation/architecture.md, and `data`, its payload."""


class Kind(enum.IntEnum):
    """Kinds of rows; the numbers of `EntryKind` in journal.proto."""

    STARTED = 1
    RETRY = 2
    ACTIVITY = 3
    MARKER = 4
    WAIT = 5
    RESOLVED = 6
    SYSTEM = 7
    ORDER = 8


class WaitKind(enum.IntEnum):
    """What a lane waits for; the numbers of `WaitKind` in journal.proto."""

    TIMER = 1
    SIGNAL = 2
    EVENT = 3
    REQUEST = 4


class How(enum.IntEnum):
    """How a wait ended; the numbers of `ResolutionKind` in journal.proto."""

    FIRED = 1
    SIGNALLED = 2
    TIMED_OUT = 3
    CANCELLED = 4
    EVENT = 5
    ANSWERED = 6
    REFUSED = 7


class Form(enum.Enum):
    """The forms of calls that user code can make."""

    ACTIVITY = "activity"
    MARKER = "marker"
    TIMER = "timer"
    SIGNAL = "signal"
    EVENT = "event"
    REQUEST = "request"
    SYSTEM = "system"


class Site(Protocol):
    """A place in the source of the build."""

    @property
    def file(self) -> str:
        """Relative to the build's root."""

    @property
    def line(self) -> int:
        """From 1."""

    @property
    def column(self) -> int:
        """From 1; 0: unknown."""

    def source(self) -> str:
        """The line of source."""

    def __hash__(self) -> int:
        """What is said of a place is remembered."""


@dataclass(slots=True)
class Call:
    """A call that user code makes: which one of its lane, what it calls, with which arguments, and where.

    `args` and `parts` are made where a row is to hold them; nothing else of it ever changes.
    """

    lane: str
    ordinal: int
    form: Form
    function: str
    digest: str
    args: str = ""
    site: Site | None = None
    parts: tuple[str, ...] = ()
    """What the first row of the call says of each part of the arguments; made by `divergence`."""

    def row(self, kind: Kind) -> Row:
        """The row's keys that every row of this call has."""
        return standing_keys(self.lane, self.function, self.site) | self.own_keys(kind)

    def own_keys(self, kind: Kind) -> Row:
        """Those that are not the same for all calls of the lane at this site."""
        row: Row = {"ord": self.ordinal, "kind": kind, "dig": self.digest}
        if self.args:
            row["args"] = self.args
        if self.parts and kind is Kind.STARTED:
            row["dga"] = self.parts
        return row


def standing_keys(lane: str, function: str, site: Site | None) -> Row:
    """The keys that rows of all calls of a function at a site in a lane have in common."""
    row: Row = {"lane": lane, "fn": function}
    if site:
        row["file"], row["line"], row["col"], row["src"] = site.file, site.line, site.column, site.source()
    return row


@dataclass(frozen=True, slots=True)
class Run:
    """Nothing is recorded: do it, as attempt number `attempt`. `again`: an attempt of that number was in flight.

    retried: the RETRY row of the attempt before it.
    """

    attempt: int = 1
    again: bool = False
    retried: Row | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """Return or raise the outcome in `row`, which is the journal's row number `position`.

    Of a wait: it was over before it ended, because its task was cancelled or the session was being stopped.
    """

    row: Row
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Wait:
    """The lane already waits (a timer, a signal or the delay before a retry): wait on."""

    row: Row


@dataclass(frozen=True, slots=True)
class Resolved:
    """The wait has ended in the way that `row` says; `waited` is the row that began it.

    position: the row's number in the journal that says when user code went on, where there was more to wait for.
    """

    row: Row
    waited: Row
    position: int | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The activity is `at_most_once` and was in flight when its runner died."""

    row: Row


@dataclass(frozen=True, slots=True)
class Diverged:
    """The code calls something else than the journal says."""

    recorded: Row | None
    reason: str


VERSIONS = "version:"
"""Versions are in lanes of their own, one for each name after this prefix: they take no place in any other."""

Decision = Run | Replay | Wait | Resolved | Interrupted | Diverged

_FORM_OF_KIND = {
    Kind.STARTED: Form.ACTIVITY,
    Kind.RETRY: Form.ACTIVITY,
    Kind.ACTIVITY: Form.ACTIVITY,
    Kind.MARKER: Form.MARKER,
    Kind.SYSTEM: Form.SYSTEM,
}


_FORM_OF_WAIT = {
    WaitKind.TIMER: Form.TIMER,
    WaitKind.SIGNAL: Form.SIGNAL,
    WaitKind.EVENT: Form.EVENT,
    WaitKind.REQUEST: Form.REQUEST,
}
WAITING = frozenset(_FORM_OF_WAIT.values())
"""Forms of calls that the coordinator ends."""


def form_of(row: Row) -> Form | None:
    """The form of the call that a row belongs to; None for a RESOLVED, which never comes first."""
    kind = row["kind"]
    if kind == Kind.WAIT:
        return _FORM_OF_WAIT[row["wk"]]
    return _FORM_OF_KIND.get(kind)


class History:
    """The recorded rows of a session, consumed call by call.

    Only the rows that decide are kept: the first of a call (what was called) and the last two (how far it came).
    Rows of versions have no place among the calls: code may ask for a version where it did not before, and stop asking.
    """

    def __init__(self, ancestry: Ancestry | None = None) -> None:
        self.ancestry = ancestry or Ancestry("")
        self._calls: dict[tuple[str, int], tuple[Row, Row, Row, int]] = {}
        self._left: dict[str, int] = {}
        self._played = 0
        self._retries: dict[tuple[str, int], Row] = {}
        self._versions: dict[str, Row] = {}
        self.rows = 0

    def add(self, row: Row) -> None:
        """Take the next row, in the journal's order."""
        self.rows += 1
        if row["lane"].startswith(VERSIONS):
            self._versions[row["lane"]] = row
            return
        key = (row["lane"], row["ord"])
        known = self._calls.get(key)
        if row["kind"] == Kind.RETRY:
            self._retries[key] = row
        if known is None:
            self._left[row["lane"]] = self._left.get(row["lane"], 0) + 1
            if (seq := row.get("seq")) is not None:
                self.ancestry.add(*key, seq)
            self._calls[key] = (row, row, row, self.rows)
        else:
            self._calls[key] = (known[0], known[2], row, self.rows)

    def __len__(self) -> int:
        """Calls not yet consumed."""
        return len(self._calls)

    def next(self, call: Call) -> Decision:
        """Consume the record of `call`, if there is one, and decide."""
        known = self.take(call.lane, call.ordinal)
        if known is None:
            return Run()
        first, before, last, position = known
        if reason := difference(first, call):
            return Diverged(first, reason)
        match last["kind"]:
            case Kind.ACTIVITY | Kind.MARKER | Kind.SYSTEM:
                return Replay(last, position)
            case Kind.STARTED if last.get("amo"):
                return Interrupted(last)
            case Kind.STARTED:
                return Run(last["att"], again=True, retried=self._retries.get((call.lane, call.ordinal)))
            case Kind.RETRY | Kind.WAIT:
                return Wait(last)
            case Kind.RESOLVED:
                return Resolved(last, waited=before)
            case Kind.ORDER:
                return Resolved(before, waited=first, position=position)
        raise AssertionError(f"no decision for {last}")

    def version(self, name: str) -> Row | None:
        """The row that says which branch the session took where it first asked for this version."""
        return self._versions.get(VERSIONS + name)

    def end(self) -> Diverged | None:
        """The code has ended: nothing may be left."""
        first = self.first_left()
        return Diverged(first, "the code ended, but the journal goes on") if first else None

    def first_left(self) -> Row | None:
        """The first row of the first call that is not consumed."""
        return next((first for first, *_ in self._calls.values()), None)

    def left(self, lane: str) -> int:
        """Calls of a lane that are not consumed yet."""
        return self._left.get(lane, 0)

    def take(self, lane: str, ordinal: int) -> tuple[Row, Row, Row, int] | None:
        """The first, the last but one and the last row of something that is no call of user code, and the place of the
        last.
        """
        known = self._calls.pop((lane, ordinal), None)
        if known is not None:
            self._left[lane] -= 1
            if self.ancestry.shares:
                self.ancestry.taken(lane, ordinal)
        return known

    def in_order(self, position: int) -> bool:
        """Take the row at this place as played. False: user code has played a later one before it."""
        ascends = position > self._played
        self._played = max(self._played, position)
        return ascends


def difference(recorded: Row, call: Call) -> str:
    """Why `call` is not the recorded one, in a few words; empty when it is."""
    form = form_of(recorded)
    if form is Form.SYSTEM and recorded.get("err") and call.form in WAITING:
        form = call.form  # it was refused before it began, because the session was being stopped
    if form is not call.form:
        return f"a {form.value if form else 'wait'} is recorded, the code makes a {call.form.value} call"
    if recorded.get("fn", "") != call.function:
        return "another function is called"
    if recorded.get("dig", "") != call.digest:
        return "the arguments differ"
    return ""

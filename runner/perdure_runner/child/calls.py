"""The session's calls and its journal: naming a call, deciding about it, writing its rows, leaving.

This is the only part of the runner that turns decisions of `replay` into frames of `link`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import perdure

from perdure_runner.child import divergence
from perdure_runner.child.collecting import Collector
from perdure_runner.child.effects import given as effects
from perdure_runner.child.kept import standing
from perdure_runner.child.lanes.clock import Clock
from perdure_runner.child.lanes.lanes import Lane, Lanes
from perdure_runner.child.lanes.pending import Key, Pending
from perdure_runner.child.lanes.scheduler import Scheduler
from perdure_runner.child.link import Link
from perdure_runner.child.patching.sites import SiteInfo
from perdure_runner.child.replay import (
    VERSIONS,
    Call,
    Decision,
    Diverged,
    Form,
    History,
    How,
    Interrupted,
    Kind,
    Replay,
    Resolved,
    Row,
    Run,
    Wait,
    WaitKind,
)
from perdure_runner.child.stopping import Stop
from perdure_runner.child.values import codec
from perdure_runner.child.values.references import Handles, References

time_ns = time.time_ns
"""The clock of journal rows: the real one, kept before the session's clock takes its place."""
_FIRST_ROW = {
    Form.ACTIVITY: Kind.STARTED,
    Form.MARKER: Kind.MARKER,
    Form.SYSTEM: Kind.SYSTEM,
    Form.TIMER: Kind.WAIT,
    Form.SIGNAL: Kind.WAIT,
    Form.EVENT: Kind.WAIT,
    Form.REQUEST: Kind.WAIT,
}
_RACE = (
    "P0407: threads or tasks came in another order than they did, because they race or wait for what is not recorded"
)
_NEW: Final = Run()
_AT_ONCE: Final = frozenset({Form.MARKER, Form.SYSTEM})
"""Forms of calls that user code has the outcome of before anything else happens."""

Debug = Callable[[BaseException | None], None]
"""A debugger: called where a read-only replay stops, with the exception that stopped it, if one did."""


@dataclass(frozen=True, slots=True)
class About:
    """How the session is run."""

    replay_only: bool = False
    debug: Debug | None = None
    """Called before a read-only replay leaves, or a session that diverges does."""


class Calls:
    """The calls of one session, in all its lanes."""

    def __init__(
        self, about: About, link: Link, history: History, values: codec.Codec, lanes: Lanes, begin_us: int = 0
    ) -> None:
        """`begin_us`: when the session was created: its clock begins there."""
        self._about = about
        self._history = history
        self._live_said = False
        self.link = link
        self.link.macs = values.macs
        self.values = values
        self.lanes = lanes
        self.references: Handles | None = None
        """Who names live objects in outcomes; nobody by default."""
        self.refusal = ""
        """While not empty, no call may begin, and this says why: code runs again that must have no effects."""
        self.clock = Clock(history, begin_us, self._await_clock)
        self.scheduler = Scheduler(lanes, link, self, self.clock)
        self.stop = Stop(link, lanes)
        self.decided: Decision = Run()
        """What was decided last, about the call of the lane that runs."""
        self.replaying = len(history) > 0
        """The code still does what it has done before."""
        self.versions: dict[str, int] = {}
        """The branches that the session has taken, by name: what it was told once is true for all of its life."""
        self.ordinal = 0
        """Calls that have begun, of all lanes."""
        self.collector = Collector(lanes.is_free)

    # ---- deciding

    def begin(
        self,
        form: Form,
        function: str,
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        fingerprint: bytes | None = None,
    ) -> tuple[Call, Decision]:
        """Give the next call its place, and decide about it. fingerprint: of the arguments, if it is known already.

        Raises:
            perdure.ConcurrencyError: it is made where it has no place.
            perdure.HandleLost: it would be made a second time.
        """
        if self.refusal:
            raise perdure.HandleLost(f"{self.refusal}: it calls {function}")
        if self.ordinal >= self.collector.due:
            self.collector.step(self.ordinal, function)
        lane = self.lanes.calling(function)
        ordinal = self.place(lane, site)
        digest = (fingerprint or codec.fingerprint_call(args, kwargs)).hex()
        call = Call(lane.name, ordinal, form, function, digest, "", site)
        self.decided = decision = self._decide(call)
        if isinstance(decision, Diverged):
            call.args = codec.preview_call(args, kwargs)
            call.parts = divergence.described(args, kwargs) if decision.recorded else ()
            self._diverged(decision, call)
        return call, decision

    def goes_on(self) -> bool:
        """Is the next call new, as the one before it was, and may it begin without more ado?"""
        return self._live_said and self.ordinal < self.collector.due and not (self.refusal or self.link.stop_asked)

    def place(self, lane: Lane, site: SiteInfo | None) -> int:
        """Give the next call its place among all and in its lane; returns the latter."""
        self.ordinal = lane.begun = self.ordinal + 1
        lane.site = site
        lane.ordinal = ordinal = lane.ordinal + 1
        return ordinal

    def _decide(self, call: Call) -> Decision:
        if not len(self._history):  # nothing of the journal is left
            self.replaying = False
            return _NEW
        decision = self._history.next(call)
        if isinstance(decision, (Run, Wait, Interrupted)):
            if self._history.left(call.lane) or (len(self._history) and not self._may_lag(call, decision)):
                return Diverged(None, "this call is not in the journal, but later ones are")
            self.replaying = len(self._history) > 0
        elif isinstance(decision, Replay) and call.form in _AT_ONCE:
            self.played(decision.position)
        return decision

    def _may_lag(self, call: Call, decision: Decision) -> bool:
        """Other lanes may have gone on, as far as the journal knows, while this call had not begun or not ended."""
        return call.form is Form.ACTIVITY or isinstance(decision, Wait)

    def version(self, name: str, newest: int, site: SiteInfo | None) -> int:
        """Which branch of changed code the session takes; it takes no place among the calls of the lane.

        The journal says so where the session asked before. Else 0, if it has already gone on from here.
        """
        if (known := self.versions.get(name)) is not None:
            return known
        row = self._history.version(name)
        if row is not None:
            chosen = int(self.outcome(row))
        elif len(self._history):
            chosen = 0
        else:
            chosen = newest
            self._go_live()
            encoded = self.values.encode(chosen)
            digest = codec.fingerprint_call((name,), {}).hex()
            call = Call(VERSIONS + name, 1, Form.SYSTEM, "perdure.version", digest, repr(name), site)
            self.put(call, Kind.SYSTEM, payload_keys(encoded), encoded.data, keep_back=True)
        self.versions[name] = chosen
        return chosen

    def _go_live(self, call: Call | None = None) -> None:
        """Something new is about to happen: `call`, if it is one."""
        if self._live_said:
            return
        if self._about.replay_only:
            self.leave("replayed", **(_beyond(call) if call else {}))
        if len(self._history):
            self._diverged(Diverged(None, "this call is not in the journal, but later ones are"), call)
        self._live_said = True
        self.replaying = False
        self.link.say("live")

    def referring(
        self, call: Call, f: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> References | None:
        """Who names the live objects in the outcome of `call`, which is `f(*args, **kwargs)`."""
        return self.references and self.references.of(call.lane, call.ordinal, call.site, f, args, kwargs)

    def outcome(self, row: Row, refs: References | None = None) -> Any:
        """Return or raise a recorded outcome."""
        mac = bytes.fromhex(row.get("mac", ""))
        value = effects.settle(self.values.decode(row["enc"], row.get("data", b""), mac, refs or self.references))
        if not row.get("err"):
            self.clock.advance(row.get("at", 0))
            return value
        if not isinstance(value, BaseException):
            raise perdure.PayloadCorrupt("an outcome is marked as an error but holds none")
        if isinstance(value, perdure.Cancelled):
            self.lanes.hear_of_stop()
        self.clock.advance(row.get("at", 0))
        raise value

    def wait(self, call: Call, decision: Decision) -> Row:
        """Wait until the wait of this call has ended, in the journal or now. Returns the RESOLVED row.

        Raises:
            perdure.Cancelled: the session is being stopped.
        """
        if not self.scheduler.alone:
            return self.wait_among_others(call, decision, silent=call.form is Form.ACTIVITY)
        if isinstance(decision, Replay):
            self.played(decision.position)
            self.outcome(decision.row)
        if isinstance(decision, Resolved):
            row = decision.row
        else:
            self._go_live()
            self.scheduler.says_nothing()
            unless = _never if call.form is Form.REQUEST else self.stop.pending
            busy = self.scheduler.running_outside > 0
            found = self.link.wait_resolved(call.lane, call.ordinal, unless, busy=busy)
            if found is None:
                raise self.given_up(call)
            row = found
        return self.ended(row)

    def wait_among_others(self, call: Call, decision: Decision, *, silent: bool) -> Row:
        """The same where other threads may go on meanwhile."""
        pending = Pending(silent=silent, **pending_of(call, decision))
        strand = self.lanes.strand()
        assert strand is not None
        if strand is self.lanes.main and call.form is not Form.REQUEST:
            pending.on_stop = _nothing  # it is over then, and has no row
        self.scheduler.wait_for(strand, pending)
        if isinstance(decision, Replay):
            self.outcome(decision.row)
        if pending.row is None:
            raise self.given_up(call)
        return self.ended(pending.row)

    def given_up(self, call: Call) -> perdure.Cancelled:
        """The exception for a wait that user code leaves because it hears of a stop only now: the coordinator did not
        know of the wait when it sent the stop, and so does not end it. It is the outcome, but of an activity's delay.
        """
        error = self.stop.cancelled()
        if call.form is not Form.ACTIVITY:
            self.put_error(call, Kind.SYSTEM, error, time_ns())
        return error

    def ended(self, row: Row) -> Row:
        """A wait has ended as `row` says: what user code sees of it. Raises perdure.Cancelled."""
        self.clock.advance(row.get("at", 0))
        if row["how"] == How.CANCELLED:
            raise self.cancelled(row)
        return row

    def cancelled(self, row: Row) -> perdure.Cancelled:
        """The exception for a wait that ended, as `row` says, because the session is being stopped."""
        return self.stop.cancelled(str(self.values.decode_json(row["data"])) if row.get("data") else "")

    def refuse_if_stopping(self, call: Call, kind: Kind) -> None:
        """A new call of a session that was asked to stop: Cancelled is its outcome, once in each lane."""
        if self.stop.pending():
            error = self.stop.cancelled()
            self.put_error(call, kind, error, time_ns())
            raise error

    # ---- rows

    def put(self, call: Call, kind: Kind, more: Row, payload: bytes = b"", **how: bool) -> int:
        """Send a row of `call`; `how` is passed to `Link.record`. Returns the record's number."""
        self._go_live(call)
        row = call.own_keys(kind)
        row["at"] = at = time_ns() // 1000
        row.update(more)
        number = self.link.record(row, payload, standing=standing(call.lane, call.function, call.site), **how)
        if kind is not Kind.STARTED:
            self.link.must_no = number
            if kind is Kind.ACTIVITY:
                self.clock.advance(at)
        return number

    def put_outcome(self, call: Call, kind: Kind, encoded: codec.Encoded, began_ns: int, **more: int) -> None:
        """Send the outcome of `call`. Markers travel with the next row; everything else goes out at once."""
        marker = kind is Kind.MARKER
        row = payload_keys(encoded)
        row["dur"] = max(0, time_ns() - began_ns) // 1000  # the machine's clock may be set back
        row.update(more)
        self.put(call, kind, row, encoded.data, sync=not marker, keep_back=marker)

    def put_error(self, call: Call, kind: Kind, error: BaseException, began_ns: int, **more: int) -> None:
        """Send an exception as the outcome of `call`."""
        self.put_outcome(call, kind, self.values.encode_error(error, self.references), began_ns, err=1, **more)

    def start(self, call: Call, attempt: int, *, at_most_once: bool) -> None:
        """Journal that an attempt begins, and return when the output commit allows it to.

        That somebody else may have the session by now is found out by having the attempt's own row committed, too.
        """
        self.link.settle()
        earlier, sure = self.link.must_no, self.link.sure and not at_most_once
        more: Row = {"att": attempt, "amo": 1} if at_most_once else {"att": attempt}
        own = self.put(call, Kind.STARTED, more, sync=not sure or self.link.synced < earlier)
        self.link.wait_acked(earlier if sure else own)

    # ---- scheduler.Journal

    def left(self) -> int:
        """Recorded calls that user code has not made yet."""
        return len(self._history)

    def played(self, position: int) -> None:
        """User code has come to the row at this place: all that it has come to before stand before it."""
        if not self._history.in_order(position):
            self._raced()

    def live(self) -> None:
        """Something new is about to happen."""
        self._go_live()

    def is_live(self) -> bool:
        """Has something new happened since this process began, or was there no history?"""
        return self._live_said or not self._history.rows

    def order(self, key: Key) -> None:
        """Say in the journal that user code goes on because this wait has ended."""
        row: Row = {"lane": key[0], "ord": key[1], "kind": int(Kind.ORDER), "at": time_ns() // 1000}
        self.link.must_no = self.link.record(row, keep_back=True)

    def may_start(self) -> bool:
        """Is all durable that must be before something outside begins? Or has nobody asked for it yet?"""
        return not self.link.owes() or self.link.synced < self.link.must_no

    def stopping(self) -> bool:
        """Was the session asked to stop?"""
        return self.stop.asked

    def stops(self) -> bool:
        """Was the session asked to stop, and has the main lane not heard of it?"""
        return self.stop.asked and not self.lanes.main.lane.stopped

    def stuck(self) -> NoReturn:
        """All lanes wait, and none for what the journal says came next."""
        first = self._history.first_left()
        waiting = ", ".join(sorted(f"{lane.name} at {lane.place()}" for lane in self.lanes.known() if lane.place()))
        self._diverged(Diverged(first, f"{_RACE}; now they stand at: {waiting}"), None)

    def _raced(self) -> NoReturn:
        lane = self.lanes.current()
        reason = f"{_RACE}; lane {lane.name} at {lane.place()} comes later than it did"
        self._diverged(Diverged(None, reason), None)

    def _await_clock(self, key: Key, due_us: int) -> None:
        row: Row = {"lane": key[0], "ord": key[1], "kind": int(Kind.WAIT), "fn": "timers", "at": time_ns() // 1000}
        self.link.must_no = self.link.record(row | {"wk": int(WaitKind.TIMER), "fires": due_us}, sync=True)

    # ---- the end

    def end(self) -> None:
        """User code has ended: so must the journal, and no other thread may have failed unseen."""
        if self.lanes.failure:
            raise self.lanes.failure
        if left := self._history.end():
            self._diverged(left, None)

    def failed_early(self) -> Row:
        """For a read-only replay whose code has failed: what of the journal it has not come to, as keys of `done`."""
        left = self._history.end() if self._about.replay_only else None
        if left is None or left.recorded is None:
            return {}
        recorded = {key: value for key, value in left.recorded.items() if key != "data"}
        return {"div": {"recorded": recorded, "called": None, "reason": "the code fails before it comes here"}}

    def _diverged(self, difference: Diverged, call: Call | None) -> NoReturn:
        """Stop before anything happens outside: no line of user code runs any more, not even a `finally`."""
        recorded = difference.recorded and {k: v for k, v in difference.recorded.items() if k != "data"}
        called = call and call.row(_FIRST_ROW[call.form])
        self.leave("diverged", div={"recorded": recorded, "called": called, "reason": difference.reason})

    def leave(self, state: str, **fields: Any) -> NoReturn:
        """Say how the session stands, and end this process at once."""
        if self._about.debug:
            self._about.debug(None)
        self.link.done({"state": state, **fields})
        os._exit(0)


def _never() -> bool:
    return False


def _nothing() -> None:
    """What waits at the coordinator is not to be ended here."""


def _beyond(call: Call) -> Row:
    """What a read-only replay says of the first call that the journal does not have: whether it may have come to an
    end there, the coordinator knows.
    """
    reason = "the session had ended here"
    return {"div": {"recorded": None, "called": call.row(_FIRST_ROW[call.form]), "reason": reason}}


def pending_of(call: Call, decision: Decision) -> dict[str, Any]:
    """What of `Pending` the wait of `call` is, as far as the journal knows."""
    match decision:
        case Replay(_, position):
            return {"position": position}
        case Resolved(row, _, position):
            return {"key": (call.lane, call.ordinal), "row": row, "position": position}
    return {"key": (call.lane, call.ordinal)}


def payload_keys(encoded: codec.Encoded) -> Row:
    """The keys of a row that describe its payload."""
    return {
        "enc": encoded.encoding,
        "mac": encoded.mac.hex(),
        "pv": encoded.preview,
        "size": len(encoded.data),
    }

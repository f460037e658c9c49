"""The session's calls and its journal: naming a call, deciding about it, writing its rows, leaving.

This is the only part of the runner that turns decisions of `replay` into frames of `link`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import perdure

from perdure_runner.child import codec, divergence, effects
from perdure_runner.child.lanes import Lanes
from perdure_runner.child.link import Link
from perdure_runner.child.references import Handles, References
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
    Resolved,
    Row,
    Run,
    Wait,
)
from perdure_runner.child.sites import SiteInfo
from perdure_runner.child.stopping import Stop

MAIN = "main"
time_ns = time.time_ns
"""The clock of journal rows: the real one, kept before the session's clock takes its place."""
_FIRST_ROW = {
    Form.ACTIVITY: Kind.STARTED,
    Form.MARKER: Kind.MARKER,
    Form.SYSTEM: Kind.SYSTEM,
    Form.TIMER: Kind.WAIT,
    Form.SIGNAL: Kind.WAIT,
}


Debug = Callable[[BaseException | None], None]
"""A debugger: called where a read-only replay stops, with the exception that stopped it, if one did."""


@dataclass(frozen=True, slots=True)
class About:
    """What must be known of the session."""

    session_id: str
    replay_only: bool = False
    debug: Debug | None = None
    """Called before a read-only replay leaves, or a session that diverges does."""


class Calls:
    """The calls of one session, in one lane."""

    def __init__(self, about: About, link: Link, history: History, values: codec.Codec, lanes: Lanes) -> None:
        self._about = about
        self._history = history
        self._last_row_no = 0
        self._live_said = False
        self.link = link
        self.values = values
        self.lanes = lanes
        self.references: Handles | None = None
        """Who names live objects in outcomes; nobody by default."""
        self.refusal = ""
        """While not empty, no call may begin, and this says why: code runs again that must have no effects."""
        self.stop = Stop(link)
        self.replaying = len(history) > 0
        """The code still does what it has done before."""
        self.versions: dict[str, int] = {}
        """The branches that the session has taken, by name: what it was told once is true for all of its life."""
        self.ordinal = 0
        """Calls of the main lane that have begun."""

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
        self.lanes.check(function)
        self.ordinal += 1
        digest = (fingerprint or codec.fingerprint_call(args, kwargs)).hex()
        call = Call(MAIN, self.ordinal, form, function, digest, "", site)
        decision = self._decide(call)
        if isinstance(decision, Diverged):
            described = divergence.described(args, kwargs) if decision.recorded else ()
            self._diverged(decision, replace(call, args=codec.preview_call(args, kwargs), parts=described))
        return call, decision

    def _decide(self, call: Call) -> Decision:
        decision = self._history.next(call)
        if isinstance(decision, (Run, Wait, Interrupted)):
            if len(self._history):
                return Diverged(None, "this call is not in the journal, but later ones are")
            self.replaying = False
        return decision

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
        if self._about.replay_only:
            self.leave("replayed", **(_beyond(call) if call else {}))
        if not self._live_said:
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
            return value
        if not isinstance(value, BaseException):
            raise perdure.PayloadCorrupt("an outcome is marked as an error but holds none")
        if isinstance(value, perdure.Cancelled):
            self.stop.delivered = True
        raise value

    def wait(self, call: Call, decision: Decision) -> Row:
        """Wait until the wait of this call has ended, in the journal or now. Returns the RESOLVED row.

        Raises:
            perdure.Cancelled: the session is being stopped.
        """
        if isinstance(decision, Resolved):
            row = decision.row
        else:
            self._go_live()
            row = self.link.wait_resolved(call.lane, call.ordinal)
        if row["how"] == How.CANCELLED:
            raise self.stop.cancelled(str(self.values.decode_json(row["data"])) if row.get("data") else "")
        return row

    def refuse_if_stopping(self, call: Call, kind: Kind) -> None:
        """A new call of a session that was asked to stop: Cancelled is its outcome, once."""
        if self.stop.pending():
            self.link.poll()
            error = self.stop.cancelled()
            self.put_error(call, kind, error, time_ns())
            raise error

    # ---- rows

    def put(self, call: Call, kind: Kind, more: Row, payload: bytes = b"", **how: bool) -> int:
        """Send a row of `call`; `how` is passed to `Link.record`. Returns the record's number."""
        self._go_live(call)
        row = call.row(kind)
        row["at"] = time_ns() // 1000
        row.update(more)
        self._last_row_no = self.link.record(row, payload, **how)
        return self._last_row_no

    def put_outcome(self, call: Call, kind: Kind, encoded: codec.Encoded, began_ns: int, **more: int) -> None:
        """Send the outcome of `call`. Markers travel with the next row; everything else goes out at once."""
        marker = kind is Kind.MARKER
        row = payload_keys(encoded) | {"dur": (time_ns() - began_ns) // 1000} | more
        self.put(call, kind, row, encoded.data, sync=not marker, keep_back=marker)

    def put_error(self, call: Call, kind: Kind, error: BaseException, began_ns: int, **more: int) -> None:
        """Send an exception as the outcome of `call`."""
        self.put_outcome(call, kind, self.values.encode_error(error, self.references), began_ns, err=1, **more)

    def start(self, call: Call, attempt: int, *, at_most_once: bool) -> None:
        """Journal that an attempt begins, and return when the output commit allows it to."""
        earlier = self._last_row_no
        more: Row = {"att": attempt, "amo": 1} if at_most_once else {"att": attempt}
        own = self.put(call, Kind.STARTED, more, sync=at_most_once or self.link.synced < earlier)
        self.link.wait_acked(own if at_most_once else earlier)

    # ---- the end

    def end(self) -> None:
        """User code has ended: so must the journal, and no other thread may have failed unseen."""
        if self.lanes.failure:
            raise self.lanes.failure
        if left := self._history.end():
            self._diverged(left, None)

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


def _beyond(call: Call) -> Row:
    """What a read-only replay says of the first call that the journal does not have: whether it may have come to an
    end there, the coordinator knows.
    """
    reason = "the session had ended here"
    return {"div": {"recorded": None, "called": call.row(_FIRST_ROW[call.form]), "reason": reason}}


def payload_keys(encoded: codec.Encoded) -> Row:
    """The keys of a row that describe its payload."""
    return {
        "enc": encoded.encoding,
        "mac": encoded.mac.hex(),
        "pv": encoded.preview,
        "size": len(encoded.data),
    }

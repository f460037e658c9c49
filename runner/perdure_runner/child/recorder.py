"""Where user code's external calls become journal rows: the router behind every call site.

A call is named by its lane and ordinal, compared with the journal (`replay.History`), and then replayed, run, waited
for or refused. Running obeys the output commit: no external effect starts while an earlier row is not durable.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import os
import signal
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import perdure
from perdure import _runtime
from perdure_runner.child import attempts, codec, lanes
from perdure_runner.child.link import Link
from perdure_runner.child.policy import Policy, Verdict
from perdure_runner.child.replay import (
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
from perdure_runner.child.rules import Rules
from perdure_runner.child.sites import SiteInfo

MAIN = "main"
_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
"""Types whose values need no copy: user code may get the very object that the activity returned."""
_time_ns = time.time_ns
_get_ident = threading.get_ident


@dataclasses.dataclass(frozen=True, slots=True)
class Start:
    """What the recorder must know of the session."""

    session_id: str
    replay_only: bool = False
    debug: Callable[[], None] | None = None
    """Called instead of leaving when a read-only replay ends or diverges (a debugger)."""


class Recorder:
    """Implements `sites.Router` for the call sites and `perdure._runtime.Runtime` for the SDK."""

    def __init__(
        self, start: Start, link: Link, history: History, values: codec.Codec, policy: Policy, rules: Rules
    ) -> None:
        self._start = start
        self._link = link
        self._history = history
        self._values = values
        self._policy = policy
        self._rules = rules
        self._main_thread = _get_ident()
        self._replaying = len(history) > 0
        self._live_said = False
        self._last_row_no = 0
        self._stop_seen = False
        self._stop_delivered = False
        self._interruptible = False
        self.lanes = lanes.Lanes(self._main_thread)
        self.ordinal = 0
        """Calls of the main lane that have begun."""
        self.activity_name = ""
        """The activity that runs now; empty outside one."""
        self.session_id = start.session_id
        link.on_suspend = lambda: None
        signal.signal(signal.SIGUSR1, self._on_stop_signal)

    # ---- sites.Router

    def direct(self) -> bool:
        """True where calls are not recorded: inside an activity, under `inhibit_activities`, in a library's thread."""
        return _runtime.inhibited() or self.lanes.is_free()

    def route(self, f: Callable[..., Any], verdict: Verdict, site: SiteInfo) -> Callable[..., Any]:
        """What to call instead of `f` at `site`."""
        if verdict is Verdict.MARKER:
            return functools.partial(self._marker, f, site)
        if inspect.iscoroutinefunction(f):
            return functools.partial(self._await_activity, f, site)
        return functools.partial(self._activity, f, site)

    # ---- activities

    def _activity(self, f: Callable[..., Any], site: SiteInfo | None, /, *args: Any, **kwargs: Any) -> Any:
        run = _Activity(self, f, site, args, kwargs)
        if run.begin():
            return run.replayed()
        while True:
            run.start()
            try:
                with self._inside(run), attempts.alarm(run.options.timeout, run.name):
                    value = f(*args, **kwargs)
            except BaseException as error:  # noqa: BLE001 - whatever user code or its libraries raise is an outcome
                if run.failed(error):
                    continue
                raise
            return run.succeeded(value)

    async def _await_activity(self, f: Callable[..., Any], site: SiteInfo | None, /, *args: Any, **kwargs: Any) -> Any:
        run = _Activity(self, f, site, args, kwargs)
        if run.begin():
            return run.replayed()
        while True:
            run.start()
            try:
                with self._inside(run):
                    value = await attempts.deadline(f(*args, **kwargs), run.options.timeout, run.name)
            except BaseException as error:  # noqa: BLE001 - as above
                if run.failed(error):
                    continue
                raise
            return run.succeeded(value)

    @contextmanager
    def _inside(self, run: _Activity) -> Iterator[None]:
        """The user's function runs: nothing in it is recorded, and a stop may interrupt it."""
        self.activity_name = run.name
        self._current_key = run.key
        try:
            with self.lanes.free():
                self._interruptible = True
                if self._stop_pending():
                    self._cancel()
                yield
                self._interruptible = False
        finally:
            self._interruptible = False
            self.activity_name = ""

    # ---- markers

    def _marker(self, f: Callable[..., Any], site: SiteInfo, /, *args: Any, **kwargs: Any) -> Any:
        return self.marker(self._policy.name(f), f, site, args, kwargs)

    def marker(
        self,
        name: str,
        f: Callable[..., Any],
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """A cheap nondeterministic value, `f(*args, **kwargs)`, recorded under `name` without waiting."""
        call = self._call(Form.MARKER, None, name, site, args, kwargs)
        match self._decide(call):
            case Replay(row):
                return self._outcome(row)
            case Run():
                pass
            case other:
                raise AssertionError(other)
        self._deliver_stop(call, Kind.MARKER)
        began = _time_ns()
        try:
            with self.lanes.free():
                value = f(*args, **kwargs)
        except Exception as error:
            self._put_outcome(call, Kind.MARKER, self._values.encode_error(error), began, error=True, keep_back=True)
            raise
        encoded = self._values.encode(value)
        self._put_outcome(call, Kind.MARKER, encoded, began, keep_back=True)
        return value if type(value) in _PLAIN else self._values.decode(encoded.encoding, encoded.data, encoded.mac)

    # ---- perdure._runtime.Runtime

    def sleep(self, seconds: float) -> None:
        """A durable timer. Inside an activity: an ordinary sleep."""
        if self.direct():
            attempts.real_sleep(seconds)
            return
        call = self._call(Form.TIMER, None, "time.sleep", None, (seconds,), {})
        decision = self._decide(call)
        if isinstance(decision, Run):
            fires_at = _time_ns() // 1000 + round(seconds * 1e6)
            self._put(call, Kind.WAIT, {"wk": int(WaitKind.TIMER), "fires": fires_at}, sync=True)
        self._wait(call, decision)

    def next_signal(self, names: tuple[str, ...], timeout: float | None) -> perdure.Signal | None:
        """The next signal of one of these names; None when `timeout` seconds have passed without one."""
        if self.direct():
            raise perdure.Error("next_signal() cannot be called inside an activity")
        call = self._call(Form.SIGNAL, None, "perdure.next_signal", None, (*names, timeout), {})
        decision = self._decide(call)
        if isinstance(decision, Run):
            fires_at = 0 if timeout is None else _time_ns() // 1000 + round(timeout * 1e6)
            wait = {"wk": int(WaitKind.SIGNAL), "names": list(names), "fires": fires_at}
            self._put(call, Kind.WAIT, wait, sync=True)
        row = self._wait(call, decision)
        if row["how"] != How.SIGNALLED:
            return None
        payload = self._values.decode_json(row.get("data", b""))
        return perdure.Signal(row.get("name", ""), payload)

    def activity_key(self) -> str:
        """The idempotency key of the activity that runs now."""
        if not self.activity_name:
            raise RuntimeError("perdure.activity_key() has a meaning only inside an activity")
        return self._current_key

    def replaying(self) -> bool:
        """Whether what user code does now has been done before."""
        return self._replaying

    # ---- the end

    def end(self) -> None:
        """User code has returned or raised: the journal must have ended too, and no thread may have failed unseen."""
        if self.lanes.failure:
            raise self.lanes.failure
        if self._replaying and (left := self._history.end()):
            self._diverged(left, None)
        self._live()

    # ---- calls and decisions

    def _call(
        self,
        form: Form,
        f: Callable[..., Any] | None,
        function: str,
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Call:
        self.lanes.check(function)
        self.ordinal += 1
        site = site or self._site_of_caller()
        digest = codec.fingerprint_call(with_receiver(f, args), kwargs).hex()
        file, line, column = (site.file, site.line, site.column) if site else ("", 0, 0)
        source = site.source() if site else ""
        return Call(MAIN, self.ordinal, form, function, digest, "", file, line, column, source)

    def _decide(self, call: Call) -> Decision:
        decision = self._history.next(call)
        if isinstance(decision, Diverged):
            self._diverged(decision, call)
        if self._replaying and (isinstance(decision, (Run, Wait, Interrupted)) and not len(self._history)):
            self._live()
        if isinstance(decision, Run) and self._replaying:
            self._diverged(Diverged(None, "the journal has calls that the code did not make before this one"), call)
        if self._start.replay_only and isinstance(decision, (Run, Wait, Interrupted)):
            self._leave("replayed")
        return decision

    def _live(self) -> None:
        self._replaying = False
        if not self._live_said:
            self._live_said = True
            self._link.say("live")

    def _outcome(self, row: Row) -> Any:
        """Return or raise the recorded outcome."""
        value = self._values.decode(row["enc"], row.get("data", b""), bytes.fromhex(row.get("mac", "")))
        if not row.get("err"):
            return value
        if not isinstance(value, BaseException):
            raise perdure.PayloadCorrupt("an outcome is marked as an error but holds none")
        if isinstance(value, perdure.Cancelled):
            self._stop_delivered = True
        raise value

    # ---- waiting

    def _wait(self, call: Call, decision: Decision) -> Row:
        """Wait until the wait of this call has ended, in the journal or now."""
        row = decision.row if isinstance(decision, Resolved) else self._link.wait_resolved(call.lane, call.ordinal)
        if row["how"] == How.CANCELLED:
            self._stop_delivered = True
            raise perdure.Cancelled(self._link.stop_reason or "the session was stopped")
        return row

    # ---- stopping

    def _on_stop_signal(self, _number: int, _frame: types.FrameType | None) -> None:
        self._stop_seen = True
        if self._interruptible and not self._stop_delivered:
            self._interruptible = False
            self._cancel()

    def _stop_pending(self) -> bool:
        return (self._stop_seen or self._link.stop_reason is not None) and not self._stop_delivered

    def _cancel(self) -> NoReturn:
        self._stop_delivered = True
        raise perdure.Cancelled(self._link.stop_reason or "the session was stopped")

    def _deliver_stop(self, call: Call, kind: Kind) -> None:
        """A new call of a session that is being stopped: Cancelled is its outcome, once."""
        if self._stop_pending():
            self._link.poll()
            self._stop_delivered = True
            error = perdure.Cancelled(self._link.stop_reason or "the session was stopped")
            self._put_outcome(call, kind, self._values.encode_error(error), _time_ns(), error=True)
            raise error

    # ---- rows

    def _put(self, call: Call, kind: Kind, more: Row, payload: bytes = b"", **how: bool) -> int:
        row = call.row(kind)
        row["at"] = _time_ns() // 1000
        row.update(more)
        self._last_row_no = self._link.record(row, payload, **how)
        return self._last_row_no

    def _put_outcome(
        self,
        call: Call,
        kind: Kind,
        encoded: codec.Encoded,
        began_ns: int,
        *,
        error: bool = False,
        attempt: int = 0,
        keep_back: bool = False,
    ) -> None:
        more: Row = {"enc": encoded.encoding, "mac": encoded.mac.hex(), "pv": encoded.preview, "size": len(encoded.data)}
        more["dur"] = (_time_ns() - began_ns) // 1000
        if attempt:
            more["att"] = attempt
        if error:
            more["err"] = 1
        self._put(call, kind, more, encoded.data, sync=not keep_back, keep_back=keep_back)

    # ---- leaving

    def _diverged(self, difference: Diverged, call: Call | None) -> NoReturn:
        """Stop before anything happens outside: no line of user code runs any more, not even a `finally`."""
        recorded = difference.recorded and {k: v for k, v in difference.recorded.items() if k != "data"}
        called = None
        if call is not None:
            called = call.row(Kind.WAIT if call.form in {Form.TIMER, Form.SIGNAL} else _ROW_OF_FORM[call.form])
        self._leave("diverged", div={"recorded": recorded, "called": called, "reason": difference.reason})

    def _leave(self, state: str, **fields: Any) -> NoReturn:
        if self._start.debug:
            self._start.debug()
        self._link.done({"state": state, **fields})
        os._exit(0)


_ROW_OF_FORM = {Form.ACTIVITY: Kind.STARTED, Form.MARKER: Kind.MARKER, Form.SYSTEM: Kind.SYSTEM}


class _Activity:
    """One activity call, from the decision to its outcome."""

    def __init__(
        self,
        recorder: Recorder,
        f: Callable[..., Any],
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._r = recorder
        self._f = f
        self._args = with_receiver(f, args)
        self._kwargs = kwargs
        self.name = recorder._policy.name(f)
        self.options = recorder._rules.options(f, self.name)
        self.call = recorder._call(Form.ACTIVITY, f, self.name, site, args, kwargs)
        self.key = f"{recorder.session_id}-{self.call.ordinal}"
        self._attempt = 1
        self._row: Row = {}
        self._began = 0

    def begin(self) -> bool:
        """Compare with the journal. True: there is an outcome (`replayed`); False: it must run."""
        r = self._r
        match decision := r._decide(self.call):
            case Replay(row):
                self._row = row
                return True
            case Interrupted(row):
                self._describe()
                error = perdure.ActivityInterrupted(
                    f"{self.name} was running when its runner died; whether it took effect is unknown"
                )
                encoded = r._values.encode_error(error)
                r._put_outcome(self.call, Kind.ACTIVITY, encoded, _time_ns(), error=True, attempt=row["att"])
                raise error
            case Wait(row):
                self._after_delay(decision, row["att"])
            case Resolved(_, waited):
                self._after_delay(decision, waited["att"])
            case Run(attempt):
                self._attempt = attempt
        self._describe()
        r._deliver_stop(self.call, Kind.ACTIVITY)
        return False

    def replayed(self) -> Any:
        """The recorded outcome, returned or raised."""
        return self._r._outcome(self._row)

    def _describe(self) -> None:
        self.call = dataclasses.replace(self.call, args=codec.preview_call(self._args, self._kwargs))

    def _after_delay(self, decision: Decision, attempt: int) -> None:
        try:
            self._r._wait(self.call, decision)
        except perdure.Cancelled as error:
            self._describe()
            encoded = self._r._values.encode_error(error)
            self._r._put_outcome(self.call, Kind.ACTIVITY, encoded, _time_ns(), error=True, attempt=attempt)
            raise
        self._attempt = attempt + 1

    def start(self) -> None:
        """Journal the attempt, and wait until everything before it (or it too, if `at_most_once`) is durable."""
        r = self._r
        link = r._link
        earlier = r._last_row_no
        once = self.options.at_most_once
        more: Row = {"att": self._attempt}
        if once:
            more["amo"] = 1
        own = r._put(self.call, Kind.STARTED, more, sync=once or link.synced < earlier)
        link.wait_acked(own if once else earlier)
        self._began = _time_ns()

    def succeeded(self, value: Any) -> Any:
        """Record the value; returns what user code gets: the value as replay will give it."""
        r = self._r
        try:
            if codec.fingerprint_call(self._args, self._kwargs).hex() != self.call.digest:
                raise perdure.InPlaceChange(f"{self.name} changed one of its arguments in place")
            encoded = r._values.encode(value)
        except perdure.Error as error:
            encoded = r._values.encode_error(error)
            r._put_outcome(self.call, Kind.ACTIVITY, encoded, self._began, error=True, attempt=self._attempt)
            raise
        r._put_outcome(self.call, Kind.ACTIVITY, encoded, self._began, attempt=self._attempt)
        return value if type(value) in _PLAIN else r._values.decode(encoded.encoding, encoded.data, encoded.mac)

    def failed(self, error: BaseException) -> bool:
        """Record the failure. True: the policy allows another attempt, and its delay has passed."""
        r = self._r
        encoded = r._values.encode_error(error)
        retry = self.options.retry
        attempts_left = retry and (not retry.max_attempts or self._attempt < retry.max_attempts)
        if not (retry and attempts_left and retry.retries(error)):
            r._put_outcome(self.call, Kind.ACTIVITY, encoded, self._began, error=True, attempt=self._attempt)
            return False
        delay_s = retry.delay(self._attempt, attempts.jitter())
        fires_at = _time_ns() // 1000 + round(delay_s * 1e6)
        more: Row = {"att": self._attempt, "wk": int(WaitKind.TIMER), "fires": fires_at, "err": 1}
        more |= {"enc": encoded.encoding, "mac": encoded.mac.hex(), "pv": encoded.preview, "size": len(encoded.data)}
        r._put(self.call, Kind.RETRY, more, encoded.data, sync=True)
        self._after_delay(Wait({}), self._attempt)
        return True


def with_receiver(f: Callable[..., Any] | None, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments together with the object that `f` is a bound method of (modules and classes do not count)."""
    if type(f) not in _BOUND:
        return args
    receiver = f.__self__  # type: ignore[union-attr]  # the types of _BOUND have it
    return args if issubclass(type(receiver), _NO_RECEIVERS) else (receiver, *args)


_BOUND = frozenset({types.MethodType, types.BuiltinMethodType, types.MethodWrapperType})
_NO_RECEIVERS = (type, types.ModuleType, type(None))

"""One activity call, from the decision to its outcome."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any

import perdure
from perdure import ActivityOptions

from perdure_runner.child import attempts, divergence
from perdure_runner.child.calls import Calls, time_ns
from perdure_runner.child.effects.given import Given
from perdure_runner.child.outcomes import Outcomes
from perdure_runner.child.patching.sites import SiteInfo
from perdure_runner.child.replay import Decision, Form, Interrupted, Kind, Replay, Resolved, Row, Run, Wait, WaitKind
from perdure_runner.child.values import codec

_BOUND = frozenset({types.MethodType, types.BuiltinMethodType, types.MethodWrapperType})
_NO_RECEIVERS = (type, types.ModuleType, type(None))


class Activity:
    """Use: `if a.begin(): return a.replayed()`, then per attempt `start`, run it, `succeeded` or `failed`."""

    def __init__(
        self,
        calls: Calls,
        f: Callable[..., Any],
        name: str,
        options: ActivityOptions,
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self._calls = calls
        self._args = with_receiver(f, args)
        self._kwargs = kwargs
        self._options = options
        self._given = Given(self._args, kwargs, f)
        call, self._decision = calls.begin(Form.ACTIVITY, name, site, self._args, kwargs, self._given.digest)
        self._outcomes = Outcomes(calls, call, Kind.ACTIVITY, self._given, (f, args, kwargs))
        self._call = call
        self._attempt = 1
        self._began = 0

    @property
    def ordinal(self) -> int:
        """Which call of its lane it is."""
        return self._call.ordinal

    @property
    def attempt(self) -> int:
        """The number of the attempt that runs or is to run, from 1."""
        return self._attempt

    def begin(self) -> bool:
        """True: there is an outcome (`replayed`); False: it must run.

        Raises:
            perdure.ActivityInterrupted: it may have taken effect, and must not do so twice.
            perdure.Cancelled: the session is being stopped.
        """
        match self._decision:
            case Replay():
                return True
            case Interrupted(row):
                self._describe()
                error = perdure.ActivityInterrupted(
                    f"{self._call.function} was running when its runner died; whether it took effect is unknown"
                )
                self._calls.put_error(self._call, Kind.ACTIVITY, error, time_ns(), att=row["att"])
                raise error
            case Run(attempt, retried=row):
                self._attempt = attempt
                self._describe()
                self._given.watch()
                if row:
                    self._outcomes.resumed(row)
                self._calls.refuse_if_stopping(self._call, Kind.ACTIVITY)
            case Wait(row) | Resolved(_, row):
                self._describe()
                self._attempt = row["att"]
                self._given.watch()
                self._outcomes.resumed(row)
                self._await_delay(self._decision)
            case other:
                raise AssertionError(other)
        return False

    def replayed(self) -> Any:
        """The recorded outcome, returned or raised."""
        assert isinstance(self._decision, Replay)
        return self._outcomes.replayed(self._decision.row)

    def _describe(self) -> None:
        """The arguments' text is made only where a row will hold it."""
        self._call.args = codec.preview_call(self._args, self._kwargs)
        self._call.parts = divergence.journaled(self._call.args, self._args, self._kwargs)

    def _await_delay(self, decision: Decision) -> None:
        """Wait for the time of the next attempt."""
        try:
            self._calls.wait(self._call, decision)
        except perdure.Cancelled as error:
            self._outcomes.raised(error, time_ns(), att=self._attempt)
            raise
        self._attempt += 1

    def start(self) -> None:
        """Journal the attempt, as soon as it may begin."""
        self._calls.start(self._call, self._attempt, at_most_once=self._options.at_most_once)
        self._began = time_ns()

    def succeeded(self, value: Any) -> Any:
        """Record the value. Returns what user code gets: the value as replay will give it.

        Raises:
            perdure.UnrecordableValue, perdure.ValueTooLarge, perdure.InPlaceChange: recorded as the outcome instead.
        """
        return self._outcomes.returned(value, self._began, att=self._attempt)

    def failed(self, error: BaseException) -> bool:
        """Record the failure. True: the policy allows another attempt, and its delay has passed.

        Raises:
            perdure.InPlaceChange: the attempt changed an argument in a way that cannot be recorded; this is recorded.
        """
        retry = self._options.retry
        if not (retry and retry.allows(self._attempt) and retry.retries(error)):
            self._outcomes.raised(error, self._began, att=self._attempt)
            return False
        fires_at = time_ns() // 1000 + round(retry.delay(self._attempt, attempts.jitter()) * 1e6)
        more: Row = {"att": self._attempt, "wk": int(WaitKind.TIMER), "fires": fires_at, "err": 1}
        self._outcomes.failed(error, self._began, more)
        self._await_delay(Wait(more))
        return True


def with_receiver(f: Callable[..., Any], args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments together with the object that `f` is a bound method of (modules and classes do not count)."""
    if type(f) not in _BOUND:
        return args
    receiver = f.__self__  # type: ignore[attr-defined]  # the types of _BOUND have it
    return args if issubclass(type(receiver), _NO_RECEIVERS) else (receiver, *args)

"""Where user code's external calls arrive: the router behind every call site, and the runtime behind the SDK."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple, TypeVar

import perdure
from perdure import _runtime

from perdure_runner.child import attempts, turn
from perdure_runner.child.activity import Activity
from perdure_runner.child.ancestry import Ancestry
from perdure_runner.child.asking import Asking
from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.callers import Callers
from perdure_runner.child.calls import Calls
from perdure_runner.child.lanes.lanes import MAIN
from perdure_runner.child.lanes.loop import Loop
from perdure_runner.child.markers import Markers
from perdure_runner.child.patching.sites import SiteInfo
from perdure_runner.child.place import AFTER, Place
from perdure_runner.child.policy.policy import Policy, Verdict
from perdure_runner.child.policy.rules import Rules
from perdure_runner.child.turn import Patient

speaks_for_others(Calls.outcome)  # it raises what the journal says that the program got

Unwrap = Callable[[tuple[Any, ...], dict[str, Any]], tuple[tuple[Any, ...], dict[str, Any]]]
"""Arguments as user code gave them to arguments as the outside wants them."""


def _as_they_are(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


class Doing(NamedTuple):
    """An attempt of an activity that runs."""

    name: str
    session_id: str
    key: str
    attempt: int
    number: int
    """How many calls had begun, in all lanes, when this one had."""


_getframe = sys._getframe  # noqa: SLF001 - kept: programs put others in its place
_inhibited = _runtime.inhibit.get
_doing: ContextVar[Doing | None] = ContextVar("perdure_activity", default=None)
A = TypeVar("A", bound=Activity)


class Recorder(Asking):
    """Implements `sites.Router` for the call sites and `perdure._runtime.Runtime` for the SDK."""

    def __init__(self, ancestry: Ancestry, calls: Calls, policy: Policy, rules: Rules, callers: Callers) -> None:
        super().__init__(calls, callers)
        self._ancestry = ancestry
        self._policy = policy
        self._rules = rules
        self._here = calls.lanes.here
        self._running: dict[int, Doing] = {}
        self.marker = Markers(calls, callers).make
        """A cheap nondeterministic value, recorded without waiting; where calls are not recorded, it is not."""
        self.end_lines: Callable[[], None] = lambda: None
        """Called after each attempt of an activity: its lines end with it, for replay will not make its part of one."""
        self.unwrap: Unwrap = _as_they_are
        """What the arguments are replaced by right before the activity really runs."""
        self._last_activity = 0, ""

    def place(self) -> Place:
        """Where user code is, for its output."""
        if doing := self._doing():
            return Place(doing.number, doing.attempt, doing.name)
        ordinal, (last, name) = self._calls.ordinal, self._last_activity
        if ordinal != last:
            return Place(ordinal)
        strand = self._here.strand
        if strand is not None and strand.depth > 0:  # its outcome is taken apart or rebuilt, and replay does only that
            return Place(ordinal, 1, name)
        return Place(ordinal, AFTER)

    def _doing(self) -> Doing | None:
        """The activity that the code that asks is a part of. For a library's own thread, the one that began last."""
        if (doing := _doing.get()) is not None:
            return doing
        if self._running and self._calls.lanes.strand() is None:
            return next(reversed(self._running.values()))
        return None

    @property
    def session_id(self) -> str:
        """The session's id, as the code that asks is to know it."""
        doing = self._doing()
        return self._ancestry.now() if doing is None else doing.session_id

    # ---- sites.Router

    def direct(self) -> bool:
        """True where calls are not recorded: inside an activity, under `inhibit_activities`, in a library's thread."""
        if self._calls.refusal:
            return False
        strand = self._here.strand
        return strand is None or strand.depth > 0 or _inhibited() > 0

    def route(self, f: Callable[..., Any], verdict: Verdict, site: SiteInfo) -> Callable[..., Any]:
        """What to call instead of `f` at `site`."""
        if verdict is Verdict.MARKER:
            return functools.partial(self._marker_at, f, site)
        if inspect.iscoroutinefunction(f):
            return functools.partial(self._await_activity, f, site)
        return functools.partial(self._run_activity, f, site)

    @speaks_for_others
    def _run_activity(self, f: Callable[..., Any], site: SiteInfo, /, *args: Any, **kwargs: Any) -> Any:
        return self.perform(self._policy.name(f), f, site, args, kwargs)

    @speaks_for_others
    async def _await_activity(self, f: Callable[..., Any], site: SiteInfo, /, *args: Any, **kwargs: Any) -> Any:
        return await self.perform_async(self._policy.name(f), f, site, args, kwargs)

    # ---- activities

    @speaks_for_others
    def perform(
        self,
        name: str,
        f: Callable[..., Any],
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """The activity `f(*args, **kwargs)`, called `name` in the journal unless the options say otherwise."""
        activity, options, name = self._activity(Activity, name, f, site, args, kwargs)
        turns = turn.turns_of_thread(self._calls)
        guard = self._calls.link.guard
        turns.await_first()
        if activity.begin():
            return activity.replayed()
        while True:
            activity.start()
            doing = self._describe(activity, name)
            try:
                with turns.outside(), self._inside(doing), attempts.alarm(options.timeout, name, guard):
                    args_now, kwargs_now = self.unwrap(args, kwargs)
                    value = f(*args_now, **kwargs_now)
            except BaseException as error:
                if activity.failed(error):
                    continue
                raise
            return activity.succeeded(value)

    @speaks_for_others
    async def perform_async(
        self,
        name: str,
        f: Callable[..., Any],
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """As `perform`, of a function whose result is awaited. It runs on the loop of `outside`."""
        activity, options, name = self._activity(Patient, name, f, site, args, kwargs)
        turns = turn.turns_of_task(self._calls)
        await turns.await_first()
        if turns.cancelled and not activity.is_replayed():
            activity.cancelled()
            raise asyncio.CancelledError
        if activity.begin():
            return activity.replayed()
        while True:
            await turns.await_delay(activity)
            activity.start()
            doing = self._describe(activity, name)

            async def attempt(doing: Doing = doing) -> Any:
                with self._inside(doing):
                    args_now, kwargs_now = self.unwrap(args, kwargs)
                    return await attempts.deadline(f(*args_now, **kwargs_now), options.timeout, name)

            try:
                value = await turns.run(attempt)
            except BaseException as error:
                if activity.failed(error):
                    continue
                raise
            return activity.succeeded(value)

    def _activity(
        self,
        kind: type[A],
        name: str,
        f: Callable[..., Any],
        site: SiteInfo | None,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> tuple[A, perdure.ActivityOptions, str]:
        options = self._rules.options(f, name)
        name = options.name or name
        activity = kind(self._calls, f, name, options, site or self._callers.site(_getframe()), args, kwargs)
        self._last_activity = self._calls.ordinal, name
        return activity, options, name

    def _describe(self, activity: Activity, name: str) -> Doing:
        lane = self._calls.lanes.current()
        session_id = self._ancestry.during(lane.name, activity.ordinal)
        key = f"{session_id}-{activity.ordinal}"
        if lane.name != MAIN:
            key = f"{session_id}-{lane.name}-{activity.ordinal}"
        return Doing(name, session_id, key, activity.attempt, lane.begun)

    @contextmanager
    def _inside(self, doing: Doing) -> Iterator[None]:
        """The activity's function runs: nothing in it is recorded, and a stop may interrupt it."""
        token = _doing.set(doing)
        self._running[doing.number] = doing
        try:
            try:
                with self._calls.lanes.free(), self._calls.stop.may_interrupt():
                    yield
            finally:
                self.end_lines()
        finally:
            self._running.pop(doing.number, None)
            _doing.reset(token)

    def _marker_at(self, f: Callable[..., Any], site: SiteInfo, /, *args: Any, **kwargs: Any) -> Any:
        return self.marker(self._policy.name(f), f, site, args, kwargs)

    # ---- perdure._runtime.Runtime

    def breathe(self) -> None:
        """Let other threads of user code go on."""
        if (strand := self._calls.lanes.strand()) is not None:
            self._calls.scheduler.breathe(strand)

    def sleeps_alone(self) -> bool:
        """Nothing but the end of its sleep can happen while the task that asks sleeps."""
        loop = asyncio.get_running_loop()
        return not isinstance(loop, Loop) or (self._calls.scheduler.alone and loop.at_rest())

    def new_loop(self) -> Loop:
        """An event loop for user code."""
        calls = self._calls
        return Loop(calls.scheduler, calls.lanes, calls.is_live, calls.cancelled)

    def version(self, name: str, newest: int) -> int:
        """Which branch of changed code the session takes; an activity, which is not replayed, may take the newest."""
        if self.direct():
            return self._calls.versions.get(name, newest)
        return self._calls.version(name, newest, self._callers.site(_getframe()))

    def activity_key(self) -> str:
        """The idempotency key of the activity that runs now."""
        doing = self._doing()
        if doing is None:
            raise perdure.NotInSession("activity_key() has a meaning only inside an activity")
        return doing.key

    def replaying(self) -> bool:
        """Whether what user code does now has been done before."""
        return self._calls.replaying

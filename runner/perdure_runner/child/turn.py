"""When a lane's call may go on: taking its turn among the lanes, from a thread or from a task.

In replay a call's outcome is due when the journal's row of it is; a new one may begin when the history is used up and
what was before it is durable. A session of one lane waits for nothing here.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import Any, Protocol

from perdure_runner.child.activity import Activity
from perdure_runner.child.calls import Calls, pending_of, time_ns
from perdure_runner.child.lanes.loop import Awaited, Loop
from perdure_runner.child.lanes.outside import outside
from perdure_runner.child.lanes.pending import Pending
from perdure_runner.child.replay import Call, Decision, Form, Interrupted, Kind, Replay, Resolved, Row

_getframe = sys._getframe  # noqa: SLF001 - kept: programs put others in its place

_IMPORTING = frozenset({"_find_and_load", "_load_unlocked"})


class Patient(Activity):
    """An activity whose delays are awaited by a task."""

    delay: Decision | None = None

    def _await_delay(self, decision: Decision) -> None:
        self.delay = decision

    def is_replayed(self) -> bool:
        """The journal has its outcome."""
        return isinstance(self._decision, Replay)

    def cancelled(self) -> None:
        """Its task was cancelled before it began: this is its outcome."""
        self._describe()
        self._outcomes.raised(asyncio.CancelledError(), time_ns(), att=self._attempt)

    def delayed(self) -> tuple[Call, Decision] | None:
        """What it has to wait for before the next attempt, once."""
        delay, self.delay = self.delay, None
        return (self._call, delay) if delay is not None else None

    def end_delay(self, row: Row) -> None:
        """The wait for the next attempt has ended in this way."""
        super()._await_delay(Resolved(row, row))


class _Alone:
    """There is one thread of user code, or it is inside an import and keeps the baton: there are no turns."""

    def await_first(self) -> None:
        """It is always its turn."""

    def outside(self) -> AbstractContextManager[None]:
        return _NOTHING


_NOTHING = nullcontext()
_ALONE = _Alone()


def turns_of_thread(calls: Calls) -> _Alone | Turns:
    """For the call that a thread makes."""
    return _ALONE if calls.scheduler.alone or _importing() else Turns(calls)


class Turns:
    """The turns of a call that one of several threads makes."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._strand = calls.lanes.strand()

    def await_first(self) -> None:
        """Return when its outcome is due or it may begin."""
        if (pending := _first(self._calls, Pending)) is not None:
            assert self._strand is not None
            self._calls.scheduler.wait_for(self._strand, pending)

    def outside(self) -> AbstractContextManager[None]:
        """Entered around what runs outside."""
        assert self._strand is not None
        return self._calls.scheduler.outside(self._strand)


class TurnsOfTask(Protocol):
    """The turns of a call that a task makes."""

    cancelled: bool

    async def await_first(self) -> None:
        """Return when its outcome is due, or it may begin."""

    async def await_delay(self, activity: Patient) -> None:
        """Return when the next attempt may begin."""

    async def wait(self, call: Call, decision: Decision) -> Row:
        """Await the end of what the coordinator ends. Returns the RESOLVED row.

        Raises:
            asyncio.CancelledError: the task was cancelled, which is recorded.
            perdure.Cancelled: the session is being stopped.
        """

    async def run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Await `work()`, outside."""


def turns_of_task(calls: Calls) -> TurnsOfTask:
    """For the task that runs."""
    loop = asyncio._get_running_loop()  # noqa: SLF001 - there may be none: coroutines can be driven by hand
    return _OnOurLoop(calls, loop) if isinstance(loop, Loop) else _Inline(calls)


class _OnOurLoop:
    def __init__(self, calls: Calls, loop: Loop) -> None:
        self._calls = calls
        self._loop = loop
        self.cancelled = False

    async def await_first(self) -> None:
        if (pending := _first(self._calls, Awaited)) is not None:
            await self._loop.until(pending)
            self.cancelled = pending.cancelled

    async def await_delay(self, activity: Patient) -> None:
        while (delay := activity.delayed()) is not None:
            call, decision = delay
            if isinstance(decision, Resolved):
                activity.end_delay(decision.row)
                continue
            pending = Awaited(key=(call.lane, call.ordinal), silent=True)
            await self._loop.until(pending)
            if pending.cancelled:
                activity.cancelled()
                raise asyncio.CancelledError
            assert pending.row is not None
            activity.end_delay(pending.row)

    async def wait(self, call: Call, decision: Decision) -> Row:
        pending = Awaited(**pending_of(call, decision))
        asked = call.form is Form.REQUEST
        if not asked:
            pending.on_stop = pending.stop
        await self._loop.until(pending, pending.cancel if asked else None)  # what is asked for is done in any case
        if isinstance(decision, Replay):
            self._calls.outcome(decision.row)
        if pending.stopped:
            raise self._calls.given_up(call)
        if pending.cancelled and not asked:
            error = asyncio.CancelledError()
            self._calls.put_error(call, Kind.SYSTEM, error, time_ns())
            raise error
        assert pending.row is not None
        row = self._calls.ended(pending.row)
        if pending.cancelled:
            raise asyncio.CancelledError
        return row

    async def run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        pending = Awaited(outside=True)
        scheduler = self._calls.scheduler
        scheduler.started()
        job = outside.submit(work, copy_context(), lambda: scheduler.finished(pending))

        def stop() -> None:
            pending.stop()
            job.cancel()

        pending.on_stop = stop
        await self._loop.until(pending, job.cancel)
        if pending.stopped:
            raise self._calls.stop.cancelled()
        return job.result()


class _Inline:
    """The loop is not ours, or there is none: one task's calls can be recorded, one after the other."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.cancelled = False

    async def await_first(self) -> None:
        """There are no others."""

    async def await_delay(self, activity: Patient) -> None:
        while (delay := activity.delayed()) is not None:
            Activity._await_delay(activity, delay[1])  # noqa: SLF001 - its own, without our patience

    async def wait(self, call: Call, decision: Decision) -> Row:
        return self._calls.wait(call, decision)

    async def run(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        return await work()


def _first(calls: Calls, kind: type[Any]) -> Any:
    """What the call that was just decided about has to wait for; None: nothing."""
    decision = calls.decided
    if isinstance(decision, Replay):
        return kind(position=decision.position)
    speaks = isinstance(decision, Interrupted) or calls.stop.pending()
    if not speaks and not calls.left() and not calls.link.owes():
        return None
    pending = kind(starts=True)
    pending.speaks = speaks
    return pending


def _importing() -> bool:
    """A module is being imported: its lock must not be left to other lanes."""
    frame = _getframe(2)
    while frame is not None:
        if frame.f_code.co_name in _IMPORTING and frame.f_code.co_filename == "<frozen importlib._bootstrap>":
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False

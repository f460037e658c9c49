"""The event loop of user code: asyncio's own, without a selector. Its tasks are lanes, its time is the session's clock.

Callbacks run first in, first out. When there are none, the strand waits at the idle point, and what is delivered there
is the only thing that comes from outside.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from contextvars import Context
from typing import Any, Final

from perdure_runner.child.lanes.lanes import Lanes, Strand
from perdure_runner.child.lanes.ordered import Future, Task
from perdure_runner.child.lanes.pending import Pending, Waiting
from perdure_runner.child.lanes.scheduler import Scheduler
from perdure_runner.child.replay import Row

_MANY: Final = 100
"""Cancelled timers that are kept, at most, while they are fewer than half of all."""


class Awaited(Pending):
    """Something that a task awaits."""

    __slots__ = ("cancelled", "future", "stopped")

    def __init__(self, **what: Any) -> None:
        super().__init__(**what)
        self.future: asyncio.Future[None] | None = None
        self.cancelled = False
        """Its task was cancelled before it had begun."""
        self.stopped = False
        """It was ended because the session is being stopped."""

    def cancel(self) -> None:
        """Its task was cancelled, but waits on."""
        self.cancelled = True

    def stop(self) -> None:
        """The session is being stopped: it is over."""
        self.stopped = True


class _Timer(asyncio.TimerHandle):
    __slots__ = ("due_us",)
    due_us: int


class Loop(asyncio.BaseEventLoop):
    """An event loop of user code; it belongs to the strand that runs it."""

    perdure_lanes = True
    """Its tasks' calls can be recorded."""
    _ready: Any
    _scheduled: list[Any]
    _timer_cancelled_count: int

    def __init__(
        self, scheduler: Scheduler, lanes: Lanes, live: Callable[[], bool], cancel: Callable[[Row], BaseException]
    ) -> None:
        """
        Args:
            scheduler: where the strand waits.
            lanes: where tasks get their lanes.
            live: whether the session does new things.
            cancel: makes the exception for a stop.
        """
        super().__init__()
        self._clock_resolution = 1e-6
        self._scheduler = scheduler
        self._lanes = lanes
        self._live = live
        self._cancel = cancel
        self._waiting = Waiting()
        self._root: asyncio.Task[Any] | None = None
        self._tasks = 0

    # ---- what asyncio asks of a loop

    def time(self) -> float:
        """The session's clock, in seconds of Unix time."""
        return self._scheduler.clock.now_us / 1e6

    def call_at(  # type: ignore[override]  # typeshed ties the callback to its arguments
        self, when: float, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As asyncio's, with the time on the wall at which it is due."""
        self._check_closed()  # type: ignore[attr-defined]
        timer = _Timer(when, callback, args, self, context)
        timer.due_us = self._scheduler.clock.due_us(when, live=self._live())
        heapq.heappush(self._scheduled, timer)
        timer._scheduled = True  # type: ignore[attr-defined]  # noqa: SLF001 - the loop's own mark
        return timer

    call_at.__module__, call_at.__qualname__ = "asyncio.base_events", "BaseEventLoop.call_at"  # as call sites know it

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """As asyncio's; the task is a lane, a child of the one that creates it.

        The task that the loop is run for goes on in the lane of its strand: that one does nothing else meanwhile.
        """
        root = not self.is_running() and (self._root is None or self._root.done())
        lane = None if root else self._lanes.current().child()
        self._check_closed()  # type: ignore[attr-defined]
        factory = self.get_task_factory()
        task: asyncio.Task[Any] = super().create_task(coro, **options) if factory else Task(coro, loop=self, **options)
        if options.get("name") is None:
            self._tasks += 1
            task.set_name(f"Task-{self._tasks}")  # asyncio counts the tasks of all loops, those outside as well
        if lane is None:
            self._root = task
        else:
            self._lanes.give(task, lane)
        return task

    def create_future(self) -> asyncio.Future[Any]:
        """As asyncio's."""
        return Future(loop=self)

    def _run_once(self) -> None:
        ready = self._ready
        if not ready and not self._stopping:  # type: ignore[attr-defined]
            self._rest()
        elif not self._scheduler.alone:
            self._scheduler.breathe(self._strand())
        for _ in range(len(ready)):
            handle = ready.popleft()
            if not handle._cancelled:  # noqa: SLF001 - as the loop of asyncio does
                handle._run()  # noqa: SLF001
        handle = None  # a reference to it would keep what it holds

    def _process_events(self, event_list: list[Any]) -> None:
        """There is no selector."""

    def _write_to_self(self) -> None:
        """Another thread has called `call_soon_threadsafe`."""
        waits = self._waiting.strand
        if waits is None:
            return
        if self._scheduler.has_baton():
            self._scheduler.wake(waits)
        else:
            self._scheduler.wake_from_outside(waits)

    # ---- what comes from outside

    def at_rest(self) -> bool:
        """Nothing but the task that runs now can happen in this loop."""
        self._forget_cancelled()
        return not self._ready and not self._scheduled and not self._waiting.pendings

    async def until(self, awaited: Awaited, cancel: Callable[[], object] | None = None) -> None:
        """Wait until it is delivered, even if the task is cancelled meanwhile.

        `cancel` ends what runs outside. What has not begun never does, and is `cancelled`.
        """
        self._waiting.add(awaited)
        while not awaited.over:
            awaited.future = self.create_future()
            try:
                await awaited.future
            except asyncio.CancelledError:
                if awaited.over:
                    raise
                if cancel is not None:
                    cancel()
                elif awaited.position is None:
                    self._cancel_unbegun(awaited)

    def _cancel_unbegun(self, awaited: Awaited) -> None:
        if not awaited.cancelled:
            awaited.cancelled = True
            self._waiting.drop(awaited)
            awaited.over = awaited.starts = False
            awaited.key = None
            self._waiting.add(awaited)
            self._scheduler.started()
            self._scheduler.finished(awaited)

    def _strand(self) -> Strand:
        strand = self._lanes.strand()
        assert strand is not None
        return strand

    def _rest(self) -> None:
        self._forget_cancelled()
        waiting = self._waiting
        first = self._scheduled[0] if self._scheduled else None
        waiting.deadline, waiting.due_us = (first.when(), first.due_us) if first else (None, 0)
        for delivered in self._scheduler.park(self._strand(), waiting):
            if delivered is None:
                self._fire()
            elif isinstance(delivered, Awaited):
                assert delivered.future is not None
                if not delivered.future.done():
                    delivered.future.set_result(None)
            else:
                assert isinstance(delivered, dict)
                raise self._cancel(delivered)

    def _fire(self) -> None:
        end = self.time() + self._clock_resolution
        while self._scheduled and self._scheduled[0].when() < end:
            timer = heapq.heappop(self._scheduled)
            timer._scheduled = False  # noqa: SLF001
            self._ready.append(timer)

    def _forget_cancelled(self) -> None:
        if len(self._scheduled) > _MANY and 2 * self._timer_cancelled_count > len(self._scheduled):
            kept = [timer for timer in self._scheduled if not timer.cancelled()]
            heapq.heapify(kept)
            self._scheduled[:] = kept
            self._timer_cancelled_count = 0
        while self._scheduled and self._scheduled[0].cancelled():
            heapq.heappop(self._scheduled)._scheduled = False  # noqa: SLF001
            self._timer_cancelled_count -= 1

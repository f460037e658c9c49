"""Where external coroutines run: one event loop of asyncio's own, in one thread, for all of the session.

So clients that belong to a loop stay usable from call to call, and what one lane awaits holds up no other.
"""

from __future__ import annotations

import _thread
import asyncio
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any

Work = Callable[[], Coroutine[Any, Any, Any]]


class Job:
    """One coroutine outside."""

    def __init__(self, done: Callable[[], None]) -> None:
        self._done = done
        self._task: asyncio.Task[Any] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._outcome: tuple[Any, BaseException | None] = (None, None)

    def begin(self, loop: asyncio.AbstractEventLoop, work: Work, context: Context) -> None:
        """Start it; called in the loop's thread."""
        self._loop = loop
        self._task = loop.create_task(work(), name="perdure", context=context)
        self._task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """Ask it to end; called by another thread."""
        outside.loop().call_soon_threadsafe(lambda: self._task and self._task.cancel())

    def result(self) -> Any:
        """Return what it returned, or raise what it raised."""
        value, error = self._outcome
        if error is not None:
            raise error
        return value

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled():
            self._outcome = None, asyncio.CancelledError()
        else:
            error = task.exception()
            self._outcome = (None, error) if error is not None else (task.result(), None)
        self._done()


class Outside:
    """The thread, started when it is first needed."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop that runs in it."""
        if self._loop is None:
            self._loop = asyncio.SelectorEventLoop()
            _thread.start_new_thread(self._run, ())
        return self._loop

    def submit(self, work: Work, context: Context, done: Callable[[], None]) -> Job:
        """Run `work()` in a copy of the caller's context; `done` is called, there, when it has ended."""
        job = Job(done)
        loop = self.loop()
        loop.call_soon_threadsafe(job.begin, loop, work, context)
        return job

    def _run(self) -> None:
        assert self._loop is not None
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()


outside = Outside()
"""The process's: it has one session."""

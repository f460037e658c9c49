"""Which line of execution makes a call, and whether its calls are recorded at all.

There is one lane here, the main thread; calls from other threads of user code, or while several asyncio tasks are
alive, cannot be given a place in the journal that replay would find again. They are refused, loudly.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import perdure

_get_ident = threading.get_ident
_FREE = "_perdure_free"
_running_loop = asyncio._get_running_loop  # noqa: SLF001 - asyncio exports it for C code: no exception where there is none


class Lanes:
    """The session's threads and tasks: which are free (part of a running activity), which belong to a lane."""

    def __init__(self, main_thread: int) -> None:
        self._main = main_thread
        self._depth = 0
        self._free_tasks: weakref.WeakSet[asyncio.Task[Any]] = weakref.WeakSet()
        self.failure: perdure.ConcurrencyError | None = None
        """A call that was refused in another thread, where the error may have been lost."""

    @contextmanager
    def free(self) -> Iterator[None]:
        """The main lane runs an activity (or other code that is not recorded)."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def is_free(self) -> bool:
        """Whether the code that asks runs as a part of an activity, so that its calls are not recorded."""
        if _get_ident() != self._main:
            # a thread that no `Thread.start` of ours has seen was started by C code, for a library
            return bool(getattr(threading.current_thread(), _FREE, True))
        if self._depth:
            return True
        return bool(self._free_tasks) and (task := _current_task()) is not None and task in self._free_tasks

    def check(self, function: str) -> None:
        """Refuse a call that has no place in the journal.

        Raises:
            perdure.ConcurrencyError: it comes from another thread, or other tasks of user code are alive.
        """
        where = ""
        if _get_ident() != self._main:
            where = f"in thread {threading.current_thread().name!r}"
        elif _running_loop() is not None:
            others = [t for t in asyncio.all_tasks() if t not in self._free_tasks and t is not asyncio.current_task()]
            if others:
                where = f"while {len(others)} other asyncio task(s) of your code run"
        if where:
            error = perdure.ConcurrencyError(f"{function} was called {where}, which cannot be recorded yet")
            self.failure = self.failure or error
            raise error

    def watch(self, direct: Callable[[], bool]) -> None:
        """From now on, threads and tasks that are started where `direct()` holds belong to an activity."""
        start = threading.Thread.start
        create_task = asyncio.BaseEventLoop.create_task

        def start_marked(thread: threading.Thread) -> None:
            thread.__dict__[_FREE] = direct()
            start(thread)

        def create_marked(loop: asyncio.BaseEventLoop, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
            task = create_task(loop, *args, **kwargs)
            if direct():
                self._free_tasks.add(task)
            return task

        _replace(threading.Thread, "start", start_marked)
        _replace(asyncio.BaseEventLoop, "create_task", create_marked)


def _replace(owner: type, name: str, new: Callable[..., Any]) -> None:
    old = getattr(owner, name)
    new.__name__, new.__qualname__, new.__module__ = old.__name__, old.__qualname__, old.__module__
    new.__doc__ = old.__doc__
    setattr(owner, name, new)


def _current_task() -> asyncio.Task[Any] | None:
    return asyncio.current_task() if _running_loop() is not None else None

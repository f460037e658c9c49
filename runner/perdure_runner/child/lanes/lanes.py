"""Lanes: the lines of execution of user code that have calls of their own, and which of them makes the call at hand.

A lane is the main thread ("main"), or what another lane starts: the n-th thread or asyncio task that lane L starts is
"L.n". A thread of user code is a `Strand`: its lane, and what `scheduler` knows of it. The tasks of an event loop of
ours run in its strand, in lanes of their own. Every other thread belongs to an activity, or to a library.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final

import perdure

from perdure_runner.child.patching.sites import SiteInfo

MAIN: Final = "main"
_allocate_lock = threading.Lock  # before programs get others
_running_loop = asyncio._get_running_loop  # noqa: SLF001 - asyncio exports it for C code: no exception where there is none
_current_task = asyncio.current_task


class Lane:
    """One line of execution of user code."""

    __slots__ = ("__weakref__", "begun", "children", "name", "ordinal", "site", "stopped")

    def __init__(self, name: str, *, stopped: bool = False) -> None:
        self.name = name
        self.ordinal = 0
        """Calls of this lane that have begun."""
        self.children = 0
        self.begun = 0
        """How many calls had begun in all lanes when its last one did, that one included."""
        self.stopped = stopped
        """It has been told that the session is being stopped, or began after that."""
        self.site: SiteInfo | None = None
        """Where its last call stands in the source."""

    def place(self) -> str:
        """`file:line` of its last call; empty if it has made none."""
        return f"{self.site.file}:{self.site.line}" if self.site else ""

    def child(self) -> Lane:
        """A lane that this one starts."""
        self.children += 1
        return Lane(f"{self.name}.{self.children}", stopped=self.stopped)


class Strand:
    """A thread that runs user code."""

    __slots__ = ("away", "baton", "delivered", "depth", "finished", "granted", "lane", "thread", "waiting")

    def __init__(self, lane: Lane, thread: threading.Thread | None = None) -> None:
        self.lane = lane
        self.thread = thread
        self.depth = 0
        """How many activities and markers it is inside of: while there is one, it is free."""
        self.baton = _allocate_lock()
        """Released by who passes the baton on to this strand."""
        self.baton.acquire()
        self.granted = False
        """With the baton: user code of this strand goes on. Else it only looks after the idle point."""
        self.away = False
        """It runs something outside, without the baton."""
        self.waiting: Any = None
        self.delivered: list[Any] = []
        self.finished = False

    def __enter__(self) -> None:
        """It runs an activity (or other code that is not recorded)."""
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1


_FREE_ANYWAY: Final = nullcontext()


class _Here(threading.local):
    strand: Strand | None = None


class Lanes:
    """The session's strands, and where its calls come from."""

    def __init__(self) -> None:
        self.main = Strand(Lane(MAIN), threading.main_thread())
        self.here = _Here()
        """Has the strand of the thread that asks, as `strand` gives it."""
        self.here.strand = self.main
        self._strands: weakref.WeakSet[Lane] = weakref.WeakSet()
        self._tasks: weakref.WeakKeyDictionary[asyncio.Task[Any], Lane] = weakref.WeakKeyDictionary()
        self.failure: perdure.ConcurrencyError | None = None
        """A call that was refused, if the error may have been lost."""

    def give(self, task: asyncio.Task[Any], lane: Lane) -> None:
        """From now on `task` is that lane."""
        self._tasks[task] = lane

    def known(self) -> list[Lane]:
        """The lanes of tasks that are alive, and of strands that have not ended."""
        return [self.main.lane, *self._strands, *self._tasks.values()]

    def enter(self, strand: Strand) -> None:
        """This thread is that strand."""
        self.here.strand = strand
        self._strands.add(strand.lane)

    def strand(self) -> Strand | None:
        """The strand of this thread; None if it is none of user code's."""
        return self.here.strand

    def current(self) -> Lane:
        """The lane of user code that asks."""
        strand = self.here.strand
        assert strand is not None
        if _running_loop() is not None and (task := _current_task()) is not None:
            return self._tasks.get(task, strand.lane)
        return strand.lane

    def free(self) -> AbstractContextManager[None]:
        """Entered where this strand runs what is not recorded. Other threads are free anyway."""
        return self.here.strand or _FREE_ANYWAY

    def is_free(self) -> bool:
        """Whether the code that asks runs as a part of an activity, so that its calls are not recorded."""
        strand = self.here.strand
        return strand is None or strand.depth > 0

    def hear_of_stop(self) -> None:
        """The lane that asks is told that the session is being stopped, and so is the thread whose task it may be: what
        a task raises reaches the one that awaits it, whose cleanup may make calls.
        """
        strand = self.here.strand
        assert strand is not None
        self.current().stopped = strand.lane.stopped = True

    def calling(self, function: str) -> Lane:
        """The lane of user code that calls this function.

        Raises:
            perdure.ConcurrencyError: several tasks run on an event loop that is not ours.
        """
        loop = _running_loop()
        if loop is None:
            strand = self.here.strand
            assert strand is not None
            return strand.lane
        if not getattr(loop, "perdure_lanes", False):
            self._refuse_others(loop, function)
        return self.current()

    def _refuse_others(self, loop: asyncio.AbstractEventLoop, function: str) -> None:
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if others:
            error = perdure.ConcurrencyError(
                f"{function} was called while {len(others)} other asyncio task(s) of your code run on a "
                f"{type(loop).__name__}, whose order cannot be recorded; use asyncio.run() or asyncio.new_event_loop()"
            )
            self.failure = self.failure or error
            raise error

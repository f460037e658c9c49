"""Threads of user code as strands, and lane-aware primitives for what user code makes.

Replaced at the source, in the session's own process: whoever makes a lock, a queue or a thread for user code gets one
that knows of the baton, through whatever part of the standard library it comes.
"""

from __future__ import annotations

import concurrent.futures._base
import concurrent.futures.thread
import functools
import os
import queue
import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any, ClassVar, Final

from perdure_runner.child.blame import OURS, speaks_for_others
from perdure_runner.child.lanes.lanes import Strand
from perdure_runner.child.lanes.locks import Keeper, LaneLock

_getframe = sys._getframe  # noqa: SLF001 - kept: programs put others in its place

_STRAND: Final = "_perdure_strand"
_OVER: Final = "_perdure_over"
_allocate_lock = threading.Lock
_CRLock = threading.RLock
_LIBRARY: Final = os.path.dirname(os.__file__) + os.sep
_PACKAGES: Final = _LIBRARY + "site-packages"
_RUNNER: Final = os.path.dirname(os.path.dirname(OURS)) + os.sep
"""A task that a library made has no frame of user code below it, but the runner's first one."""
_monotonic = time.monotonic


class _Kinds(type):
    """The type of a name that makes objects of one of several types."""

    kinds: tuple[type, ...]

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, cls.kinds)

    def __getitem__(cls, item: object) -> types.GenericAlias:
        return types.GenericAlias(cls, item)


class _Started:
    """A thread's `_started` event: who starts it need not wait for its turn, which the thread itself awaits."""

    def __init__(self, enter: Callable[[], None]) -> None:
        self._enter = enter
        self._set = False
        self._gate = _allocate_lock()
        self._gate.acquire()

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        self._gate.release()
        self._enter()

    def wait(self) -> bool:
        with self._gate:
            return self._set


class Threads:
    """Installs itself, for good."""

    def __init__(self, keeper: Keeper, direct: Callable[[], bool], is_user_file: Callable[[str], bool]) -> None:
        self._keeper = keeper
        self._direct = direct
        self._is_user_file = is_user_file
        self._mine: list[threading.Thread] = []
        LaneLock.keeper = keeper
        self._replace_primitives()
        self._replace_threads()
        self._replace_clocks()

    def finish(self) -> None:
        """The main lane has ended: wait for the others, as the interpreter does before it ends."""
        if not self._mine:
            return
        concurrent.futures.thread._shutdown = True  # noqa: SLF001 - what the module does at the interpreter's end
        for thread, work in list(concurrent.futures.thread._threads_queues.items()):  # noqa: SLF001
            if _STRAND in thread.__dict__:
                work.put(None)
        while self._mine:
            if not (thread := self._mine.pop(0)).daemon:
                thread.join()

    def for_user(self) -> bool:
        """Does user code make this, if by way of the standard library?"""
        if self._direct():
            return False
        frame: types.FrameType | None = _getframe(2)
        while frame is not None:
            path = frame.f_code.co_filename
            if not (path.startswith(("<frozen", _RUNNER)) or (path.startswith(_LIBRARY) and _PACKAGES not in path)):
                return self._is_user_file(path)
            frame = frame.f_back
        return True

    # ---- primitives

    def _replace_primitives(self) -> None:
        for_user, direct = self.for_user, self._direct
        python_rlock: Any = threading._PyRLock  # type: ignore[attr-defined]  # noqa: SLF001 - built on `_allocate_lock`
        python_queue: Any = queue._PySimpleQueue  # type: ignore[attr-defined]  # noqa: SLF001 - built on `Semaphore`
        real_queue: Any = queue.SimpleQueue

        class Lock(metaclass=_Kinds):
            kinds: ClassVar = (type(_allocate_lock()), LaneLock)

            def __new__(cls) -> Any:
                return LaneLock() if for_user() else _allocate_lock()

        class RLock(metaclass=_Kinds):
            kinds: ClassVar = (type(_CRLock()), python_rlock)

            def __new__(cls) -> Any:
                return python_rlock() if for_user() else _CRLock()

        class SimpleQueue(metaclass=_Kinds):
            kinds: ClassVar = (real_queue, python_queue)

            def __new__(cls) -> Any:
                return python_queue() if for_user() else real_queue()

        for made, module in ((Lock, threading), (RLock, threading), (SimpleQueue, queue)):
            made.__module__, made.__qualname__ = module.__name__, made.__name__
            setattr(module, made.__name__, made)
        # a lock that a `Condition` makes for one that waits, whoever made the condition
        threading._allocate_lock = lambda: _allocate_lock() if direct() else LaneLock()  # type: ignore[attr-defined]  # noqa: SLF001
        if hasattr(functools, "RLock") and sys.version_info < (3, 12):
            functools.RLock = RLock  # of cached_property, which holds it while user code runs
        concurrent.futures.thread._global_shutdown_lock = LaneLock()  # type: ignore[assignment]  # noqa: SLF001

    def _replace_clocks(self) -> None:
        """Time-outs are reckoned by the session's clock."""
        direct, now = self._direct, self._keeper.now

        def monotonic() -> float:
            return _monotonic() if direct() else now()

        threading._time = monotonic  # type: ignore[attr-defined]  # noqa: SLF001
        vars(queue)["time"] = monotonic
        vars(concurrent.futures._base)["time"] = types.SimpleNamespace(**vars(time) | {"monotonic": monotonic})  # noqa: SLF001

    # ---- threads

    def _replace_threads(self) -> None:
        cls = threading.Thread
        start, join, is_alive, bootstrap = cls.start, cls.join, cls.is_alive, cls._bootstrap_inner  # type: ignore[attr-defined]
        threads = self

        @speaks_for_others
        def start_lane(self: threading.Thread) -> None:
            if not self.__dict__.get("_initialized") or self._started.is_set() or threads._direct():  # type: ignore[attr-defined]
                start(self)
                return
            threads._begin(self, start)

        @speaks_for_others
        def join_lane(self: threading.Thread, timeout: float | None = None) -> None:
            over: LaneLock | None = self.__dict__.get(_OVER)
            if over is not None and not threads._direct() and self is not threading.current_thread():
                if not over.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
                    return
                over.release()
                timeout = None
            join(self, timeout)

        def is_alive_lane(self: threading.Thread) -> bool:
            strand: Strand | None = self.__dict__.get(_STRAND)
            return is_alive(self) if strand is None else not strand.finished

        def bootstrap_inner(self: threading.Thread) -> None:
            if _STRAND not in self.__dict__:
                bootstrap(self)
                return
            try:
                bootstrap(self)
            finally:
                threads._end(self)

        for new, real in (
            (start_lane, start),
            (join_lane, join),
            (is_alive_lane, is_alive),
            (bootstrap_inner, bootstrap),
        ):
            functools.update_wrapper(new, real)
            del vars(new)["__wrapped__"]
            setattr(cls, real.__name__, new)

    def _begin(self, thread: threading.Thread, start: Callable[[threading.Thread], None]) -> None:
        lanes, scheduler = self._keeper.lanes, self._keeper.scheduler
        strand = Strand(lanes.current().child(), thread)
        over = LaneLock()
        over.acquire()

        def enter() -> None:
            lanes.enter(strand)
            scheduler.begin(strand)

        before = thread._started  # type: ignore[attr-defined]  # noqa: SLF001
        thread._started = _Started(enter)  # type: ignore[attr-defined]  # noqa: SLF001
        thread.__dict__.update({_STRAND: strand, _OVER: over})
        try:
            start(thread)
        except BaseException:
            thread._started = before  # type: ignore[attr-defined]  # noqa: SLF001
            del thread.__dict__[_STRAND], thread.__dict__[_OVER]
            raise
        self._mine.append(thread)
        scheduler.add(strand)

    def _end(self, thread: threading.Thread) -> None:
        """The thread's last act with the baton."""
        strand: Strand = thread.__dict__[_STRAND]
        strand.finished = True
        thread.__dict__[_OVER].release()
        self._mine = [other for other in self._mine if other is not thread]
        self._keeper.scheduler.end(strand)

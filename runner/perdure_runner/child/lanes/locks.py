"""Locks of user code: a lane that waits for one passes the baton on. First come, first served.

Whatever user code makes through the standard library is built on these: `Condition`, `Event`, `Semaphore`, `Barrier`,
the queues, futures and thread pools. Locks that a library makes for itself stay real. Code of an activity may use a
lock of user code, too; it waits as any thread does.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, ClassVar, NoReturn

from perdure_runner.child.lanes.lanes import Lanes, Strand
from perdure_runner.child.lanes.pending import Waiting
from perdure_runner.child.lanes.scheduler import Scheduler
from perdure_runner.child.replay import Row

_allocate_lock = threading.Lock
_LONGEST_S = threading.TIMEOUT_MAX


class Keeper:
    """What locks need of the session."""

    def __init__(
        self, scheduler: Scheduler, lanes: Lanes, live: Callable[[], bool], cancel: Callable[[Row], BaseException]
    ) -> None:
        self.scheduler = scheduler
        self.lanes = lanes
        self._live = live
        self._cancel = cancel

    def waiting_strand(self) -> Strand | None:
        """The strand that would wait by passing the baton on; None in code of activities and libraries."""
        return None if self.lanes.is_free() else self.lanes.strand()

    def wait(self, strand: Strand, timeout_s: float | None) -> bool:
        """Wait to be woken. False: the time-out came first."""
        waiting = Waiting()
        if timeout_s is not None:
            waiting.deadline = self.now() + timeout_s
            waiting.due_us = self.scheduler.clock.due_us(waiting.deadline, live=self._live())
        for delivered in self.scheduler.park(strand, waiting):
            if delivered is None:
                return False
            assert isinstance(delivered, dict)
            raise self._cancel(delivered)
        return True

    def wake(self, strand: Strand) -> None:
        """Let a strand that waits here go on."""
        if self.scheduler.has_baton():
            self.scheduler.wake(strand)
        else:
            self.scheduler.wake_from_outside(strand)

    def now(self) -> float:
        """The session's clock, in seconds."""
        return self.scheduler.clock.now_us / 1e6


class _Waiter:
    __slots__ = ("granted", "real", "strand")

    def __init__(self, strand: Strand | None) -> None:
        self.strand = strand
        self.granted = False
        self.real = _allocate_lock()
        self.real.acquire()


class LaneLock:
    """As `threading.Lock()`."""

    __slots__ = ("__weakref__", "_locked", "_waiters")
    keeper: ClassVar[Keeper]
    _state: ClassVar[Any] = _allocate_lock()

    def __init__(self) -> None:
        self._locked = False
        self._waiters: deque[_Waiter] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """As the real one, with a time-out of the session's clock."""
        limit = _limit(blocking, timeout)
        with self._state:
            if not self._locked:
                self._locked = True
                return True
            if limit == 0:
                return False
            waiter = _Waiter(self.keeper.waiting_strand())
            self._waiters.append(waiter)
        try:
            if waiter.strand is None:
                waiter.real.acquire(True, -1 if limit is None else limit)
            else:
                self.keeper.wait(waiter.strand, limit)
        except BaseException:
            if not self._give_up(waiter):
                self.release()
            raise
        return not self._give_up(waiter)

    def _give_up(self, waiter: _Waiter) -> bool:
        """False: it has got the lock."""
        with self._state:
            if not waiter.granted:
                self._waiters.remove(waiter)
            return not waiter.granted

    def release(self) -> None:
        """As the real one; who has waited longest gets it."""
        with self._state:
            if not self._locked:
                raise RuntimeError("release unlocked lock")
            if not self._waiters:
                self._locked = False
                return
            waiter = self._waiters.popleft()
            waiter.granted = True
        if waiter.strand is None:
            waiter.real.release()
        else:
            self.keeper.wake(waiter.strand)

    def locked(self) -> bool:
        """Has somebody got it?"""
        return self._locked

    acquire_lock, release_lock, locked_lock = acquire, release, locked

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()

    def _at_fork_reinit(self) -> None:
        self._locked = False
        self._waiters.clear()

    def __repr__(self) -> str:
        return f"<{'locked' if self._locked else 'unlocked'} _thread.lock object at {id(self):#x}>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle '_thread.lock' object")


LaneLock.__module__, LaneLock.__qualname__, LaneLock.__name__ = "_thread", "lock", "lock"


def _limit(blocking: bool, timeout: float) -> float | None:
    """Seconds to wait; None: for ever."""
    if not blocking:
        if timeout != -1:
            raise ValueError("can't specify a timeout for a non-blocking call")
        return 0.0
    if timeout == -1:
        return None
    if timeout < 0:
        raise ValueError("timeout value must be a non-negative number")
    if timeout > _LONGEST_S:
        raise OverflowError("timeout value is too large")
    return float(timeout)

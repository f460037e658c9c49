"""Of several threads that wait for what a socket brings, one reads for all; and no signal cuts what is half done."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_allocate_lock = threading.Lock  # kept: user code gets others
_reentrant_lock = threading.RLock


class Guard:
    """Signals may raise in the main thread, but not while it is `busy`: what they want done is then done afterwards."""

    def __init__(self) -> None:
        self._main = threading.get_ident()
        self.busy = False
        self._left: Callable[[], None] | None = None

    def postpone(self, action: Callable[[], None]) -> bool:
        """For the handler of a signal. False: do it now; True: it will be done as soon as it cuts nothing."""
        if self.busy:
            self._left = action
        return self.busy

    def close(self) -> None:
        """From now on nothing may be cut. In other threads than the main one this means nothing."""
        if threading.get_ident() == self._main:
            self.busy = True

    def open(self) -> None:
        """Anything may be cut again. Raises what was postponed."""
        if threading.get_ident() != self._main:
            return
        self.busy = False
        if (left := self._left) is not None:
            self._left = None
            left()

    @contextmanager
    def opened(self) -> Iterator[None]:
        """The body may be cut."""
        self.open()
        try:
            yield
        finally:
            self.close()


class Reading:
    """Who reads."""

    def __init__(self, take: Callable[[], None], guard: Guard) -> None:
        """`take` reads one frame, and takes it in."""
        self._take = take
        self._guard = guard
        self._lock = _reentrant_lock()
        self._reads = False
        self._sleepers: deque[threading.Lock] = deque()

    def until(self, done: Callable[[], bool]) -> None:
        """Take what comes until `done`, or while another thread does so wait for that."""
        while not done():
            if self._lock.acquire(blocking=False):
                self._reads = True
                try:
                    if not done():
                        self._take()
                finally:
                    self._leave()
            else:
                self._sleep(done)

    def until_interrupted(self, done: Callable[[], bool], await_readable: Callable[[], object]) -> None:
        """The same; while nothing comes, a signal may raise."""
        while not done():
            self._guard.close()
            try:
                if not self._lock.acquire(blocking=False):
                    with self._guard.opened():
                        self._sleep(done)
                    continue
                self._reads = True
                try:
                    with self._guard.opened():
                        await_readable()
                    if not done():
                        self._take()
                finally:
                    self._leave()
            finally:
                self._guard.open()

    def while_there_is(self, more: Callable[[], object]) -> None:
        """Take what has come, unless another thread does."""
        if self._lock.acquire(blocking=False):
            try:
                while more():
                    self._take()
            finally:
                self._lock.release()
                self._wake()

    def _leave(self) -> None:
        self._reads = False
        self._lock.release()
        self._wake()

    def _wake(self) -> None:
        while self._sleepers:
            self._sleepers.popleft().release()

    def _sleep(self, done: Callable[[], bool]) -> None:
        gate = _allocate_lock()
        gate.acquire()
        self._sleepers.append(gate)
        if self._reads and not done():  # who reads looks for sleepers after that
            gate.acquire()

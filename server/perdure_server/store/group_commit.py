"""Group commit: whatever arrives while one transaction is written goes together into the next.

All decisions are made on the event loop; the writer thread only writes what it is handed. So the order is that of
`submit`, lingering follows the loop's own clock, and nothing here needs a lock.

A small transaction is written on the loop itself, because the way to a thread and back costs 100 us where the commit
costs 170: measured, that is better for 1, 2, 4 and 8 sessions at once (by 50, 40, 50 and 35 %), and what arrives
meanwhile waits in the sockets for the next transaction. Large ones go to the thread; and so does everything after a
commit was slow, until some in a row were quick, so that a slow disk does not hold up the loop, and one that is slow now
and then (1 in 100) costs few the way to the thread.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Final, NamedTuple

from perdure_server.store.model import Item, Result

LINGER_S: Final = 0.020
# Transactions of up to this many items are written on the loop.
ON_LOOP_ITEMS: Final = 16
SLOW_COMMIT_S: Final = 0.004
# After a slow transaction, so many in a row must be quick before one is written on the loop again.
CAUTION: Final = 16


class _Job(NamedTuple):
    item: Item
    on_result: Callable[[Result], None]


class GroupCommit:
    """Collects items on an event loop and has them written in order, a transaction at a time.

    `write` writes items in one transaction and returns a result for each; it never raises, and is called from the loop
    or from the writer thread, but never from both at once.
    """

    def __init__(
        self,
        write: Callable[[Sequence[Item]], list[Result]],
        loop: asyncio.AbstractEventLoop,
        *,
        linger_s: float = LINGER_S,
        on_loop_items: int = ON_LOOP_ITEMS,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._write = write
        self._loop = loop
        self._linger_s = linger_s
        self._on_loop_items = on_loop_items
        self._clock = clock
        self._arrived: list[_Job] = []
        self._urgent = False  # somebody waits for one of `_arrived`
        self._writing: list[_Job] | None = None  # handed to the thread, results not yet collected
        self._results: list[Result] = []
        self._slow = False  # the thread's last transaction was
        self._begin_soon: asyncio.Handle | None = None
        self._caution = 0  # how many must be quick before the loop writes again
        self._orders: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def submit(self, item: Item, on_result: Callable[[Result], None]) -> None:
        """`on_result` is called on the loop, once, in order of submission."""
        self._arrived.append(_Job(item, on_result))
        if item.lazy and not self._urgent:
            if self._writing is None and self._begin_soon is None:
                self._begin_soon = self._loop.call_later(self._linger_s, self._begin)
        elif not self._urgent:
            self._urgent = True
            if self._writing is None:
                self._cancel_timer()
                # Not at once: what else arrives in this turn of the loop shares the transaction.
                self._begin_soon = self._loop.call_soon(self._begin)

    def flush(self) -> None:
        """Write everything now, in the calling thread, and deliver the results. For closing."""
        if self._thread is not None:
            self._orders.put(None)
            self._thread.join()
            self._thread = None
        self._hand_over()
        self._cancel_timer()
        while self._arrived:
            jobs = self._take()
            self._deliver(jobs, self._write([job.item for job in jobs]))

    def _begin(self) -> None:
        self._cancel_timer()  # `_collect` may call while a listener's submission has asked for a turn of its own
        if not self._arrived:
            return
        jobs = self._take()
        if len(jobs) <= self._on_loop_items and not self._caution:
            results, slow = self._timed(jobs)
            self._learn(slow)
            self._deliver(jobs, results)
            return
        self._writing = jobs
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="perdure-store", daemon=True)
            self._thread.start()
        self._orders.put(jobs)

    def _run(self) -> None:
        """The writer thread."""
        while (jobs := self._orders.get()) is not None:
            self._results, self._slow = self._timed(jobs)
            try:
                self._loop.call_soon_threadsafe(self._collect)
            except RuntimeError:
                # The loop is closed: nobody is left to hear of it.
                return

    def _collect(self) -> None:
        """The thread has written: deliver the results and go on with what arrived meanwhile."""
        if self._writing is None:
            return
        self._hand_over()
        if self._urgent:
            self._begin()
        elif self._arrived and self._begin_soon is None:
            self._begin_soon = self._loop.call_later(self._linger_s, self._begin)

    def _hand_over(self) -> None:
        if self._writing is not None:
            jobs, self._writing = self._writing, None
            if len(jobs) <= self._on_loop_items:  # large ones may take their time
                self._learn(self._slow)
            self._deliver(jobs, self._results)

    def _timed(self, jobs: Sequence[_Job]) -> tuple[list[Result], bool]:
        """Write them. Gives their results, and whether that was slow."""
        began = self._clock()
        results = self._write([job.item for job in jobs])
        return results, self._clock() - began > SLOW_COMMIT_S

    def _learn(self, slow: bool) -> None:
        self._caution = CAUTION if slow else max(0, self._caution - 1)

    def _take(self) -> list[_Job]:
        jobs, self._arrived, self._urgent = self._arrived, [], False
        return jobs

    def _deliver(self, jobs: Sequence[_Job], results: Sequence[Result]) -> None:
        for job, result in zip(jobs, results, strict=True):
            try:
                job.on_result(result)
            except Exception as error:  # noqa: BLE001 - one listener's mistake must not silence the others
                self._loop.call_exception_handler({"message": "a listener of the store failed", "exception": error})

    def _cancel_timer(self) -> None:
        if self._begin_soon is not None:
            self._begin_soon.cancel()
            self._begin_soon = None

"""Who runs: one strand of user code at a time, and what reaches user code from outside, one thing at a time.

The baton is with one strand. It passes the baton on when it waits for another lane, for a timer or for something from
outside. When no strand can run, that is the idle point, and exactly one thing is delivered: what the journal says came
next; after the history is used up, what really comes next. Nothing here runs user code.
"""

from __future__ import annotations

import math
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

import perdure

from perdure_runner.child.lanes.clock import Clock, time_us
from perdure_runner.child.lanes.lanes import Lanes, Strand
from perdure_runner.child.lanes.pending import Key, Pending, Waiting
from perdure_runner.child.link import Link
from perdure_runner.child.replay import Row

NEAR_US: Final = 50_000
"""Timers that are nearer are waited for here: to have the coordinator do it costs as much as a tenth of this."""
_allocate_lock = threading.Lock


Delivered = Pending | Row | None
"""Something that was waited for; None: the deadline has come; a row: it will not, because the session is stopped."""


class Journal(Protocol):
    """What the scheduler needs of `Calls`."""

    def left(self) -> int:
        """Recorded calls that user code has not made yet."""

    def played(self, position: int) -> None:
        """User code has come to this row."""

    def stuck(self) -> None:
        """User code waits for nothing of what the journal says came next. Does not return."""

    def live(self) -> None:
        """Something new is about to happen."""

    def order(self, key: Key) -> None:
        """Say in the journal that user code goes on because this wait has ended."""

    def may_start(self) -> bool:
        """Is all durable that must be before something outside begins?"""

    def stopping(self) -> bool:
        """Was the session asked to stop? Then what starts may be refused."""

    def stops(self) -> bool:
        """Was the session asked to stop, and has the main lane not heard of it?"""


class Scheduler:
    """The strands of a session, and its idle point."""

    def __init__(self, lanes: Lanes, link: Link, journal: Journal, clock: Clock) -> None:
        self._lanes = lanes
        self._link = link
        self._journal = journal
        self.clock = clock
        self.strands = {lanes.main: None}
        """Those that have not ended."""
        self.alone = True
        """There is one strand: it need not pass the baton on."""
        self.holder = lanes.main
        """Whose user code runs, or ran last."""
        self.turns = 0
        """How often the baton has been given to a strand."""
        self.on_second: Callable[[], None] | None = None
        """Called once, when there is a second strand."""
        self.running_outside = 0
        """External calls in flight, or whose outcome is not delivered yet."""
        self._ready: deque[Strand] = deque()
        self._parked: dict[Strand, None] = {}
        self._finished: deque[Pending] = deque()
        self._foreign: deque[Strand] = deque()
        self._mutex = _allocate_lock()
        self._nobody = False
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._said: tuple[list[Key], bool] | None = None
        link.wake = self._wake
        link.may_read = self.has_baton

    def someone_is_ready(self) -> bool:
        """Could another strand go on, if it had the baton?"""
        return bool(self._ready)

    def has_baton(self) -> bool:
        """Does this thread have it? Code of an activity has, where it runs alone."""
        strand = self._lanes.strand()
        return strand is not None and not strand.away

    # ---- for the strand that has the baton

    def park(self, strand: Strand, waiting: Waiting) -> list[Delivered]:
        """Wait until something of `waiting` is delivered, which is returned; or until `wake`."""
        strand.waiting, waiting.strand = waiting, strand
        delivered: list[Delivered] = []
        strand.delivered = delivered
        self._parked[strand] = None
        self._run(strand)
        waiting.strand = strand.waiting = None
        return delivered

    def wait_for(self, strand: Strand, pending: Pending) -> None:
        """Wait for this one thing."""
        waiting = Waiting()
        waiting.add(pending)
        self.park(strand, waiting)

    def wake(self, strand: Strand) -> None:
        """Let a strand that is parked go on when its turn comes."""
        if strand in self._parked:
            del self._parked[strand]
            self._ready.append(strand)

    def wake_from_outside(self, strand: Strand) -> None:
        """The same, for a thread that is no strand: as soon as all strands wait."""
        self._foreign.append(strand)
        self._poke()

    def breathe(self, strand: Strand) -> None:
        """Let others go on that can."""
        if self._ready:
            self._ready.append(strand)
            self._run(strand)

    @contextmanager
    def outside(self, strand: Strand) -> Iterator[None]:
        """Run something outside while others have the baton; it is back when the outcome is to be delivered."""
        pending = Pending(outside=True)
        waiting = Waiting()
        waiting.add(pending)
        strand.waiting, waiting.strand, strand.away = waiting, strand, True
        strand.delivered = []
        self._parked[strand] = None
        self.running_outside += 1
        self._pass_on()
        try:
            yield
        finally:
            self._come_back(strand, pending)

    def started(self) -> None:
        """Something begins to run outside, of an event loop's task."""
        self.running_outside += 1

    def finished(self, pending: Pending) -> None:
        """What ran outside has ended: may be called by any thread."""
        pending.done = True
        self._finished.append(pending)
        self._poke()

    def add(self, strand: Strand) -> None:
        """A new strand, which goes on when its turn comes."""
        self.strands[strand] = None
        self.alone = False
        if self.on_second is not None:
            self.on_second()
            self.on_second = None
        self._ready.append(strand)

    def begin(self, strand: Strand) -> None:
        """A new strand's thread waits for its turn."""
        self._await_baton(strand)

    def end(self, strand: Strand) -> None:
        """The strand ends; its thread runs no user code any more."""
        strand.finished = True
        del self.strands[strand]
        self.alone = len(self.strands) == 1
        self._pass_on()

    # ---- the baton

    def _run(self, strand: Strand) -> None:
        """With the baton: do what is to be done until it is this strand's turn."""
        while True:
            if not self._ready:
                self._idle()
                continue
            following = self._ready.popleft()
            if following is strand:
                self.holder = strand
                self.turns += 1
                return
            self._grant(following)
            strand.baton.acquire()
            if strand.granted:
                strand.granted = False
                return

    def _grant(self, strand: Strand) -> None:
        self.holder = strand
        self.turns += 1
        strand.granted = True
        strand.baton.release()

    def _pass_on(self) -> None:
        with self._mutex:
            if self._ready:
                self._grant(self._ready.popleft())
            elif watcher := next((strand for strand in self._parked if not strand.away), None):
                watcher.baton.release()  # it looks after the idle point
            else:
                self._nobody = True

    def _come_back(self, strand: Strand, pending: Pending) -> None:
        with self._mutex:
            strand.away = False
            self.finished(pending)
            on_duty, self._nobody = self._nobody, False
        if on_duty:
            self._run(strand)
        else:
            self._await_baton(strand)
        strand.waiting = None

    def _await_baton(self, strand: Strand) -> None:
        strand.baton.acquire()
        if strand.granted:
            strand.granted = False
        else:
            self._run(strand)

    # ---- the idle point

    def _idle(self) -> None:
        """No strand can run: deliver what comes next."""
        if self._replay_next():
            return
        if self._journal.left():
            self._journal.stuck()
        self._journal.live()
        while not (self._ready or self._live_next()):
            self._say_waits()
            self._link.listen(self._patience_s())
            self._clear_poke()

    def _waitings(self) -> list[Waiting]:
        return [strand.waiting for strand in self._parked]

    def _first_deadline(self, waitings: list[Waiting]) -> Waiting | None:
        timed = [waiting for waiting in waitings if waiting.deadline is not None]
        if self.clock.cancelled is not None:  # the main lane hears of a stop first
            return next((w for w in timed if w.strand is self._lanes.main), timed[0] if timed else None)
        return min(timed, key=lambda waiting: waiting.deadline or 0.0, default=None)

    def _replay_next(self) -> bool:
        waitings = self._waitings()
        recorded = [pending for waiting in waitings if (pending := waiting.recorded())]
        first = min(recorded, key=lambda pending: pending.position or 0, default=None)
        fired = self.clock.position
        if fired is not None and (first is None or fired < (first.position or 0)):
            timer = self._first_deadline(waitings)
            if timer is None:  # there is none yet: something comes first that needed no place
                return self._deliver_only(waitings)
            self._journal.played(fired)
            self._fire(timer)
            return True
        if first is not None:
            self._journal.played(first.position or 0)
            self._deliver(first)
            return True
        return self._deliver_only(waitings)

    def _deliver_only(self, waitings: list[Waiting]) -> bool:
        """Where there was one thing to wait for, its end needs no row that gives it a place."""
        timers = any(waiting.deadline is not None for waiting in waitings)
        pendings = [pending for waiting in waitings for pending in waiting.pendings]
        if timers or len(pendings) != 1 or pendings[0].row is None:
            return False
        self._deliver(pendings[0])
        return True

    def _live_next(self) -> bool:
        """Deliver the next thing that has come."""
        waitings = self._waitings()
        if self._start(waitings):
            return True
        while self._foreign:
            self._take_back()
            self.wake(self._foreign.popleft())
        if self._ready:
            return True
        for pending in self._finished:
            if pending.over or (pending.waiting is not None and pending.waiting.strand is not None):
                self._finished.remove(pending)
                self.running_outside -= 1
                if not pending.over:
                    self._deliver(pending)
                return True
        if self._stop_one(waitings):
            return True
        return self._resolve_one(waitings) or self._fire_due(waitings)

    def _start(self, waitings: list[Waiting]) -> bool:
        starting = [pending for waiting in waitings for pending in waiting.starts]
        if not starting or not self._journal.may_start():
            return False
        quiet = [pending for pending in starting if not pending.speaks and not self._journal.stopping()]
        for pending in quiet or starting[:1]:
            self._deliver(pending)
        return True

    def _stop_one(self, waitings: list[Waiting]) -> bool:
        """A stop ends one call that runs outside, or else a wait; it reaches all other lanes at their next new call."""
        if not self._journal.stops():
            return False
        pendings = [pending for waiting in waitings for pending in waiting.pendings if pending.row is None]
        ending = [pending for pending in pendings if pending.on_stop is not None]
        first = min(ending, key=lambda pending: not pending.outside, default=None)
        if first is None:
            return False
        assert first.on_stop is not None
        first.on_stop()
        self._deliver(first)
        return True

    def _resolve_one(self, waitings: list[Waiting]) -> bool:
        self._take_resolutions(waitings)
        several = sum(len(waiting.pendings) + (waiting.deadline is not None) for waiting in waitings) > 1
        for waiting in waitings:
            for key, pending in waiting.waits.items():
                if pending.row is not None:
                    if several and not pending.silent:
                        self._journal.order(key)
                    self._deliver(pending)
                    return True
        return False

    def _take_resolutions(self, waitings: list[Waiting]) -> None:
        timer = self._first_deadline(waitings)
        while self._link.resolutions:
            key, row = self._link.resolutions.popitem()
            self._said = None
            if self.clock.is_own(key):
                self.clock.resolved(row, timer.due_us if timer else 0)
            for waiting in waitings:
                if (pending := waiting.waits.get(key)) is not None:
                    pending.row = row

    def _fire_due(self, waitings: list[Waiting]) -> bool:
        timer = self._first_deadline(waitings)
        if timer is None or not (self.clock.woken or (timer.due_us <= time_us() and not self._entrusted)):
            return False
        self._journal.order(self.clock.key)
        self._fire(timer)
        return True

    def _fire(self, timer: Waiting) -> None:
        assert timer.deadline is not None
        timer.strand.delivered.append(self.clock.fire(timer.deadline))
        self.wake(timer.strand)

    def _deliver(self, pending: Pending) -> None:
        waiting = pending.waiting
        assert waiting is not None
        waiting.drop(pending)
        waiting.strand.delivered.append(pending)
        self.wake(waiting.strand)

    # ---- waiting, live

    def _say_waits(self) -> None:
        """Tell the coordinator what lanes wait for, if that has changed."""
        waitings = self._waitings()
        waitings.sort(key=lambda waiting: waiting.strand is not self._lanes.main)  # a stop ends the first wait
        keys = [key for waiting in waitings for key, pending in waiting.waits.items() if pending.row is None]
        busy = self.running_outside > 0 or any(waiting.starts for waiting in waitings)
        timer = self._first_deadline(waitings)
        if not busy and timer is None and not keys:
            self._nothing_can_happen()
        if not busy and timer is not None:
            if timer.due_us - time_us() < NEAR_US:
                busy = True
            else:
                self.clock.arm(timer.due_us)
                keys.insert(0 if timer.strand is self._lanes.main else len(keys), self.clock.key)
        if keys and (keys, busy) != self._said:
            self._said = keys, busy
            self._link.say("wait", waits=[list(key) for key in keys], busy=int(busy))

    def says_nothing(self) -> None:
        """What lanes wait for is being said by somebody else, in place of what was said here."""
        self._said = None

    @property
    def _entrusted(self) -> bool:
        """The coordinator was told that every lane waits: until it resolves a wait, it may suspend the session."""
        return self._said is not None and not self._said[1]

    def _take_back(self) -> None:
        """Something has happened that the coordinator does not know of."""
        if self._said is not None and self._entrusted:
            self._said = self._said[0], True
            self._link.say("wait", waits=[list(key) for key in self._said[0]], busy=1)

    def _nothing_can_happen(self) -> None:
        strangers = threading.active_count() - len(self.strands)
        if strangers <= 0 and not self._said:
            error = perdure.ConcurrencyError("every thread and task of the session waits for another one, for ever")
            self._lanes.failure = self._lanes.failure or error  # the strand that looks may not be the main one
            raise error

    def _patience_s(self) -> float | None:
        timer = self._first_deadline(self._waitings())
        if timer is None or self._entrusted:
            return None
        return max(0.0, math.ceil((timer.due_us - time_us()) / 1000) / 1000)

    def _poke(self) -> None:
        os.eventfd_write(self._wake, 1)

    def _clear_poke(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return

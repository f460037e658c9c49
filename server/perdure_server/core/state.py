"""Where a session is: the values that `session.step` reads and makes."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final


class Phase(enum.Enum):
    """What people see as the state of a session."""

    CREATED = "created"  # nothing has run yet
    STARTING = "starting"  # a runner is wanted, or loads and replays
    RUNNING = "running"
    WAITING = "waiting"  # all of it, for timers or signals; suspended when it has no runner
    COMPLETED = "completed"
    FAILED = "failed"
    STOPPED = "stopped"
    DIVERGED = "diverged"

    @property
    def ended(self) -> bool:
        return self in ENDED


ENDED: Final = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.STOPPED, Phase.DIVERGED})


class Runner(enum.Enum):
    """How far the process is that serves the session."""

    NONE = "none"
    WANTED = "wanted"  # in the queue for a host, or waiting for the back-off to pass
    PLACED = "placed"  # a host was told; it loads and replays
    ATTACHED = "attached"
    LEAVING = "leaving"  # asked to suspend


PRESENT: Final = frozenset({Runner.PLACED, Runner.ATTACHED, Runner.LEAVING})


class Stop(enum.Enum):
    """How far a polite stop has come."""

    NONE = "none"
    ASKED = "asked"  # user code has not been told
    SENT = "sent"  # the runner was told; lost with it
    RECORDED = "recorded"  # a wait was resolved as cancelled: the journal tells every later runner


class Resolving(enum.Enum):
    """How far the end of a wait has come. One ends at a time: the runner then says anew what it waits for."""

    NO = "no"
    APPENDING = "appending"  # its row is on the way to the journal
    DURABLE = "durable"  # in the journal; the leaving runner must be gone before the next one reads it


class Ending(enum.Enum):
    """How a wait ends; the values are those of `ResolutionKind` in journal.proto."""

    FIRED = 1
    SIGNALLED = 2
    TIMED_OUT = 3
    CANCELLED = 4
    EVENT = 5
    ANSWERED = 6
    REFUSED = 7


RESERVED: Final = "ses_"
"""Signals whose names begin so tell a parent of the end of the child that is called so: who asks for any has not asked
for them."""


@dataclass(frozen=True, slots=True)
class WaitPoint:
    """A wait in the journal that holds a lane of the session."""

    lane: str
    ordinal: int
    fires_at_us: int  # Unix time; 0: no deadline
    signals: tuple[str, ...] | None = None  # None: not for one; empty: any signal
    subscriptions: tuple[str, ...] = ()
    request: bool = False  # for the coordinator's own answer, which comes at once

    def takes(self, signal: str) -> bool:
        if not self.signals:
            return self.signals is not None and not signal.startswith(RESERVED)
        return signal in self.signals

    @property
    def at_deadline(self) -> Ending:
        return Ending.FIRED if self.signals is None and not self.subscriptions else Ending.TIMED_OUT


@dataclass(frozen=True, slots=True)
class Rules:
    """Constants of the state machine. Times are in seconds."""

    suspend_after_s: float = 1.0  # 0: suspend as soon as a session waits
    leave_timeout_s: float = 2.0  # for the answer to a request to suspend
    start_timeout_s: float = 120.0  # from placement to the runner's first sign
    max_crashes: int = 5  # deaths of runners without a new entry between them
    backoff_s: float = 0.5  # before the second try; doubles
    backoff_max_s: float = 30.0


@dataclass(frozen=True, slots=True)
class SessionState:
    phase: Phase = Phase.CREATED
    runner: Runner = Runner.NONE
    epoch: int = 0  # rises with every placement
    next_no: int = 1  # number of the runner's next record
    next_seq: int = 1  # place of the next entry in the journal
    placed_seq: int = 1  # `next_seq` at the last placement: has the runner made progress?
    crashes: int = 0
    waits: tuple[WaitPoint, ...] = ()  # of lanes; others may be busy meanwhile (RUNNING)
    resolving: Resolving = Resolving.NO
    stop: Stop = Stop.NONE
    stop_reason: str = ""
    durable: bool = True

    def first_due(self) -> WaitPoint | None:
        """The wait whose time comes first; None if none has a deadline."""
        return min((w for w in self.waits if w.fires_at_us), key=lambda w: w.fires_at_us, default=None)

    def request(self) -> WaitPoint | None:
        """What is to be answered first."""
        return next((w for w in self.waits if w.request), None)

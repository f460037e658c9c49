"""What can happen to a session.

Events of a runner carry its epoch; those of an older one change nothing (fencing).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from perdure_server.core.state import Phase, WaitPoint


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all."""


@dataclass(frozen=True, slots=True)
class OfRunner(Event):
    epoch: int
    lives: ClassVar[bool] = True  # the sender is still there afterwards: a stray one has to be killed


# What the coordinator itself does or finds out.


@dataclass(frozen=True, slots=True)
class RunnerWanted(Event):
    """The session is new, or a sweep or the recovery found it without a runner."""


@dataclass(frozen=True, slots=True)
class Placed(Event):
    """A host with room was found."""


@dataclass(frozen=True, slots=True)
class StartTimeout(OfRunner):
    """The runner has not come up in time."""


@dataclass(frozen=True, slots=True)
class Committed(OfRunner):
    """All records up to `no` are durable."""

    no: int
    lives: ClassVar[bool] = False  # an older epoch's commit is no sign of a stray runner


@dataclass(frozen=True, slots=True)
class Resolved(Event):
    """The row that ends the wait is durable."""


@dataclass(frozen=True, slots=True)
class Doomed(Event):
    """A limit is reached or the journal cannot be read: no runner can go on."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class HostGone(Event):
    reason: str


@dataclass(frozen=True, slots=True)
class Fenced(Event):
    """The store refused an append: another coordinator has placed the session."""


@dataclass(frozen=True, slots=True)
class StorageFailed(Event):
    """A write failed: what is in memory is ahead of the store, and has to go."""

    code: str
    message: str


# Time.


@dataclass(frozen=True, slots=True)
class TimerDue(Event):
    now_us: int


@dataclass(frozen=True, slots=True)
class SuspendDue(Event):
    """The session has waited long enough to leave its process."""


@dataclass(frozen=True, slots=True)
class LeaveTimeout(OfRunner):
    """The runner did not answer the request to suspend."""


@dataclass(frozen=True, slots=True)
class RunTimeOver(OfRunner):
    """The runner has had the time that the project gives it."""

    message: str
    lives: ClassVar[bool] = False  # an older runner's time is no sign of a stray one


@dataclass(frozen=True, slots=True)
class GraceOver(Event):
    """The time that a polite stop leaves to user code."""


# What the runner says.


@dataclass(frozen=True, slots=True)
class Attached(OfRunner):
    pass


@dataclass(frozen=True, slots=True)
class RecordsReceived(OfRunner):
    first_no: int
    records: int
    entries: int  # how many of the records are entries; the others are lines of log
    over: frozenset[tuple[str, int]] = frozenset()  # calls (lane, ordinal) that waited, and have an outcome now


@dataclass(frozen=True, slots=True)
class WaitBegan(OfRunner):
    """What lanes wait for now, in place of all that was said before. `busy`: others do something meanwhile."""

    waits: tuple[WaitPoint, ...]
    now_us: int
    busy: bool = False


@dataclass(frozen=True, slots=True)
class DoneReceived(OfRunner):
    no: int
    phase: Phase
    lives: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Suspended(OfRunner):
    lives: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class RunnerLost(OfRunner):
    reason: str
    exit_code: int = 0  # negative: a signal's number
    code: str = ""  # the session fails with it
    message: str = ""
    fatal: bool = False  # trying again cannot help
    refused: bool = False  # the host never began it: it has no room, or it leaves
    lives: ClassVar[bool] = False


@dataclass(frozen=True, slots=True)
class Misbehaved(OfRunner):
    """The runner or its host broke the protocol."""

    reason: str


# What people and other sessions ask.


@dataclass(frozen=True, slots=True)
class StopRequested(Event):
    reason: str
    force: bool = False
    grace_s: float = 10.0


@dataclass(frozen=True, slots=True)
class SignalArrived(Event):
    """A signal of this name is stored and not consumed."""

    name: str


@dataclass(frozen=True, slots=True)
class EventFound(Event):
    """The wait of this call is for an event that is there. What it is comes beside this."""

    lane: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class Woken(Event):
    """Somebody does not want to wait for the timer."""

"""What `session.step` wants done. The coordinator does it, in order."""

from __future__ import annotations

from dataclasses import dataclass

from perdure_server.core.state import Ending, Phase, WaitPoint


@dataclass(frozen=True, slots=True)
class Effect:
    """Base of all. Times are in seconds."""


@dataclass(frozen=True, slots=True)
class Place(Effect):
    """Find a host for the session."""

    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SendHistory(Effect):
    """Make the new epoch durable, then send Start and the history to the host."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Append(Effect):
    """Write the records at hand; their first entry gets `first_seq`."""

    first_seq: int


@dataclass(frozen=True, slots=True)
class Acknowledge(Effect):
    no: int


@dataclass(frozen=True, slots=True)
class Resolve(Effect):
    """Append the row that ends `wait`, at `seq`."""

    wait: WaitPoint
    ending: Ending
    seq: int


@dataclass(frozen=True, slots=True)
class Answer(Effect):
    """Do what `wait` asks for, and append the row that tells the answer, at `seq`; both or neither."""

    wait: WaitPoint
    seq: int


@dataclass(frozen=True, slots=True)
class SendResolved(Effect):
    """Give the row that ended the wait to the runner."""


@dataclass(frozen=True, slots=True)
class SendStop(Effect):
    """Ask the runner to raise Cancelled in user code."""

    reason: str


@dataclass(frozen=True, slots=True)
class SendSuspend(Effect):
    """Ask the runner to leave."""


@dataclass(frozen=True, slots=True)
class Kill(Effect):
    """End the runner of this epoch, whatever it does."""

    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class Persist(Effect):
    """Store phase, wait and stop request."""


@dataclass(frozen=True, slots=True)
class ArmTimer(Effect):
    at_us: int


@dataclass(frozen=True, slots=True)
class ArmSuspend(Effect):
    after_s: float


@dataclass(frozen=True, slots=True)
class ArmStartTimeout(Effect):
    after_s: float


@dataclass(frozen=True, slots=True)
class ArmRunTime(Effect):
    """Let `RunTimeOver` happen once the runner has had the time that the project gives it, if that is limited."""


@dataclass(frozen=True, slots=True)
class ArmLeaveTimeout(Effect):
    after_s: float


@dataclass(frozen=True, slots=True)
class ArmGrace(Effect):
    after_s: float


@dataclass(frozen=True, slots=True)
class Finish(Effect):
    """Store the end. Without `code` the result is the one that the runner gave."""

    phase: Phase
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class Rest(Effect):
    """The session is suspended: forget all about it but its rows, as soon as these are durable."""


@dataclass(frozen=True, slots=True)
class Forget(Effect):
    """What is in memory is wrong: drop it. The store knows better, and the sweep will look there."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Refuse(Effect):
    """The event makes no sense now; say so to whoever sent it."""

    code: str
    message: str

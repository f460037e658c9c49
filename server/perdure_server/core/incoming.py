"""What happens outside, on its way in: before it is stored, and what is answered to who brought it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Incoming:
    """Something that happened. `data` is JSON that is known to be sound; `dedup` None or empty: it is new each time."""

    project: str
    source: str  # name of a trigger or a connection
    source_type: str  # webhook, schedule, connection, manual
    event_type: str
    data: bytes
    memo: Mapping[str, str] = field(default_factory=dict)
    dedup: str | None = None
    event_id: str = ""  # given to it already: who brings the same one again is answered as the first time
    created_us: int = 0  # when it happened; 0: now
    promised: bool = False  # who brought it was told already that it is taken


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event is durable. Not `new`: there was one with the same `dedup`, and this is that one.

    `seq` 0: durable with a gateway; its place among events is still to come.
    """

    event_id: str
    seq: int
    new: bool
    started: tuple[str, ...] = ()  # sessions; more may follow, when there is room for them
    subscribed: int = 0  # subscriptions of the source that sessions hold

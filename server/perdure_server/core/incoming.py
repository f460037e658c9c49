"""What happens outside, on its way in: before it is stored, and what is answered to who brought it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from perdure_server.core import ids


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
    event_id: str = ""  # "": it is not stamped yet
    created_us: int = 0  # when it happened
    promised: bool = False  # who brought it was told already that it is taken

    def stamped(self, now_us: int, chance: bytes) -> Incoming:
        """With an id and a time. Who brings it a second time, so stamped, is answered as the first time.

        Events that are the same have the same id, whoever stamps them: so a duplicate is told it by who does not know
        of the first. `chance`: `ids.RANDOM_BYTES` bytes, for the others.
        """
        event_id = ids.make_id(ids.EVENT, now_us, chance)
        if self.dedup:
            same = json.dumps([self.project, self.source, self.dedup])
            event_id = ids.derived_id(ids.EVENT, hashlib.sha256(same.encode()).digest())
        return replace(self, event_id=event_id, created_us=now_us)


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

"""An event before it is stored, what is answered to who brought it, and what handlers see of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from perdure_server.store import EventRow


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


@dataclass(frozen=True, slots=True)
class Accepted:
    """The event is durable. Not `new`: there was one with the same `dedup`, and this is that one."""

    event_id: str
    seq: int
    new: bool
    started: tuple[str, ...] = ()  # sessions; more may follow, when there is room for them
    subscribed: int = 0  # subscriptions of the source that sessions hold


def rfc3339(at_us: int) -> str:
    """The time in UTC."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def event_json(event: EventRow, session_id: str = "") -> bytes:
    """The event as handlers and `next_event` get it. `session_id`: of the session that it starts."""
    head: dict[str, Any] = {
        "event_id": event.event_id,
        "event_type": event.event_type,
        "source": event.source,
        "source_type": event.source_type,
        "created_at": rfc3339(event.created_us),
        "memo": dict(event.memo),
    }
    if session_id:
        head["session_id"] = session_id
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    return text[:-1] + b',"data":' + event.data + b"}"

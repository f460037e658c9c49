"""An event as handlers see it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from perdure_server.store import EventRow


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

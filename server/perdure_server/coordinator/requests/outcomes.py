"""What sessions answer to whoever waits for an outcome of an event."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from perdure_server.coordinator.requests.operations import Answer, Asker, Body, Entry, text
from perdure_server.core.errors import PerdureError
from perdure_server.store import Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator


def _outcome(tx: Transaction, asker: Asker, body: Body) -> Answer:
    """Its number; 0 from a session that no event has started: nobody waits."""
    most_bytes, most = asker.settings.outcome_bytes, asker.settings.event_outcomes
    event_id = text(body, "event_id", 200, default="") or asker.event_id
    if not event_id:
        return Answer(0)
    if event_id != asker.event_id and tx.project_of_event(event_id) != asker.project:
        raise PerdureError("P0222", f"project {asker.project!r} has no event {event_id!r}")
    value = json.dumps(body.get("value"), ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    if len(value) > most_bytes:
        raise PerdureError("P0402", f"the outcome has {len(value)} bytes as JSON, more than {most_bytes}")
    number = tx.add_outcome(event_id, asker.session_id, value, asker.now_us)
    if number > most:
        raise PerdureError("P0613", f"event {event_id} has {most} outcomes, as many as it may")

    def tell(c: Coordinator) -> None:
        c.usage.add(asker.project, len(value))
        c.outcomes.told(event_id)

    return Answer(number, tell)


async def _prepare(c: Coordinator, asker: Asker, body: Body) -> Body:
    c.usage.check(asker.project)
    return body


OPERATIONS: Final[Mapping[str, Entry]] = {"outcome": Entry(_outcome, _prepare)}

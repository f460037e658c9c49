"""What sessions can ask of the coordinator: the table of all operations."""

from __future__ import annotations

from typing import Final

from perdure_server.coordinator.requests import children, connections, outcomes, subscriptions, values
from perdure_server.coordinator.requests.operations import Entry

OPERATIONS: Final[dict[str, Entry]] = {
    **values.OPERATIONS,
    **children.OPERATIONS,
    **outcomes.OPERATIONS,
    **connections.OPERATIONS,
    **subscriptions.OPERATIONS,
}

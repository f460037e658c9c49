"""Which subscriptions of sessions have had an event, or are still to have it: for people who ask."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator.subscriptions import is_meant
from perdure_server.coordinator.turns import Turns
from perdure_server.core.filters import compile_filter
from perdure_server.store import DeliveryRow, EventRow, SubscriptionRow

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

WAITING: Final = "waiting"
TAKEN: Final = "taken"
_THREADS: Final = 2


class Bounds(NamedTuple):
    """How far is looked."""

    deliveries: int = 200
    subscriptions: int = 1_000  # whose filters are asked


class Deliveries(NamedTuple):
    """`complete`: nothing was left out for the bounds' sake."""

    found: list[pb.Delivery]
    complete: bool


class Finder:
    """Looks in threads of its own, for each project one event at a time: filters may take long."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self.bounds = Bounds()
        self._turns = Turns(_THREADS, "perdure-deliveries")

    async def of(self, event: EventRow) -> Deliveries:
        """In the order in which they were taken; those that wait come last."""
        return await self._turns.run(event.project, self._of, event)

    def _of(self, event: EventRow) -> Deliveries:
        bounds = self.bounds
        behind = self._c.store.subscribers(event.project, event.source, event.seq)
        taken = self._c.store.deliveries(event.seq, bounds.deliveries + 1)  # last: who takes it in between is there
        names = {(row.session_id, row.subscription_id) for row in taken}
        waiting = [
            row
            for row in behind[: bounds.subscriptions]
            if (row.session_id, row.subscription_id) not in names and is_meant(compile_filter(row.filter), event)
        ]
        found = [_delivery(row, TAKEN, row.taken_us) for row in taken] + [_delivery(row, WAITING) for row in waiting]
        complete = len(behind) <= bounds.subscriptions and len(found) <= bounds.deliveries
        return Deliveries(found[: bounds.deliveries], complete)


def _delivery(row: DeliveryRow | SubscriptionRow, state: str, taken_us: int = 0) -> pb.Delivery:
    return pb.Delivery(session_id=row.session_id, subscription=row.subscription_id, state=state, taken_us=taken_us)

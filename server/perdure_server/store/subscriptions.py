"""Rows of what sessions subscribe to, and of what they had of it."""

from __future__ import annotations

import sqlite3
from abc import abstractmethod
from dataclasses import asdict, dataclass
from typing import Any

from perdure_server.store import statements_subscriptions as sql


@dataclass(frozen=True, slots=True)
class SubscriptionRow:
    """A living session's wish for events of a source. `after_seq`: events up to this place are over for it."""

    session_id: str
    subscription_id: str
    project: str
    source: str
    filter: str
    after_seq: int


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """A subscription had an event; it may be over."""

    event_seq: int
    session_id: str
    subscription_id: str
    taken_us: int


class SubscriptionReads:
    """The part of `base.Reads` that concerns these tables."""

    @abstractmethod
    def _rows(self, statement: str, parameters: dict[str, Any]) -> list[sqlite3.Row]: ...

    def subscriptions(self, session_id: str) -> list[SubscriptionRow]:
        return [SubscriptionRow(*row) for row in self._rows(sql.SUBSCRIPTIONS, {"of_session": session_id})]

    def subscriptions_counted(self, session_id: str) -> int:
        count: int = self._rows(sql.SUBSCRIPTIONS_COUNTED, {"of_session": session_id})[0][0]
        return count

    def subscriptions_behind(self) -> list[SubscriptionRow]:
        return [SubscriptionRow(*row) for row in self._rows(sql.SUBSCRIPTIONS_BEHIND, {})]

    def subscribers_counted(self, project: str, source: str) -> int:
        count: int = self._rows(sql.SUBSCRIBERS_COUNTED, {"project": project, "source": source})[0][0]
        return count

    def subscribers(self, project: str, source: str, seq: int) -> list[SubscriptionRow]:
        where = {"project": project, "source": source, "seq": seq}
        return [SubscriptionRow(*row) for row in self._rows(sql.SUBSCRIBERS, where)]

    def deliveries(self, event_seq: int, limit: int) -> list[DeliveryRow]:
        return [DeliveryRow(*row) for row in self._rows(sql.DELIVERIES, {"event_seq": event_seq, "limit": limit})]

    def takers_alive(self, event_seq: int) -> bool:
        return bool(self._rows(sql.TAKERS_ALIVE, {"event_seq": event_seq})[0][0])


class SubscriptionWrites(SubscriptionReads):
    """The part of `base.Transaction` that concerns these tables."""

    _connection: sqlite3.Connection

    def put_subscription(self, row: SubscriptionRow) -> None:
        self._connection.execute(sql.INSERT_SUBSCRIPTION, asdict(row))

    def advance(self, session_id: str, subscription_id: str, seq: int) -> bool:
        where = {"of_session": session_id, "of_subscription": subscription_id, "seq": seq}
        return self._connection.execute(sql.ADVANCE, where).rowcount == 1

    def deliver(self, session_id: str, subscription_id: str, seq: int, at_us: int) -> bool:
        if not self.advance(session_id, subscription_id, seq):
            return False
        self._connection.execute(sql.INSERT_DELIVERY, asdict(DeliveryRow(seq, session_id, subscription_id, at_us)))
        return True

    def delete_subscription(self, session_id: str, subscription_id: str) -> bool:
        where = {"of_session": session_id, "of_subscription": subscription_id}
        return self._connection.execute(sql.DELETE_SUBSCRIPTION, where).rowcount == 1

    def delete_subscriptions(self, session_id: str) -> None:
        self._connection.execute(sql.DELETE_SUBSCRIPTIONS, {"of_session": session_id})

    def delete_deliveries_to(self, session_id: str) -> None:
        self._connection.execute(sql.DELETE_TAKEN, {"of_session": session_id})

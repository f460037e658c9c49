"""Statements about subscriptions of sessions."""

from typing import Final

from sqlalchemy import BindParameter, Integer, bindparam, delete, func, literal_column, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.sql import ClauseElement

from perdure_server.store.schema.outside import deliveries, events, subscriptions
from perdure_server.store.schema.tables import sessions

_EVENT: BindParameter[int] = bindparam("event_seq")
_of_session = subscriptions.c.session_id == bindparam("of_session")
_one = (_of_session, subscriptions.c.subscription_id == bindparam("of_subscription"))

STATEMENTS: Final[dict[str, tuple[str, ClauseElement]]] = {
    "INSERT_SUBSCRIPTION": (
        "a new subscription, unless there is one of this id",
        insert(subscriptions)
        .values({column.name: bindparam(column.name) for column in subscriptions.c})
        .on_conflict_do_nothing(),
    ),
    "SUBSCRIPTIONS": (
        "a session's subscriptions",
        select(subscriptions).where(_of_session).order_by(subscriptions.c.subscription_id),
    ),
    "SUBSCRIPTIONS_COUNTED": (
        "how many a session has",
        select(func.count(subscriptions.c.subscription_id)).where(_of_session),
    ),
    "SUBSCRIPTIONS_BEHIND": (
        "subscriptions that have not had all events of their source",
        select(subscriptions).where(
            select(events.c.seq)
            .where(
                events.c.project == subscriptions.c.project,
                events.c.source == subscriptions.c.source,
                events.c.seq > subscriptions.c.after_seq,
            )
            .exists()
        ),
    ),
    "SUBSCRIBERS_COUNTED": (
        "how many there are to a source",
        select(func.count(subscriptions.c.subscription_id)).where(
            subscriptions.c.project == bindparam("project"), subscriptions.c.source == bindparam("source")
        ),
    ),
    "SUBSCRIBERS": (
        "subscriptions to a source that an event is still before",
        select(subscriptions).where(
            subscriptions.c.project == bindparam("project"),
            subscriptions.c.source == bindparam("source"),
            subscriptions.c.after_seq < bindparam("seq"),
        ),
    ),
    "ADVANCE": (
        "events up to :seq are over for a subscription; no row is changed where they are already",
        update(subscriptions)
        .where(*_one, subscriptions.c.after_seq < bindparam("seq"))
        .values(after_seq=bindparam("seq")),
    ),
    "DELETE_SUBSCRIPTION": ("it is over", delete(subscriptions).where(*_one)),
    "DELETE_SUBSCRIPTIONS": ("the session is over", delete(subscriptions).where(_of_session)),
    # -- who had an event
    "INSERT_DELIVERY": (
        "a subscription has an event",
        insert(deliveries).values({column.name: bindparam(column.name) for column in deliveries.c}),
    ),
    "DELIVERIES": (
        "who had an event, in the order in which they had it",
        select(deliveries)
        .where(deliveries.c.event_seq == _EVENT)
        .order_by(deliveries.c.taken_us, deliveries.c.session_id, deliveries.c.subscription_id)
        .limit(bindparam("limit"))
        .offset(literal_column("0", Integer)),
    ),
    "TAKERS_ALIVE": (
        "has a session had an event that lives?",
        select(
            select(deliveries.c.session_id)
            .select_from(deliveries.join(sessions, deliveries.c.session_id == sessions.c.session_id))
            .where(deliveries.c.event_seq == _EVENT, sessions.c.ended_us.is_(None))
            .exists()
        ),
    ),
    "DELETE_DELIVERIES": ("who had an event", delete(deliveries).where(deliveries.c.event_seq == _EVENT)),
    "DELETE_TAKEN": (
        "what a session had",
        delete(deliveries).where(deliveries.c.session_id == bindparam("of_session")),
    ),
}

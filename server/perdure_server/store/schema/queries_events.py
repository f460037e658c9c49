"""Statements about events, what became of them at triggers, and triggers."""

from typing import Final

from sqlalchemy import (
    BindParameter,
    Integer,
    String,
    and_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy import update as change
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.sql import ClauseElement

from perdure_server.store.schema.outside import dispatches, events, outcomes, subscriptions, triggers
from perdure_server.store.schema.tables import sessions

_ZERO, _ONE = literal_column("0", Integer), literal_column("1", Integer)
_EMPTY = literal_column("''", String)
_PENDING, _STARTED = literal_column("'pending'", String), literal_column("'started'", String)
_PROJECT: BindParameter[str] = bindparam("project")
_SOURCE: BindParameter[str] = bindparam("source")
_LIMIT: BindParameter[int] = bindparam("limit")

_heads = [column for column in events.c if column.name != "data"]
_new_dispatch = upsert(dispatches)
_new_trigger = upsert(triggers)

# A page of a list ends before (:before_seq). Each of the other conditions counts unless its parameter is empty.
_page = and_(
    events.c.seq < bindparam("before_seq"),
    or_(_SOURCE == _EMPTY, events.c.source == _SOURCE),
    or_(
        bindparam("state") == _EMPTY,
        events.c.seq.in_(select(dispatches.c.event_seq).where(dispatches.c.state == bindparam("state"))),
    ),
)
# Nobody needs it any more: nothing of it is to be started or runs, and no subscription has it still before it.
_over = and_(
    events.c.created_us < bindparam("before_us"),
    ~select(dispatches.c.event_seq)
    .where(dispatches.c.event_seq == events.c.seq, dispatches.c.state.in_([_PENDING, _STARTED]))
    .exists(),
    ~select(subscriptions.c.session_id)
    .where(
        subscriptions.c.project == events.c.project,
        subscriptions.c.source == events.c.source,
        subscriptions.c.after_seq < events.c.seq,
    )
    .exists(),
)

STATEMENTS: Final[dict[str, tuple[str, ClauseElement]]] = {
    # -- events
    "INSERT_EVENT": (
        "a new event, unless there is one with the same mark of its source",
        upsert(events)
        .values({column.name: bindparam(column.name) for column in events.c if column.name != "seq"})
        .on_conflict_do_nothing()
        .returning(events.c.seq),
    ),
    "EVENT": ("one event", select(events).where(events.c.event_id == bindparam("event_id"))),
    "EVENT_AT": ("the event at a place", select(events).where(events.c.seq == bindparam("seq"))),
    "EVENT_ONCE": (
        "the event with a mark of its source",
        select(events).where(
            events.c.project == _PROJECT, events.c.source == _SOURCE, events.c.dedup == bindparam("dedup")
        ),
    ),
    "EVENTS": (
        "a page of all events, newest first, without their data",
        select(*_heads).where(_page).order_by(events.c.seq.desc()).limit(_LIMIT).offset(_ZERO),
    ),
    "EVENTS_OF_PROJECT": (
        "a page of a project's events, newest first, without their data",
        select(*_heads)
        .where(_page, events.c.project == _PROJECT)
        .order_by(events.c.seq.desc())
        .limit(_LIMIT)
        .offset(_ZERO),
    ),
    "EVENTS_AFTER": (
        "what has come from a source since",
        select(events)
        .where(events.c.project == _PROJECT, events.c.source == _SOURCE, events.c.seq > bindparam("after_seq"))
        .order_by(events.c.seq)
        .limit(_LIMIT)
        .offset(_ZERO),
    ),
    "LAST_EVENT": ("how far events have come", select(func.coalesce(func.max(events.c.seq), _ZERO))),
    "OLD_EVENTS": (
        "events from before a time that nobody needs any more, oldest first",
        select(events.c.seq, events.c.event_id).where(_over).order_by(events.c.created_us).limit(_LIMIT).offset(_ZERO),
    ),
    "DELETE_DISPATCHES": (
        "what became of an event",
        delete(dispatches).where(dispatches.c.event_seq == bindparam("seq")),
    ),
    "DELETE_OUTCOMES": (
        "what was answered to an event",
        delete(outcomes).where(outcomes.c.event_id == bindparam("event_id")),
    ),
    "DELETE_EVENT": ("an event", delete(events).where(events.c.seq == bindparam("seq"))),
    # -- what becomes of them
    "PUT_DISPATCH": (
        "what became of an event at a trigger",
        _new_dispatch.on_conflict_do_update(
            index_elements=["event_seq", "trigger_name"],
            set_={
                name: _new_dispatch.excluded[name]
                for name in ("state", "attempt", "session_id", "group_key", "due_us", "reason")
            },
        ),
    ),
    "DISPATCHES": (
        "what became of an event, by trigger",
        select(dispatches).where(dispatches.c.event_seq == bindparam("event_seq")).order_by(dispatches.c.trigger_name),
    ),
    "DISPATCH": (
        "what became of an event at one trigger",
        select(dispatches).where(
            dispatches.c.event_seq == bindparam("event_seq"), dispatches.c.trigger_name == bindparam("trigger_name")
        ),
    ),
    "DISPATCH_OF_SESSION": (
        "what a session was started for",
        select(dispatches).where(dispatches.c.session_id == bindparam("session_id"), dispatches.c.session_id != _EMPTY),
    ),
    "DISPATCHES_PENDING": (
        "what is still to be started, in the order of the events",
        select(dispatches).where(dispatches.c.state == _PENDING).order_by(dispatches.c.event_seq),
    ),
    "DISPATCHES_HELD": (
        "what runs and counts in a group",
        select(dispatches)
        .where(dispatches.c.state == _STARTED, dispatches.c.group_key != _EMPTY)
        .order_by(dispatches.c.event_seq),
    ),
    "DISPATCHES_ENDED": (
        "sessions that have ended, and for whose event that has not been said",
        select(dispatches.c.session_id)
        .select_from(dispatches.join(sessions, dispatches.c.session_id == sessions.c.session_id))
        .where(dispatches.c.state == _STARTED, sessions.c.ended_us.is_not(None))
        .order_by(sessions.c.ended_us)
        .limit(_LIMIT)
        .offset(_ZERO),
    ),
    # -- triggers
    "PUT_TRIGGER": (
        "a trigger, if it is new; its slug stays",
        _new_trigger.on_conflict_do_update(
            index_elements=["project", "name"], set_={"type": _new_trigger.excluded.type}
        ),
    ),
    "TRIGGERS": (
        "the triggers that a project has had",
        select(triggers).where(triggers.c.project == _PROJECT).order_by(triggers.c.name),
    ),
    "TRIGGER_OF_SLUG": ("whose URL it is", select(triggers).where(triggers.c.slug == bindparam("slug"))),
    "TRIGGER_FIRED": (
        "a time of a schedule is dealt with",
        change(triggers)
        .where(triggers.c.project == bindparam("of_project"), triggers.c.name == bindparam("of_name"))
        .values(last_us=func.max(triggers.c.last_us, bindparam("at_us"))),
    ),
}

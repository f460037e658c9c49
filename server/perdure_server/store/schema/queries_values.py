"""Statements about what sessions share and say: stored values, outcomes, and the ties of parents and children."""

from typing import Final

from sqlalchemy import (
    BindParameter,
    Integer,
    String,
    bindparam,
    delete,
    func,
    insert,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.sql import ClauseElement

from perdure_server.store.schema.outside import dispatches, events, outcomes, shared
from perdure_server.store.schema.tables import sessions, signals

_ZERO, _ONE = literal_column("0", Integer), literal_column("1", Integer)
_EMPTY = literal_column("''", String)
_PENDING = literal_column("'pending'", String)
_POLICIES = [literal_column(f"'{policy}'", String) for policy in ("terminate", "request_cancel")]
_PROJECT: BindParameter[str] = bindparam("project")
_NAME: BindParameter[str] = bindparam("name")
_EVENT: BindParameter[str] = bindparam("event_id")
_PARENT: BindParameter[str] = bindparam("parent_id")

_new_value = upsert(shared)
_retired = upsert(shared)
_child, _parent = sessions.alias("child"), sessions.alias("parent")

STATEMENTS: Final[dict[str, tuple[str, ClauseElement]]] = {
    # -- the key-value store; the row without a name keeps the highest version that was ever deleted
    "PUT_VALUE": (
        "a value, new or changed",
        _new_value.on_conflict_do_update(
            index_elements=["project", "name"],
            set_={name: _new_value.excluded[name] for name in ("version", "published", "set_us", "value")},
        ),
    ),
    "VALUE": ("one value", select(shared).where(shared.c.project == _PROJECT, shared.c.name == _NAME)),
    "VALUES_LISTED": (
        "a project's values by key, without the values",
        select(shared.c.name, shared.c.version, shared.c.published, shared.c.set_us)
        .where(
            shared.c.project == _PROJECT,
            shared.c.name != _EMPTY,
            func.substr(shared.c.name, _ONE, func.length(bindparam("prefix"))) == bindparam("prefix"),
        )
        .order_by(shared.c.name),
    ),
    "VALUE_COUNT": (
        "how many values a project has",
        select(func.count()).select_from(shared).where(shared.c.project == _PROJECT, shared.c.name != _EMPTY),
    ),
    "DELETE_VALUE": (
        "a value is gone",
        delete(shared)
        .where(shared.c.project == _PROJECT, shared.c.name == _NAME)
        .returning(shared.c.version, shared.c.set_us),
    ),
    "RETIRE_VERSION": (
        "no version is given twice, even to a key that comes again",
        _retired.on_conflict_do_update(
            index_elements=["project", "name"],
            set_={"version": func.max(shared.c.version, _retired.excluded.version)},
        ),
    ),
    # -- outcomes
    "ADD_OUTCOME": (
        "an answer to an event, numbered after the last one",
        insert(outcomes)
        .from_select(
            ["event_id", "n", "session_id", "at_us", "value"],
            select(
                _EVENT,
                func.coalesce(func.max(outcomes.c.n), _ZERO) + _ONE,
                bindparam("session_id"),
                bindparam("at_us"),
                bindparam("value"),
            ).where(outcomes.c.event_id == _EVENT),
        )
        .returning(outcomes.c.n),
    ),
    "OUTCOMES": (
        "the answers to an event, in order",
        select(outcomes)
        .where(outcomes.c.event_id == _EVENT, outcomes.c.n > bindparam("after_n"))
        .order_by(outcomes.c.n)
        .limit(bindparam("limit"))
        .offset(_ZERO),
    ),
    "PROJECT_OF_EVENT": ("whose event it is", select(events.c.project).where(events.c.event_id == _EVENT)),
    "PROJECT_BYTES": (
        "how much a project stores: events, what sessions were started with, outcomes",
        select(func.coalesce(func.sum(func.length(events.c.data)), _ZERO))
        .where(events.c.project == _PROJECT)
        .union_all(
            select(func.coalesce(func.sum(func.length(sessions.c.event)), _ZERO)).where(sessions.c.project == _PROJECT),
            select(func.coalesce(func.sum(func.length(outcomes.c.value)), _ZERO))
            .select_from(outcomes.join(events, outcomes.c.event_id == events.c.event_id))
            .where(events.c.project == _PROJECT),
        ),
    ),
    "ANSWERS_OPEN": (
        "who may still answer an event, besides those who listen to its source: its living sessions, those to come",
        select(func.count())
        .select_from(sessions)
        .where(sessions.c.event_id == _EVENT, sessions.c.event_id != _EMPTY, sessions.c.ended_us.is_(None))
        .union_all(
            select(func.count())
            .select_from(dispatches.join(events, dispatches.c.event_seq == events.c.seq))
            .where(events.c.event_id == _EVENT, dispatches.c.state == _PENDING),
        ),
    ),
    # -- parents and children
    "CHILDREN": (
        "how many children a session has had",
        select(func.count())
        .select_from(sessions)
        .where(sessions.c.parent_id == _PARENT, sessions.c.parent_id != _EMPTY),
    ),
    "LIVING": (
        "how many sessions of a deployment live, as far as somebody counts",
        select(func.count()).select_from(
            select(sessions.c.session_id)
            .where(sessions.c.deployment_id == bindparam("of_deployment"), sessions.c.ended_us.is_(None))
            .limit(bindparam("most"))
            .offset(_ZERO)
            .subquery()
        ),
    ),
    "BEREAVED": (
        "living children that are to end because their parent has, and were not told",
        select(_child.c.session_id, _child.c.on_parent_end)
        .select_from(_child.join(_parent, _child.c.parent_id == _parent.c.session_id))
        .where(
            _child.c.ended_us.is_(None),
            _child.c.on_parent_end.in_(_POLICIES),
            _child.c.stop_requested.is_(None),
            _parent.c.ended_us.is_not(None),
        ),
    ),
    "BEREAVED_OF": (
        "the same of one parent, which has ended",
        select(_child.c.session_id, _child.c.on_parent_end).where(
            _child.c.parent_id == _PARENT,
            _child.c.parent_id != _EMPTY,
            _child.c.ended_us.is_(None),
            _child.c.on_parent_end.in_(_POLICIES),
        ),
    ),
    "COPY_ENDS": (
        "what a session was told of its children's ends and a fork of it has not taken yet",
        insert(signals).from_select(
            ["session_id", "n", "name", "payload", "at_us"],
            select(bindparam("target_id"), signals.c.n, signals.c.name, signals.c.payload, signals.c.at_us).where(
                signals.c.session_id == bindparam("source_id"),
                func.substr(signals.c.name, _ONE, literal_column("4", Integer)) == literal_column("'ses_'", String),
                or_(signals.c.consumed_seq.is_(None), signals.c.consumed_seq > bindparam("upto_seq")),
            ),
        ),
    ),
    "SIGNALS_NAMED": (
        "how many signals of a name a session has ever had",
        select(func.count())
        .select_from(signals)
        .where(signals.c.session_id == bindparam("session_id"), signals.c.name == _NAME),
    ),
    "SIGNALS_WAITING": (
        "how many signals nobody has taken, and their bytes",
        select(func.count(), func.coalesce(func.sum(func.length(signals.c.payload)), _ZERO)).where(
            signals.c.session_id == bindparam("session_id"), signals.c.consumed_seq.is_(None)
        ),
    ),
}

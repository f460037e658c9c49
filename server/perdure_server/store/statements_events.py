# fmt: off
"""The texts of schema/queries_events.py for SQLite. Made by schema/generate.py."""

from typing import Final

# a new event, unless there is one with the same mark of its source
INSERT_EVENT: Final = (
    "INSERT INTO events (event_id, project, source, source_type, event_type, created_us, dedup, memo, data) "
    "VALUES (:event_id, :project, :source, :source_type, :event_type, :created_us, :dedup, :memo, :data) ON "
    "CONFLICT DO NOTHING RETURNING seq"
)

# one event
EVENT: Final = (
    "SELECT events.seq, events.event_id, events.project, events.source, events.source_type, "
    "events.event_type, events.created_us, events.dedup, events.memo, events.data FROM events WHERE "
    "events.event_id = :event_id"
)

# the event at a place
EVENT_AT: Final = (
    "SELECT events.seq, events.event_id, events.project, events.source, events.source_type, "
    "events.event_type, events.created_us, events.dedup, events.memo, events.data FROM events WHERE "
    "events.seq = :seq"
)

# the event with a mark of its source
EVENT_ONCE: Final = (
    "SELECT events.seq, events.event_id, events.project, events.source, events.source_type, "
    "events.event_type, events.created_us, events.dedup, events.memo, events.data FROM events WHERE "
    "events.project = :project AND events.source = :source AND events.dedup = :dedup"
)

# a page of all events, newest first, without their data
EVENTS: Final = (
    "SELECT events.seq, events.event_id, events.project, events.source, events.source_type, "
    "events.event_type, events.created_us, events.dedup, events.memo FROM events WHERE events.seq < "
    ":before_seq AND (:source = '' OR events.source = :source) AND (:state = '' OR events.seq IN (SELECT "
    "dispatches.event_seq FROM dispatches WHERE dispatches.state = :state)) ORDER BY events.seq DESC LIMIT "
    ":limit OFFSET 0"
)

# a page of a project's events, newest first, without their data
EVENTS_OF_PROJECT: Final = (
    "SELECT events.seq, events.event_id, events.project, events.source, events.source_type, "
    "events.event_type, events.created_us, events.dedup, events.memo FROM events WHERE events.seq < "
    ":before_seq AND (:source = '' OR events.source = :source) AND (:state = '' OR events.seq IN (SELECT "
    "dispatches.event_seq FROM dispatches WHERE dispatches.state = :state)) AND events.project = :project "
    "ORDER BY events.seq DESC LIMIT :limit OFFSET 0"
)

# what has come from a source since
EVENTS_AFTER: Final = (
    "SELECT events.seq, events.event_id, events.project, events.source, events.source_type, "
    "events.event_type, events.created_us, events.dedup, events.memo, events.data FROM events WHERE "
    "events.project = :project AND events.source = :source AND events.seq > :after_seq ORDER BY events.seq "
    "LIMIT :limit OFFSET 0"
)

# how far events have come
LAST_EVENT: Final = "SELECT coalesce(max(events.seq), 0) AS coalesce_1 FROM events"

# events from before a time that nobody needs any more, oldest first
OLD_EVENTS: Final = (
    "SELECT events.seq, events.event_id FROM events WHERE events.created_us < :before_us AND NOT (EXISTS "
    "(SELECT dispatches.event_seq FROM dispatches WHERE dispatches.event_seq = events.seq AND "
    "dispatches.state IN ('pending', 'started'))) AND NOT (EXISTS (SELECT subscriptions.session_id FROM "
    "subscriptions WHERE subscriptions.project = events.project AND subscriptions.source = events.source AND "
    "subscriptions.after_seq < events.seq)) ORDER BY events.created_us LIMIT :limit OFFSET 0"
)

# what became of an event
DELETE_DISPATCHES: Final = "DELETE FROM dispatches WHERE dispatches.event_seq = :seq"

# what was answered to an event
DELETE_OUTCOMES: Final = "DELETE FROM outcomes WHERE outcomes.event_id = :event_id"

# an event
DELETE_EVENT: Final = "DELETE FROM events WHERE events.seq = :seq"

# what became of an event at a trigger
PUT_DISPATCH: Final = (
    "INSERT INTO dispatches (event_seq, trigger_name, state, attempt, session_id, group_key, due_us, reason) "
    "VALUES (:event_seq, :trigger_name, :state, :attempt, :session_id, :group_key, :due_us, :reason) ON "
    "CONFLICT (event_seq, trigger_name) DO UPDATE SET state = excluded.state, attempt = excluded.attempt, "
    "session_id = excluded.session_id, group_key = excluded.group_key, due_us = excluded.due_us, reason = "
    "excluded.reason"
)

# what became of an event, by trigger
DISPATCHES: Final = (
    "SELECT dispatches.event_seq, dispatches.trigger_name, dispatches.state, dispatches.attempt, "
    "dispatches.session_id, dispatches.group_key, dispatches.due_us, dispatches.reason FROM dispatches WHERE "
    "dispatches.event_seq = :event_seq ORDER BY dispatches.trigger_name"
)

# what became of an event at one trigger
DISPATCH: Final = (
    "SELECT dispatches.event_seq, dispatches.trigger_name, dispatches.state, dispatches.attempt, "
    "dispatches.session_id, dispatches.group_key, dispatches.due_us, dispatches.reason FROM dispatches WHERE "
    "dispatches.event_seq = :event_seq AND dispatches.trigger_name = :trigger_name"
)

# what a session was started for
DISPATCH_OF_SESSION: Final = (
    "SELECT dispatches.event_seq, dispatches.trigger_name, dispatches.state, dispatches.attempt, "
    "dispatches.session_id, dispatches.group_key, dispatches.due_us, dispatches.reason FROM dispatches WHERE "
    "dispatches.session_id = :session_id AND dispatches.session_id != ''"
)

# what is still to be started, in the order of the events
DISPATCHES_PENDING: Final = (
    "SELECT dispatches.event_seq, dispatches.trigger_name, dispatches.state, dispatches.attempt, "
    "dispatches.session_id, dispatches.group_key, dispatches.due_us, dispatches.reason FROM dispatches WHERE "
    "dispatches.state = 'pending' ORDER BY dispatches.event_seq"
)

# what runs and counts in a group
DISPATCHES_HELD: Final = (
    "SELECT dispatches.event_seq, dispatches.trigger_name, dispatches.state, dispatches.attempt, "
    "dispatches.session_id, dispatches.group_key, dispatches.due_us, dispatches.reason FROM dispatches WHERE "
    "dispatches.state = 'started' AND dispatches.group_key != '' ORDER BY dispatches.event_seq"
)

# sessions that have ended, and for whose event that has not been said
DISPATCHES_ENDED: Final = (
    "SELECT dispatches.session_id FROM dispatches JOIN sessions ON dispatches.session_id = "
    "sessions.session_id WHERE dispatches.state = 'started' AND sessions.ended_us IS NOT NULL ORDER BY "
    "sessions.ended_us LIMIT :limit OFFSET 0"
)

# a trigger, if it is new; its slug stays
PUT_TRIGGER: Final = (
    "INSERT INTO triggers (project, name, type, slug, created_us, last_us) VALUES (:project, :name, :type, "
    ":slug, :created_us, :last_us) ON CONFLICT (project, name) DO UPDATE SET type = excluded.type"
)

# the triggers that a project has had
TRIGGERS: Final = (
    "SELECT triggers.project, triggers.name, triggers.type, triggers.slug, triggers.created_us, "
    "triggers.last_us FROM triggers WHERE triggers.project = :project ORDER BY triggers.name"
)

# whose URL it is
TRIGGER_OF_SLUG: Final = (
    "SELECT triggers.project, triggers.name, triggers.type, triggers.slug, triggers.created_us, "
    "triggers.last_us FROM triggers WHERE triggers.slug = :slug"
)

# a time of a schedule is dealt with
TRIGGER_FIRED: Final = (
    "UPDATE triggers SET last_us=max(triggers.last_us, :at_us) WHERE triggers.project = :of_project AND "
    "triggers.name = :of_name"
)

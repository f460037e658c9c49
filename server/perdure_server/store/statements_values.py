# fmt: off
"""The texts of schema/queries_values.py for SQLite. Made by schema/generate.py."""

from typing import Final

# a value, new or changed
PUT_VALUE: Final = (
    "INSERT INTO shared_values (project, name, version, published, set_us, value) VALUES (:project, :name, "
    ":version, :published, :set_us, :value) ON CONFLICT (project, name) DO UPDATE SET version = "
    "excluded.version, published = excluded.published, set_us = excluded.set_us, value = excluded.value"
)

# one value
VALUE: Final = (
    "SELECT shared_values.project, shared_values.name, shared_values.version, shared_values.published, "
    "shared_values.set_us, shared_values.value FROM shared_values WHERE shared_values.project = :project AND "
    "shared_values.name = :name"
)

# a project's values by key, without the values
VALUES_LISTED: Final = (
    "SELECT shared_values.name, shared_values.version, shared_values.published, shared_values.set_us FROM "
    "shared_values WHERE shared_values.project = :project AND shared_values.name != '' AND "
    "substr(shared_values.name, 1, length(:prefix)) = :prefix ORDER BY shared_values.name"
)

# how many values a project has
VALUE_COUNT: Final = (
    "SELECT count(*) AS count_1 FROM shared_values WHERE shared_values.project = :project AND "
    "shared_values.name != ''"
)

# a value is gone
DELETE_VALUE: Final = (
    "DELETE FROM shared_values WHERE shared_values.project = :project AND shared_values.name = :name "
    "RETURNING version, set_us"
)

# no version is given twice, even to a key that comes again
RETIRE_VERSION: Final = (
    "INSERT INTO shared_values (project, name, version, published, set_us, value) VALUES (:project, :name, "
    ":version, :published, :set_us, :value) ON CONFLICT (project, name) DO UPDATE SET version = "
    "max(shared_values.version, excluded.version)"
)

# an answer to an event, numbered after the last one
ADD_OUTCOME: Final = (
    "INSERT INTO outcomes (event_id, n, session_id, at_us, value) SELECT :event_id AS anon_1, "
    "coalesce(max(outcomes.n), 0) + 1 AS anon_2, :session_id AS anon_3, :at_us AS anon_4, :value AS anon_5 "
    "FROM outcomes WHERE outcomes.event_id = :event_id RETURNING n"
)

# the answers to an event, in order
OUTCOMES: Final = (
    "SELECT outcomes.event_id, outcomes.n, outcomes.session_id, outcomes.at_us, outcomes.value FROM outcomes "
    "WHERE outcomes.event_id = :event_id AND outcomes.n > :after_n ORDER BY outcomes.n LIMIT :limit OFFSET 0"
)

# whose event it is
PROJECT_OF_EVENT: Final = "SELECT events.project FROM events WHERE events.event_id = :event_id"

# how much a project stores: events, what sessions were started with, outcomes
PROJECT_BYTES: Final = (
    "SELECT coalesce(sum(length(events.data)), 0) AS coalesce_1 FROM events WHERE events.project = :project "
    "UNION ALL SELECT coalesce(sum(length(sessions.event)), 0) AS coalesce_2 FROM sessions WHERE "
    "sessions.project = :project UNION ALL SELECT coalesce(sum(length(outcomes.value)), 0) AS coalesce_3 FROM "
    "outcomes JOIN events ON outcomes.event_id = events.event_id WHERE events.project = :project"
)

# who may still answer an event, besides those who listen to its source: its living sessions, those to come
ANSWERS_OPEN: Final = (
    "SELECT count(*) AS count_1 FROM sessions WHERE sessions.event_id = :event_id AND sessions.event_id != '' "
    "AND sessions.ended_us IS NULL UNION ALL SELECT count(*) AS count_2 FROM dispatches JOIN events ON "
    "dispatches.event_seq = events.seq WHERE events.event_id = :event_id AND dispatches.state = 'pending'"
)

# how many children a session has had
CHILDREN: Final = (
    "SELECT count(*) AS count_1 FROM sessions WHERE sessions.parent_id = :parent_id AND sessions.parent_id != "
    "''"
)

# how many sessions of a deployment live, as far as somebody counts
LIVING: Final = (
    "SELECT count(*) AS count_1 FROM (SELECT sessions.session_id AS session_id FROM sessions WHERE "
    "sessions.deployment_id = :of_deployment AND sessions.ended_us IS NULL LIMIT :most OFFSET 0) AS anon_1"
)

# living children that are to end because their parent has, and were not told
BEREAVED: Final = (
    "SELECT child.session_id, child.on_parent_end FROM sessions AS child JOIN sessions AS parent ON "
    "child.parent_id = parent.session_id WHERE child.ended_us IS NULL AND child.on_parent_end IN "
    "('terminate', 'request_cancel') AND child.stop_requested IS NULL AND parent.ended_us IS NOT NULL"
)

# the same of one parent, which has ended
BEREAVED_OF: Final = (
    "SELECT child.session_id, child.on_parent_end FROM sessions AS child WHERE child.parent_id = :parent_id "
    "AND child.parent_id != '' AND child.ended_us IS NULL AND child.on_parent_end IN ('terminate', "
    "'request_cancel')"
)

# what a session was told of its children's ends and a fork of it has not taken yet
COPY_ENDS: Final = (
    "INSERT INTO signals (session_id, n, name, payload, at_us) SELECT :target_id AS anon_1, signals.n, "
    "signals.name, signals.payload, signals.at_us FROM signals WHERE signals.session_id = :source_id AND "
    "substr(signals.name, 1, 4) = 'ses_' AND (signals.consumed_seq IS NULL OR signals.consumed_seq > "
    ":upto_seq)"
)

# how many signals of a name a session has ever had
SIGNALS_NAMED: Final = (
    "SELECT count(*) AS count_1 FROM signals WHERE signals.session_id = :session_id AND signals.name = :name"
)

# how many signals nobody has taken, and their bytes
SIGNALS_WAITING: Final = (
    "SELECT count(*) AS count_1, coalesce(sum(length(signals.payload)), 0) AS coalesce_1 FROM signals WHERE "
    "signals.session_id = :session_id AND signals.consumed_seq IS NULL"
)

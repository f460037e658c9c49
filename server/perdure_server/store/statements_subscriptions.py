# fmt: off
"""The texts of schema/queries_subscriptions.py for SQLite. Made by schema/generate.py."""

from typing import Final

# a new subscription, unless there is one of this id
INSERT_SUBSCRIPTION: Final = (
    "INSERT INTO subscriptions (session_id, subscription_id, project, source, filter, after_seq) VALUES "
    "(:session_id, :subscription_id, :project, :source, :filter, :after_seq) ON CONFLICT DO NOTHING"
)

# a session's subscriptions
SUBSCRIPTIONS: Final = (
    "SELECT subscriptions.session_id, subscriptions.subscription_id, subscriptions.project, "
    "subscriptions.source, subscriptions.filter, subscriptions.after_seq FROM subscriptions WHERE "
    "subscriptions.session_id = :of_session ORDER BY subscriptions.subscription_id"
)

# how many a session has
SUBSCRIPTIONS_COUNTED: Final = (
    "SELECT count(subscriptions.subscription_id) AS count_1 FROM subscriptions WHERE subscriptions.session_id "
    "= :of_session"
)

# subscriptions that have not had all events of their source
SUBSCRIPTIONS_BEHIND: Final = (
    "SELECT subscriptions.session_id, subscriptions.subscription_id, subscriptions.project, "
    "subscriptions.source, subscriptions.filter, subscriptions.after_seq FROM subscriptions WHERE EXISTS "
    "(SELECT events.seq FROM events WHERE events.project = subscriptions.project AND events.source = "
    "subscriptions.source AND events.seq > subscriptions.after_seq)"
)

# how many there are to a source
SUBSCRIBERS_COUNTED: Final = (
    "SELECT count(subscriptions.subscription_id) AS count_1 FROM subscriptions WHERE subscriptions.project = "
    ":project AND subscriptions.source = :source"
)

# subscriptions to a source that an event is still before
SUBSCRIBERS: Final = (
    "SELECT subscriptions.session_id, subscriptions.subscription_id, subscriptions.project, "
    "subscriptions.source, subscriptions.filter, subscriptions.after_seq FROM subscriptions WHERE "
    "subscriptions.project = :project AND subscriptions.source = :source AND subscriptions.after_seq < :seq"
)

# events up to :seq are over for a subscription; no row is changed where they are already
ADVANCE: Final = (
    "UPDATE subscriptions SET after_seq=:seq WHERE subscriptions.session_id = :of_session AND "
    "subscriptions.subscription_id = :of_subscription AND subscriptions.after_seq < :seq"
)

# it is over
DELETE_SUBSCRIPTION: Final = (
    "DELETE FROM subscriptions WHERE subscriptions.session_id = :of_session AND subscriptions.subscription_id "
    "= :of_subscription"
)

# the session is over
DELETE_SUBSCRIPTIONS: Final = "DELETE FROM subscriptions WHERE subscriptions.session_id = :of_session"

# a subscription has an event
INSERT_DELIVERY: Final = (
    "INSERT INTO deliveries (event_seq, session_id, subscription_id, taken_us) VALUES (:event_seq, "
    ":session_id, :subscription_id, :taken_us)"
)

# who had an event, in the order in which they had it
DELIVERIES: Final = (
    "SELECT deliveries.event_seq, deliveries.session_id, deliveries.subscription_id, deliveries.taken_us FROM "
    "deliveries WHERE deliveries.event_seq = :event_seq ORDER BY deliveries.taken_us, deliveries.session_id, "
    "deliveries.subscription_id LIMIT :limit OFFSET 0"
)

# has a session had an event that lives?
TAKERS_ALIVE: Final = (
    "SELECT EXISTS (SELECT deliveries.session_id FROM deliveries JOIN sessions ON deliveries.session_id = "
    "sessions.session_id WHERE deliveries.event_seq = :event_seq AND sessions.ended_us IS NULL) AS anon_1"
)

# who had an event
DELETE_DELIVERIES: Final = "DELETE FROM deliveries WHERE deliveries.event_seq = :event_seq"

# what a session had
DELETE_TAKEN: Final = "DELETE FROM deliveries WHERE deliveries.session_id = :of_session"

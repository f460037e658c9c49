# fmt: off
"""The texts of schema/queries.py for SQLite. Made by schema/generate.py."""

from typing import Final

SCHEMA: Final = "0005"

CREATE: Final = (
    "CREATE TABLE alembic_version ( version_num VARCHAR(32) NOT NULL, PRIMARY KEY (version_num) )",
    (
        "CREATE TABLE builds ( digest VARCHAR NOT NULL, size BIGINT NOT NULL, created_us BIGINT NOT NULL, exports "
        "TEXT NOT NULL, manifest TEXT NOT NULL, PRIMARY KEY (digest) )"
    ),
    (
        "CREATE TABLE connections ( project VARCHAR NOT NULL, name VARCHAR NOT NULL, integration VARCHAR NOT "
        "NULL, slug VARCHAR NOT NULL, set_us BIGINT NOT NULL, PRIMARY KEY (project, name), UNIQUE (slug) ) "
        "WITHOUT ROWID"
    ),
    (
        "CREATE TABLE events ( seq INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, event_id VARCHAR NOT NULL, project "
        "VARCHAR NOT NULL, source VARCHAR NOT NULL, source_type VARCHAR NOT NULL, event_type VARCHAR NOT NULL, "
        "created_us BIGINT NOT NULL, dedup VARCHAR, memo TEXT NOT NULL, data BLOB NOT NULL, UNIQUE (event_id) )"
    ),
    "CREATE INDEX events_by_source ON events (project, source, seq)",
    "CREATE INDEX events_by_time ON events (created_us)",
    "CREATE UNIQUE INDEX events_once ON events (project, source, dedup)",
    (
        "CREATE TABLE hosts ( host_id VARCHAR NOT NULL, key_digest BLOB NOT NULL, joined_us BIGINT NOT NULL, "
        "expires_us BIGINT NOT NULL, PRIMARY KEY (host_id) )"
    ),
    (
        "CREATE TABLE invites ( invite_id VARCHAR NOT NULL, digest BLOB NOT NULL, host_id VARCHAR NOT NULL, "
        "created_us BIGINT NOT NULL, expires_us BIGINT NOT NULL, PRIMARY KEY (invite_id) )"
    ),
    "CREATE TABLE meta ( name VARCHAR NOT NULL, value TEXT NOT NULL, PRIMARY KEY (name) )",
    (
        "CREATE TABLE outcomes ( event_id VARCHAR NOT NULL, n INTEGER NOT NULL, session_id VARCHAR NOT NULL, "
        "at_us BIGINT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (event_id, n) ) WITHOUT ROWID"
    ),
    "CREATE TABLE projects ( name VARCHAR NOT NULL, created_us BIGINT NOT NULL, PRIMARY KEY (name) )",
    (
        "CREATE TABLE sessions ( session_id VARCHAR NOT NULL, epoch BIGINT NOT NULL, state VARCHAR NOT NULL, "
        "created_us BIGINT NOT NULL, ended_us BIGINT, wake_at_us BIGINT, project VARCHAR NOT NULL, build_id "
        "VARCHAR NOT NULL, deployment_id VARCHAR NOT NULL, entry_point VARCHAR NOT NULL, durable BOOLEAN NOT "
        "NULL, hash_seed BIGINT NOT NULL, parent_id VARCHAR NOT NULL, event_id VARCHAR NOT NULL, forked_from "
        "VARCHAR NOT NULL, origin_id VARCHAR NOT NULL, stop_requested TEXT, waiting BLOB, event BLOB NOT NULL, "
        "result BLOB, error BLOB, divergence BLOB, event_form INTEGER DEFAULT '0' NOT NULL, on_parent_end VARCHAR "
        "DEFAULT '' NOT NULL, memo TEXT, status BLOB, PRIMARY KEY (session_id) )"
    ),
    "CREATE INDEX sessions_alive ON sessions (session_id) WHERE ended_us IS NULL",
    "CREATE INDEX sessions_by_project ON sessions (project, created_us, session_id)",
    "CREATE INDEX sessions_by_time ON sessions (created_us, session_id)",
    "CREATE INDEX sessions_of_deployment ON sessions (deployment_id) WHERE ended_us IS NULL",
    "CREATE INDEX sessions_of_event ON sessions (event_id) WHERE event_id != ''",
    "CREATE INDEX sessions_of_parent ON sessions (parent_id) WHERE parent_id != ''",
    "CREATE INDEX sessions_to_wake ON sessions (wake_at_us) WHERE wake_at_us IS NOT NULL",
    (
        "CREATE TABLE shared_values ( project VARCHAR NOT NULL, name VARCHAR NOT NULL, version BIGINT NOT NULL, "
        "published BOOLEAN NOT NULL, set_us BIGINT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (project, name) ) "
        "WITHOUT ROWID"
    ),
    (
        "CREATE TABLE tokens ( token_id VARCHAR NOT NULL, digest BLOB NOT NULL, name VARCHAR NOT NULL, scope "
        "VARCHAR NOT NULL, project VARCHAR NOT NULL, created_us BIGINT NOT NULL, expires_us BIGINT NOT NULL, "
        "used_us BIGINT NOT NULL, PRIMARY KEY (token_id) )"
    ),
    (
        "CREATE TABLE triggers ( project VARCHAR NOT NULL, name VARCHAR NOT NULL, type VARCHAR NOT NULL, slug "
        "VARCHAR NOT NULL, created_us BIGINT NOT NULL, last_us BIGINT NOT NULL, PRIMARY KEY (project, name), "
        "UNIQUE (slug) ) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE vars ( project VARCHAR NOT NULL, name VARCHAR NOT NULL, value BLOB NOT NULL, secret BOOLEAN "
        "NOT NULL, key_id VARCHAR NOT NULL, set_us BIGINT NOT NULL, PRIMARY KEY (project, name) ) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE deliveries ( event_seq BIGINT NOT NULL, session_id VARCHAR NOT NULL, subscription_id "
        "VARCHAR NOT NULL, taken_us BIGINT NOT NULL, PRIMARY KEY (event_seq, session_id, subscription_id), "
        "FOREIGN KEY(event_seq) REFERENCES events (seq), FOREIGN KEY(session_id) REFERENCES sessions (session_id) "
        ") WITHOUT ROWID"
    ),
    "CREATE INDEX deliveries_of_session ON deliveries (session_id)",
    (
        "CREATE TABLE deployments ( deployment_id VARCHAR NOT NULL, project VARCHAR NOT NULL, build_id VARCHAR "
        "NOT NULL, state VARCHAR NOT NULL, created_us BIGINT NOT NULL, vars TEXT NOT NULL, settings TEXT NOT "
        "NULL, PRIMARY KEY (deployment_id), FOREIGN KEY(project) REFERENCES projects (name), FOREIGN "
        "KEY(build_id) REFERENCES builds (digest) )"
    ),
    "CREATE INDEX deployments_by_project ON deployments (project, state)",
    (
        "CREATE TABLE dispatches ( event_seq BIGINT NOT NULL, trigger_name VARCHAR NOT NULL, state VARCHAR NOT "
        "NULL, attempt INTEGER NOT NULL, session_id VARCHAR NOT NULL, group_key VARCHAR NOT NULL, due_us BIGINT "
        "NOT NULL, reason VARCHAR NOT NULL, PRIMARY KEY (event_seq, trigger_name), FOREIGN KEY(event_seq) "
        "REFERENCES events (seq) ) WITHOUT ROWID"
    ),
    "CREATE INDEX dispatches_of_session ON dispatches (session_id) WHERE session_id != ''",
    "CREATE INDEX dispatches_open ON dispatches (due_us) WHERE state = 'pending'",
    "CREATE INDEX dispatches_started ON dispatches (event_seq) WHERE state = 'started'",
    (
        "CREATE TABLE entries ( session_id VARCHAR NOT NULL, seq BIGINT NOT NULL, entry BLOB NOT NULL, PRIMARY "
        "KEY (session_id, seq), FOREIGN KEY(session_id) REFERENCES sessions (session_id) ) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE logs ( session_id VARCHAR NOT NULL, ordinal BIGINT NOT NULL, idx BIGINT NOT NULL, line BLOB "
        "NOT NULL, PRIMARY KEY (session_id, ordinal, idx), FOREIGN KEY(session_id) REFERENCES sessions "
        "(session_id) ) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE signals ( session_id VARCHAR NOT NULL, n INTEGER NOT NULL, name VARCHAR NOT NULL, payload "
        "BLOB NOT NULL, at_us BIGINT NOT NULL, consumed_seq BIGINT, PRIMARY KEY (session_id, n), FOREIGN "
        "KEY(session_id) REFERENCES sessions (session_id) ) WITHOUT ROWID"
    ),
    (
        "CREATE TABLE subscriptions ( session_id VARCHAR NOT NULL, subscription_id VARCHAR NOT NULL, project "
        "VARCHAR NOT NULL, source VARCHAR NOT NULL, filter VARCHAR NOT NULL, after_seq BIGINT NOT NULL, PRIMARY "
        "KEY (session_id, subscription_id), FOREIGN KEY(session_id) REFERENCES sessions (session_id) ) WITHOUT "
        "ROWID"
    ),
    "CREATE INDEX subscriptions_by_source ON subscriptions (project, source)",
)

# all facts about the store
META: Final = "SELECT meta.name, meta.value FROM meta"

# a fact about the store
PUT_META: Final = "INSERT INTO meta (name, value) VALUES (:name, :value)"

# the schema's revision
VERSION: Final = "SELECT alembic_version.version_num FROM alembic_version"

# the revision of a new database
PUT_VERSION: Final = "INSERT INTO alembic_version (version_num) VALUES (:version_num)"

# what an append is checked against: the fence, and where the journal ends
HEAD: Final = (
    "SELECT sessions.epoch, (SELECT coalesce(max(entries.seq), 0) AS coalesce_1 FROM entries WHERE "
    "entries.session_id = sessions.session_id) AS entries FROM sessions WHERE sessions.session_id = "
    ":session_id"
)

# one row of the journal
APPEND_ENTRY: Final = "INSERT INTO entries (session_id, seq, entry) VALUES (:session_id, :seq, :entry)"

# a line of output; the same line again is ignored
APPEND_LOG: Final = (
    "INSERT INTO logs (session_id, ordinal, idx, line) VALUES (:session_id, :ordinal, :idx, :line) ON "
    "CONFLICT DO NOTHING"
)

# a new session; asking twice makes one
INSERT_SESSION: Final = (
    "INSERT INTO sessions (session_id, epoch, state, created_us, ended_us, wake_at_us, project, build_id, "
    "deployment_id, entry_point, durable, hash_seed, parent_id, event_id, forked_from, origin_id, "
    "stop_requested, waiting, event, result, error, divergence, event_form, on_parent_end, memo, status) "
    "VALUES (:session_id, :epoch, :state, :created_us, :ended_us, :wake_at_us, :project, :build_id, "
    ":deployment_id, :entry_point, :durable, :hash_seed, :parent_id, :event_id, :forked_from, :origin_id, "
    ":stop_requested, :waiting, :event, :result, :error, :divergence, :event_form, :on_parent_end, :memo, "
    ":status) ON CONFLICT DO NOTHING"
)

# one session
SESSION: Final = (
    "SELECT sessions.session_id, sessions.epoch, sessions.state, sessions.created_us, sessions.ended_us, "
    "sessions.wake_at_us, sessions.project, sessions.build_id, sessions.deployment_id, sessions.entry_point, "
    "sessions.durable, sessions.hash_seed, sessions.parent_id, sessions.event_id, sessions.forked_from, "
    "sessions.origin_id, sessions.stop_requested, sessions.waiting, sessions.event, sessions.result, "
    "sessions.error, sessions.divergence, sessions.event_form, sessions.on_parent_end, sessions.memo, "
    "sessions.status, (SELECT coalesce(max(entries.seq), 0) AS coalesce_1 FROM entries WHERE "
    "entries.session_id = sessions.session_id) AS entries FROM sessions WHERE sessions.session_id = "
    ":session_id"
)

# fence off every earlier runner of a session
RAISE_EPOCH: Final = (
    "UPDATE sessions SET epoch=(sessions.epoch + 1) WHERE sessions.session_id = :session_id RETURNING epoch"
)

# a page of all sessions, newest first
SESSIONS: Final = (
    "SELECT sessions.session_id, sessions.epoch, sessions.state, sessions.created_us, sessions.ended_us, "
    "sessions.wake_at_us, sessions.project, sessions.build_id, sessions.deployment_id, sessions.entry_point, "
    "sessions.durable, sessions.hash_seed, sessions.parent_id, sessions.event_id, sessions.forked_from, "
    "sessions.origin_id, sessions.stop_requested, sessions.waiting, sessions.event, sessions.result, "
    "sessions.error, sessions.divergence, sessions.event_form, sessions.on_parent_end, sessions.memo, "
    "sessions.status, (SELECT coalesce(max(entries.seq), 0) AS coalesce_1 FROM entries WHERE "
    "entries.session_id = sessions.session_id) AS entries FROM sessions WHERE (sessions.created_us, "
    "sessions.session_id) < (:before_us, :before_id) AND (:any_state = 1 OR sessions.state IN (:state0, "
    ":state1, :state2, :state3, :state4, :state5, :state6, :state7)) ORDER BY sessions.created_us DESC, "
    "sessions.session_id DESC LIMIT :limit OFFSET 0"
)

# a page of a project's sessions, newest first
SESSIONS_OF_PROJECT: Final = (
    "SELECT sessions.session_id, sessions.epoch, sessions.state, sessions.created_us, sessions.ended_us, "
    "sessions.wake_at_us, sessions.project, sessions.build_id, sessions.deployment_id, sessions.entry_point, "
    "sessions.durable, sessions.hash_seed, sessions.parent_id, sessions.event_id, sessions.forked_from, "
    "sessions.origin_id, sessions.stop_requested, sessions.waiting, sessions.event, sessions.result, "
    "sessions.error, sessions.divergence, sessions.event_form, sessions.on_parent_end, sessions.memo, "
    "sessions.status, (SELECT coalesce(max(entries.seq), 0) AS coalesce_1 FROM entries WHERE "
    "entries.session_id = sessions.session_id) AS entries FROM sessions WHERE (sessions.created_us, "
    "sessions.session_id) < (:before_us, :before_id) AND (:any_state = 1 OR sessions.state IN (:state0, "
    ":state1, :state2, :state3, :state4, :state5, :state6, :state7)) AND sessions.project = :project ORDER BY "
    "sessions.created_us DESC, sessions.session_id DESC LIMIT :limit OFFSET 0"
)

# every session that has not ended, oldest first
ALIVE: Final = (
    "SELECT sessions.session_id, sessions.epoch, sessions.state, sessions.created_us, sessions.ended_us, "
    "sessions.wake_at_us, sessions.project, sessions.build_id, sessions.deployment_id, sessions.entry_point, "
    "sessions.durable, sessions.hash_seed, sessions.parent_id, sessions.event_id, sessions.forked_from, "
    "sessions.origin_id, sessions.stop_requested, sessions.waiting, sessions.event, sessions.result, "
    "sessions.error, sessions.divergence, sessions.event_form, sessions.on_parent_end, sessions.memo, "
    "sessions.status, (SELECT coalesce(max(entries.seq), 0) AS coalesce_1 FROM entries WHERE "
    "entries.session_id = sessions.session_id) AS entries FROM sessions WHERE sessions.ended_us IS NULL ORDER "
    "BY sessions.created_us, sessions.session_id"
)

# the ids of every session that has not ended, oldest first
ALIVE_IDS: Final = (
    "SELECT sessions.session_id FROM sessions WHERE sessions.ended_us IS NULL ORDER BY sessions.created_us, "
    "sessions.session_id"
)

# suspended sessions whose timer has run out, the longest overdue first
DUE: Final = (
    "SELECT sessions.session_id, sessions.wake_at_us FROM sessions WHERE sessions.wake_at_us IS NOT NULL AND "
    "sessions.wake_at_us <= :now_us ORDER BY sessions.wake_at_us LIMIT :limit OFFSET 0"
)

# when the next suspended session must be woken
NEXT_WAKE: Final = "SELECT min(sessions.wake_at_us) AS min_1 FROM sessions WHERE sessions.wake_at_us IS NOT NULL"

# a page of the journal
ENTRIES: Final = (
    "SELECT entries.entry FROM entries WHERE entries.session_id = :session_id AND entries.seq > :after_seq "
    "ORDER BY entries.seq LIMIT :limit OFFSET 0"
)

# the shared history of a fork
COPY_ENTRIES: Final = (
    "INSERT INTO entries (session_id, seq, entry) SELECT :target_id AS anon_1, entries.seq, entries.entry "
    "FROM entries WHERE entries.session_id = :source_id AND entries.seq <= :upto_seq"
)

# a page of the output
LOGS: Final = (
    "SELECT logs.ordinal, logs.idx, logs.line FROM logs WHERE logs.session_id = :session_id AND "
    "(logs.ordinal, logs.idx) > (:after_ordinal, :after_idx) ORDER BY logs.ordinal, logs.idx LIMIT :limit "
    "OFFSET 0"
)

# where the output ends
LAST_LOG: Final = (
    "SELECT logs.ordinal, logs.idx FROM logs WHERE logs.session_id = :session_id ORDER BY logs.ordinal DESC, "
    "logs.idx DESC LIMIT 1 OFFSET 0"
)

# how much output is stored
LOG_BYTES: Final = (
    "SELECT coalesce(sum(length(logs.line)), 0) AS coalesce_1 FROM logs WHERE logs.session_id = :session_id"
)

# a signal, numbered after the session's last one
ADD_SIGNAL: Final = (
    "INSERT INTO signals (session_id, n, name, payload, at_us) SELECT :session_id AS anon_1, "
    "coalesce(max(signals.n), 0) + 1 AS anon_2, :name AS anon_3, :payload AS anon_4, :at_us AS anon_5 FROM "
    "signals WHERE signals.session_id = :session_id RETURNING n"
)

# a signal is given to user code, once
CONSUME_SIGNAL: Final = (
    "UPDATE signals SET consumed_seq=:seq WHERE signals.session_id = :signal_session AND signals.n = "
    ":signal_n AND signals.consumed_seq IS NULL"
)

# signals that still wait to be taken, in order of arrival, without long payloads
SIGNALS: Final = (
    "SELECT signals.n, signals.name, CASE WHEN (length(signals.payload) <= :longest) THEN signals.payload "
    "ELSE NULL END AS anon_1, signals.at_us FROM signals WHERE signals.session_id = :session_id AND "
    "signals.consumed_seq IS NULL ORDER BY signals.n"
)

# what a signal says
SIGNAL_PAYLOAD: Final = "SELECT signals.payload FROM signals WHERE signals.session_id = :session_id AND signals.n = :n"

# a project, if it is new
PUT_PROJECT: Final = "INSERT INTO projects (name, created_us) VALUES (:name, :created_us) ON CONFLICT DO NOTHING"

# all projects by name
PROJECTS: Final = "SELECT projects.name FROM projects ORDER BY projects.name"

# a build, if it is new
PUT_BUILD: Final = (
    "INSERT INTO builds (digest, size, created_us, exports, manifest) VALUES (:digest, :size, :created_us, "
    ":exports, :manifest) ON CONFLICT DO NOTHING"
)

# one build
BUILD: Final = (
    "SELECT builds.digest, builds.size, builds.created_us, builds.exports, builds.manifest FROM builds WHERE "
    "builds.digest = :digest"
)

# a project's active deployment makes way
DRAIN: Final = (
    "UPDATE deployments SET state='draining' WHERE deployments.project = :of_project AND deployments.state = "
    "'active'"
)

# draining deployments without a living session are over
RETIRE: Final = (
    "UPDATE deployments SET state='inactive' WHERE deployments.state = 'draining' AND NOT (EXISTS (SELECT "
    "sessions.session_id FROM sessions WHERE sessions.deployment_id = deployments.deployment_id AND "
    "sessions.ended_us IS NULL))"
)

# a new deployment
INSERT_DEPLOYMENT: Final = (
    "INSERT INTO deployments (deployment_id, project, build_id, state, created_us, vars, settings) VALUES "
    "(:deployment_id, :project, :build_id, :state, :created_us, :vars, :settings)"
)

# one deployment
DEPLOYMENT: Final = (
    "SELECT deployments.deployment_id, deployments.project, deployments.build_id, deployments.state, "
    "deployments.created_us, deployments.vars, deployments.settings FROM deployments WHERE "
    "deployments.deployment_id = :deployment_id"
)

# what new sessions of a project run
ACTIVE_DEPLOYMENT: Final = (
    "SELECT deployments.deployment_id, deployments.project, deployments.build_id, deployments.state, "
    "deployments.created_us, deployments.vars, deployments.settings FROM deployments WHERE "
    "deployments.project = :project AND deployments.state = 'active'"
)

# a project's deployments, newest first
DEPLOYMENTS: Final = (
    "SELECT deployments.deployment_id, deployments.project, deployments.build_id, deployments.state, "
    "deployments.created_us, deployments.vars, deployments.settings FROM deployments WHERE "
    "deployments.project = :project ORDER BY deployments.created_us DESC, deployments.deployment_id DESC"
)

# a variable, new or changed
PUT_VAR: Final = (
    "INSERT INTO vars (project, name, value, secret, key_id, set_us) VALUES (:project, :name, :value, "
    ":secret, :key_id, :set_us) ON CONFLICT (project, name) DO UPDATE SET value = excluded.value, secret = "
    "excluded.secret, key_id = excluded.key_id, set_us = excluded.set_us"
)

# a variable is unset
DELETE_VAR: Final = "DELETE FROM vars WHERE vars.project = :project AND vars.name = :name"

# a project's variables
VARS: Final = (
    "SELECT vars.project, vars.name, vars.value, vars.secret, vars.key_id, vars.set_us FROM vars WHERE "
    "vars.project = :project ORDER BY vars.name"
)

# everything that a key has sealed
SEALED_VARS: Final = (
    "SELECT vars.project, vars.name, vars.value, vars.secret, vars.key_id, vars.set_us FROM vars WHERE "
    "vars.key_id != '' ORDER BY vars.project, vars.name"
)

# a token of a client
PUT_BEARER: Final = (
    "INSERT INTO tokens (token_id, digest, name, scope, project, created_us, expires_us, used_us) VALUES "
    "(:token_id, :digest, :name, :scope, :project, :created_us, :expires_us, :used_us)"
)

# all tokens, oldest first
BEARERS: Final = (
    "SELECT tokens.token_id, tokens.digest, tokens.name, tokens.scope, tokens.project, tokens.created_us, "
    "tokens.expires_us, tokens.used_us FROM tokens ORDER BY tokens.created_us, tokens.token_id"
)

# a token was used
BEARER_USED: Final = "UPDATE tokens SET used_us=:at_us WHERE tokens.token_id = :of_token"

# a token is revoked
DELETE_BEARER: Final = "DELETE FROM tokens WHERE tokens.token_id = :token_id"

# an invitation of a host
PUT_INVITE: Final = (
    "INSERT INTO invites (invite_id, digest, host_id, created_us, expires_us) VALUES (:invite_id, :digest, "
    ":host_id, :created_us, :expires_us)"
)

# invitations that are open
INVITES: Final = (
    "SELECT invites.invite_id, invites.digest, invites.host_id, invites.created_us, invites.expires_us FROM "
    "invites ORDER BY invites.created_us, invites.invite_id"
)

# an invitation is taken up, once, or withdrawn
DELETE_INVITE: Final = "DELETE FROM invites WHERE invites.invite_id = :invite_id"

# invitations that nobody took up in time
DROP_INVITES: Final = "DELETE FROM invites WHERE invites.expires_us <= :now_us"

# a host has joined (again), or has a new certificate
PUT_HOST: Final = (
    "INSERT INTO hosts (host_id, key_digest, joined_us, expires_us) VALUES (:host_id, :key_digest, "
    ":joined_us, :expires_us) ON CONFLICT (host_id) DO UPDATE SET key_digest = excluded.key_digest, joined_us "
    "= excluded.joined_us, expires_us = excluded.expires_us"
)

# hosts that have joined
HOSTS: Final = (
    "SELECT hosts.host_id, hosts.key_digest, hosts.joined_us, hosts.expires_us FROM hosts ORDER BY "
    "hosts.joined_us, hosts.host_id"
)

# a host is revoked
DELETE_HOST: Final = "DELETE FROM hosts WHERE hosts.host_id = :host_id"

# the journal of a session
DELETE_ENTRIES: Final = "DELETE FROM entries WHERE entries.session_id = :session_id"

# the output of a session
DELETE_LOGS: Final = "DELETE FROM logs WHERE logs.session_id = :session_id"

# the signals of a session
DELETE_SIGNALS: Final = "DELETE FROM signals WHERE signals.session_id = :session_id"

# a session
DELETE_SESSION: Final = "DELETE FROM sessions WHERE sessions.session_id = :session_id"

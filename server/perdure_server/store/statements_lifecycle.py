# fmt: off
"""The texts of schema/queries_lifecycle.py for SQLite. Made by schema/generate.py."""

from typing import Final

# all projects by name, with how many sessions live
PROJECT_ROWS: Final = (
    "SELECT projects.name, projects.created_us, (SELECT count(*) AS count_1 FROM sessions WHERE "
    "sessions.project = projects.name AND sessions.ended_us IS NULL) AS alive FROM projects ORDER BY "
    "projects.name"
)

# all builds, newest first
BUILDS_TOLD: Final = (
    "SELECT builds.digest, builds.size, builds.created_us, builds.exports, builds.manifest FROM builds ORDER "
    "BY builds.created_us DESC, builds.digest"
)

# which projects have deployed which builds
BUILD_PROJECTS: Final = (
    "SELECT DISTINCT deployments.build_id, deployments.project FROM deployments ORDER BY deployments.project"
)

# how many sessions there are of each build
BUILD_SESSIONS: Final = "SELECT sessions.build_id, count(*) AS count_1 FROM sessions GROUP BY sessions.build_id"

# deployments of a project or of all, newest first, with how many sessions live
DEPLOYMENTS_TOLD: Final = (
    "SELECT deployments.deployment_id, deployments.project, deployments.build_id, deployments.state, "
    "deployments.created_us, (SELECT count(*) AS count_1 FROM sessions WHERE sessions.deployment_id = "
    "deployments.deployment_id AND sessions.ended_us IS NULL) AS alive FROM deployments WHERE :project = '' "
    "OR deployments.project = :project ORDER BY deployments.created_us DESC, deployments.deployment_id DESC"
)

# projects with an active deployment, the newest first, without those of builds alone
PROJECTS_DEPLOYED_LAST: Final = (
    "SELECT deployments.project FROM deployments WHERE deployments.state = 'active' AND deployments.project "
    "NOT LIKE '%:builds' ORDER BY deployments.created_us DESC, deployments.deployment_id DESC LIMIT :limit "
    "OFFSET 0"
)

# living sessions of a project
ALIVE_IN_PROJECT: Final = (
    "SELECT sessions.session_id FROM sessions WHERE sessions.project = :project AND sessions.ended_us IS NULL "
    "LIMIT :limit OFFSET 0"
)

# a page of sessions that ended before a time and that nothing needs, oldest first
SESSIONS_OVER: Final = (
    "SELECT sessions.session_id, sessions.created_us FROM sessions WHERE sessions.created_us < :before_us AND "
    "(sessions.created_us, sessions.session_id) > (:after_us, :after_id) AND sessions.ended_us IS NOT NULL "
    "AND sessions.ended_us < :before_us AND NOT (EXISTS (SELECT child.session_id FROM sessions AS child WHERE "
    "child.parent_id = sessions.session_id AND child.parent_id != '' AND child.ended_us IS NULL)) AND NOT "
    "(EXISTS (SELECT dispatches.event_seq FROM dispatches WHERE dispatches.session_id = sessions.session_id "
    "AND dispatches.session_id != '' AND dispatches.state = 'started')) ORDER BY sessions.created_us, "
    "sessions.session_id LIMIT :limit OFFSET 0"
)

# the same of one session
SESSION_IS_OVER: Final = (
    "SELECT 1 FROM sessions WHERE sessions.session_id = :session_id AND sessions.ended_us IS NOT NULL AND "
    "sessions.ended_us < :before_us AND NOT (EXISTS (SELECT child.session_id FROM sessions AS child WHERE "
    "child.parent_id = sessions.session_id AND child.parent_id != '' AND child.ended_us IS NULL)) AND NOT "
    "(EXISTS (SELECT dispatches.event_seq FROM dispatches WHERE dispatches.session_id = sessions.session_id "
    "AND dispatches.session_id != '' AND dispatches.state = 'started'))"
)

# ended sessions of a project
ENDED_IN_PROJECT: Final = (
    "SELECT sessions.session_id FROM sessions WHERE sessions.project = :project AND sessions.ended_us IS NOT "
    "NULL LIMIT :limit OFFSET 0"
)

# the last entries of a journal: what is left is always its beginning
TRIM_ENTRIES: Final = (
    "DELETE FROM entries WHERE entries.session_id = :session_id AND entries.seq IN (SELECT entries.seq FROM "
    "entries WHERE entries.session_id = :session_id ORDER BY entries.seq DESC LIMIT :limit OFFSET 0)"
)

# the last lines of a session's output
TRIM_LOGS: Final = (
    "DELETE FROM logs WHERE logs.session_id = :session_id AND (logs.ordinal, logs.idx) IN (SELECT "
    "logs.ordinal, logs.idx FROM logs WHERE logs.session_id = :session_id ORDER BY logs.ordinal DESC, "
    "logs.idx DESC LIMIT :limit OFFSET 0)"
)

# what a session has answered to the event that started it
DELETE_ANSWERS: Final = (
    "DELETE FROM outcomes WHERE outcomes.event_id IN (SELECT sessions.event_id FROM sessions WHERE "
    "sessions.session_id = :session_id) AND outcomes.session_id = :session_id"
)

# inactive deployments from before a time without a session, but for the newest of each project
DEPLOYMENTS_UNUSED: Final = (
    "SELECT anon_1.deployment_id, anon_1.build_id FROM (SELECT deployments.deployment_id AS deployment_id, "
    "deployments.build_id AS build_id, deployments.state AS state, deployments.created_us AS created_us, "
    "row_number() OVER (PARTITION BY deployments.project ORDER BY deployments.created_us DESC, "
    "deployments.deployment_id DESC) AS place FROM deployments) AS anon_1 WHERE anon_1.state = 'inactive' AND "
    "anon_1.created_us < :before_us AND anon_1.place > :newest AND (anon_1.deployment_id NOT IN (SELECT "
    "sessions.deployment_id FROM sessions))"
)

# a deployment that is over
DROP_DEPLOYMENT: Final = (
    "DELETE FROM deployments WHERE deployments.deployment_id = :deployment_id AND deployments.state = "
    "'inactive'"
)

# builds from before a time without deployment or session
BUILDS_UNUSED: Final = (
    "SELECT builds.digest FROM builds WHERE builds.created_us < :before_us AND (builds.digest NOT IN (SELECT "
    "deployments.build_id FROM deployments)) AND (builds.digest NOT IN (SELECT sessions.build_id FROM "
    "sessions))"
)

# a build that nobody has deployed meanwhile
DROP_BUILD: Final = (
    "DELETE FROM builds WHERE builds.digest = :digest AND NOT (EXISTS (SELECT deployments.deployment_id FROM "
    "deployments WHERE deployments.build_id = builds.digest))"
)

# blobs that builds and deployments refer to
BLOBS_NAMED: Final = (
    "SELECT builds.digest FROM builds UNION SELECT json_extract(builds.manifest, '$.environment') AS "
    "json_extract_1 FROM builds UNION SELECT json_extract(deployments.settings, '$.environment') AS "
    "json_extract_2 FROM deployments"
)

# a page of all journals: entries that hold certain bytes, NULL in place of others
ENTRIES_WITH: Final = (
    "SELECT entries.session_id, entries.seq, CASE WHEN (instr(entries.entry, :mark) > 0) THEN entries.entry "
    "END AS anon_1 FROM entries WHERE (entries.session_id, entries.seq) > (:after_id, :after_seq) ORDER BY "
    "entries.session_id, entries.seq LIMIT :limit OFFSET 0"
)

# results of sessions that hold certain bytes
RESULTS_WITH: Final = "SELECT sessions.result FROM sessions WHERE instr(sessions.result, :mark) > 0"

# the names of the keys of imported sessions
ORIGINS_IMPORTED: Final = (
    "SELECT DISTINCT sessions.origin_id FROM sessions WHERE substr(sessions.origin_id, 1, length('import:')) "
    "= 'import:'"
)

# events of a project
EVENTS_OF: Final = (
    "SELECT events.seq, events.event_id FROM events WHERE events.project = :project LIMIT :limit OFFSET 0"
)

# a project's triggers
DELETE_TRIGGERS: Final = "DELETE FROM triggers WHERE triggers.project = :project"

# a project's store
DELETE_VALUES: Final = "DELETE FROM shared_values WHERE shared_values.project = :project"

# a project's connections
DELETE_CONNECTIONS: Final = "DELETE FROM connections WHERE connections.project = :project"

# a project's variables
DELETE_VARS: Final = "DELETE FROM vars WHERE vars.project = :project"

# a project's deployments
DELETE_DEPLOYMENTS: Final = "DELETE FROM deployments WHERE deployments.project = :project"

# a project
DELETE_PROJECT: Final = "DELETE FROM projects WHERE projects.name = :project"

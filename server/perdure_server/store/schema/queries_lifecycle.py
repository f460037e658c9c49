"""Statements about what there is, and what nobody needs any more: projects, builds, deployments, old sessions."""

from typing import Final

from sqlalchemy import (
    BindParameter,
    Integer,
    String,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    literal_column,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql import ClauseElement

from perdure_server.store.schema.outside import connections, dispatches, events, outcomes, shared, triggers
from perdure_server.store.schema.tables import builds, deployments, entries, logs, projects, sessions, variables

_ZERO, _ONE = literal_column("0", Integer), literal_column("1", Integer)
_EMPTY = literal_column("''", String)
_INACTIVE, _STARTED = literal_column("'inactive'", String), literal_column("'started'", String)
_ENVIRONMENT = literal_column("'$.environment'", String)
_ACTIVE, _BUILDS = literal_column("'active'", String), literal_column("'%:builds'", String)
_IMPORTED = literal_column("'import:'", String)
_PROJECT: BindParameter[str] = bindparam("project")
_OF: BindParameter[str] = bindparam("session_id")
_LIMIT: BindParameter[int] = bindparam("limit")
_BEFORE: BindParameter[int] = bindparam("before_us")
_MARK: BindParameter[bytes] = bindparam("mark")

_child = sessions.alias("child")
_alive = sessions.c.ended_us.is_(None)

# Its time is over, and nothing that lives still asks about it.
_over = and_(
    sessions.c.ended_us.is_not(None),
    sessions.c.ended_us < _BEFORE,
    ~exists(
        select(_child.c.session_id).where(
            _child.c.parent_id == sessions.c.session_id, _child.c.parent_id != _EMPTY, _child.c.ended_us.is_(None)
        )
    ),
    ~exists(
        select(dispatches.c.event_seq).where(
            dispatches.c.session_id == sessions.c.session_id,
            dispatches.c.session_id != _EMPTY,
            dispatches.c.state == _STARTED,
        )
    ),
)
_place = func.row_number().over(
    partition_by=deployments.c.project, order_by=(deployments.c.created_us.desc(), deployments.c.deployment_id.desc())
)
_ranked = select(
    deployments.c.deployment_id,
    deployments.c.build_id,
    deployments.c.state,
    deployments.c.created_us,
    _place.label("place"),
).subquery()
_living = (
    select(func.count())
    .select_from(sessions)
    .where(sessions.c.deployment_id == deployments.c.deployment_id, _alive)
    .scalar_subquery()
)


def _of_project(column: ClauseElement) -> ClauseElement:
    """The project's, or all where none is named."""
    return or_(_PROJECT == _EMPTY, column == _PROJECT)


STATEMENTS: Final[dict[str, tuple[str, ClauseElement]]] = {
    # -- what there is
    "PROJECT_ROWS": (
        "all projects by name, with how many sessions live",
        select(
            projects.c.name,
            projects.c.created_us,
            select(func.count())
            .select_from(sessions)
            .where(sessions.c.project == projects.c.name, _alive)
            .scalar_subquery()
            .label("alive"),
        ).order_by(projects.c.name),
    ),
    "BUILDS_TOLD": (
        "all builds, newest first",
        select(builds).order_by(builds.c.created_us.desc(), builds.c.digest),
    ),
    "BUILD_PROJECTS": (
        "which projects have deployed which builds",
        select(deployments.c.build_id, deployments.c.project).distinct().order_by(deployments.c.project),
    ),
    "BUILD_SESSIONS": (
        "how many sessions there are of each build",
        select(sessions.c.build_id, func.count()).group_by(sessions.c.build_id),
    ),
    "DEPLOYMENTS_TOLD": (
        "deployments of a project or of all, newest first, with how many sessions live",
        select(
            deployments.c.deployment_id,
            deployments.c.project,
            deployments.c.build_id,
            deployments.c.state,
            deployments.c.created_us,
            _living.label("alive"),
        )
        .where(_of_project(deployments.c.project))  # type: ignore[arg-type]  # as above
        .order_by(deployments.c.created_us.desc(), deployments.c.deployment_id.desc()),
    ),
    "PROJECTS_DEPLOYED_LAST": (
        "projects with an active deployment, the newest first, without those of builds alone",
        select(deployments.c.project)
        .where(deployments.c.state == _ACTIVE, deployments.c.project.not_like(_BUILDS))
        .order_by(deployments.c.created_us.desc(), deployments.c.deployment_id.desc())
        .limit(_LIMIT)
        .offset(_ZERO),
    ),
    "ALIVE_IN_PROJECT": (
        "living sessions of a project",
        select(sessions.c.session_id).where(sessions.c.project == _PROJECT, _alive).limit(_LIMIT).offset(_ZERO),
    ),
    # -- sessions whose time is over
    "SESSIONS_OVER": (
        "a page of sessions that ended before a time and that nothing needs, oldest first",
        select(sessions.c.session_id, sessions.c.created_us)
        .where(
            sessions.c.created_us < _BEFORE,
            tuple_(sessions.c.created_us, sessions.c.session_id) > tuple_(bindparam("after_us"), bindparam("after_id")),
            _over,
        )
        .order_by(sessions.c.created_us, sessions.c.session_id)
        .limit(_LIMIT)
        .offset(_ZERO),
    ),
    "SESSION_IS_OVER": ("the same of one session", select(_ONE).where(sessions.c.session_id == _OF, _over)),
    "ENDED_IN_PROJECT": (
        "ended sessions of a project",
        select(sessions.c.session_id)
        .where(sessions.c.project == _PROJECT, sessions.c.ended_us.is_not(None))
        .limit(_LIMIT)
        .offset(_ZERO),
    ),
    "TRIM_ENTRIES": (
        "the last entries of a journal: what is left is always its beginning",
        delete(entries).where(
            entries.c.session_id == _OF,
            entries.c.seq.in_(
                select(entries.c.seq)
                .where(entries.c.session_id == _OF)
                .order_by(entries.c.seq.desc())
                .limit(_LIMIT)
                .offset(_ZERO)
            ),
        ),
    ),
    "TRIM_LOGS": (
        "the last lines of a session's output",
        delete(logs).where(
            logs.c.session_id == _OF,
            tuple_(logs.c.ordinal, logs.c.idx).in_(
                select(logs.c.ordinal, logs.c.idx)
                .where(logs.c.session_id == _OF)
                .order_by(logs.c.ordinal.desc(), logs.c.idx.desc())
                .limit(_LIMIT)
                .offset(_ZERO)
            ),
        ),
    ),
    "DELETE_ANSWERS": (
        "what a session has answered to the event that started it",
        delete(outcomes).where(
            outcomes.c.event_id.in_(select(sessions.c.event_id).where(sessions.c.session_id == _OF)),
            outcomes.c.session_id == _OF,
        ),
    ),
    # -- builds and deployments that nobody needs
    "DEPLOYMENTS_UNUSED": (
        "inactive deployments from before a time without a session, but for the newest of each project",
        select(_ranked.c.deployment_id, _ranked.c.build_id).where(
            _ranked.c.state == _INACTIVE,
            _ranked.c.created_us < _BEFORE,
            _ranked.c.place > bindparam("newest"),
            _ranked.c.deployment_id.not_in(select(sessions.c.deployment_id)),
        ),
    ),
    "DROP_DEPLOYMENT": (
        "a deployment that is over",
        delete(deployments).where(
            deployments.c.deployment_id == bindparam("deployment_id"), deployments.c.state == _INACTIVE
        ),
    ),
    "BUILDS_UNUSED": (
        "builds from before a time without deployment or session",
        select(builds.c.digest).where(
            builds.c.created_us < _BEFORE,
            builds.c.digest.not_in(select(deployments.c.build_id)),
            builds.c.digest.not_in(select(sessions.c.build_id)),
        ),
    ),
    "DROP_BUILD": (
        "a build that nobody has deployed meanwhile",
        delete(builds).where(
            builds.c.digest == bindparam("digest"),
            ~exists(select(deployments.c.deployment_id).where(deployments.c.build_id == builds.c.digest)),
        ),
    ),
    # -- what refers to blobs: builds, locks of environments, large payloads
    "BLOBS_NAMED": (
        "blobs that builds and deployments refer to",
        select(builds.c.digest).union(
            select(func.json_extract(builds.c.manifest, _ENVIRONMENT)),
            select(func.json_extract(deployments.c.settings, _ENVIRONMENT)),
        ),
    ),
    "ENTRIES_WITH": (
        "a page of all journals: entries that hold certain bytes, NULL in place of others",
        select(entries.c.session_id, entries.c.seq, case((func.instr(entries.c.entry, _MARK) > _ZERO, entries.c.entry)))
        .where(tuple_(entries.c.session_id, entries.c.seq) > tuple_(bindparam("after_id"), bindparam("after_seq")))
        .order_by(entries.c.session_id, entries.c.seq)
        .limit(_LIMIT)
        .offset(_ZERO),
    ),
    "RESULTS_WITH": (
        "results of sessions that hold certain bytes",
        select(sessions.c.result).where(func.instr(sessions.c.result, _MARK) > _ZERO),
    ),
    "ORIGINS_IMPORTED": (
        "the names of the keys of imported sessions",
        select(sessions.c.origin_id)
        .where(func.substr(sessions.c.origin_id, _ONE, func.length(_IMPORTED)) == _IMPORTED)
        .distinct(),
    ),
    # -- a project goes
    "EVENTS_OF": (
        "events of a project",
        select(events.c.seq, events.c.event_id).where(events.c.project == _PROJECT).limit(_LIMIT).offset(_ZERO),
    ),
    "DELETE_TRIGGERS": ("a project's triggers", delete(triggers).where(triggers.c.project == _PROJECT)),
    "DELETE_VALUES": ("a project's store", delete(shared).where(shared.c.project == _PROJECT)),
    "DELETE_CONNECTIONS": ("a project's connections", delete(connections).where(connections.c.project == _PROJECT)),
    "DELETE_VARS": ("a project's variables", delete(variables).where(variables.c.project == _PROJECT)),
    "DELETE_DEPLOYMENTS": ("a project's deployments", delete(deployments).where(deployments.c.project == _PROJECT)),
    "DELETE_PROJECT": ("a project", delete(projects).where(projects.c.name == _PROJECT)),
}

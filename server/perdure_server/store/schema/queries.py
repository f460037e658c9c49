"""Every statement, once, with its name and what it is for. `generate.py` compiles them into `../statements.py`."""

from typing import Final

from sqlalchemy import (
    BindParameter,
    Integer,
    Select,
    String,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    literal_column,
    null,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.sql import ClauseElement

from perdure_server.store.schema.tables import (
    alembic_version,
    builds,
    deployments,
    entries,
    invites,
    joined,
    logs,
    meta,
    projects,
    sessions,
    signals,
    tokens,
    variables,
)

# Constants are written into the text: a parameter with a value of its own would be one more to pass.
# OFFSET 0 is there because SQLAlchemy would make it a parameter.
_ZERO, _ONE = literal_column("0", Integer), literal_column("1", Integer)
_ACTIVE, _DRAINING, _INACTIVE = (literal_column(f"'{state}'", String) for state in ("active", "draining", "inactive"))
_EMPTY = literal_column("''", String)
_OF: BindParameter[str] = bindparam("session_id")

_entry_count = (
    select(func.coalesce(func.max(entries.c.seq), _ZERO))
    .where(entries.c.session_id == sessions.c.session_id)
    .scalar_subquery()
    .label("entries")
)
_session: Select[tuple[object, ...]] = select(sessions, _entry_count)

# A page of a list begins below (:before_us, :before_id). :any_state is 1 for all states; at most eight can be named.
_page = and_(
    tuple_(sessions.c.created_us, sessions.c.session_id) < tuple_(bindparam("before_us"), bindparam("before_id")),
    or_(bindparam("any_state") == _ONE, sessions.c.state.in_([bindparam(f"state{n}") for n in range(8)])),
)
_newest = (sessions.c.created_us.desc(), sessions.c.session_id.desc())
_new_var = upsert(variables)
_new_host = upsert(joined)

STATEMENTS: Final[dict[str, tuple[str, ClauseElement]]] = {
    # -- the store itself
    "META": ("all facts about the store", select(meta.c.name, meta.c.value)),
    "PUT_META": ("a fact about the store", insert(meta)),
    "VERSION": ("the schema's revision", select(alembic_version.c.version_num)),
    "PUT_VERSION": ("the revision of a new database", insert(alembic_version)),
    # -- the hot path
    "HEAD": (
        "what an append is checked against: the fence, and where the journal ends",
        select(sessions.c.epoch, _entry_count).where(sessions.c.session_id == _OF),
    ),
    "APPEND_ENTRY": ("one row of the journal", insert(entries)),
    "APPEND_LOG": ("a line of output; the same line again is ignored", upsert(logs).on_conflict_do_nothing()),
    # -- sessions
    "INSERT_SESSION": ("a new session; asking twice makes one", upsert(sessions).on_conflict_do_nothing()),
    "SESSION": ("one session", _session.where(sessions.c.session_id == _OF)),
    "RAISE_EPOCH": (
        "fence off every earlier runner of a session",
        update(sessions)
        .where(sessions.c.session_id == _OF)
        .values(epoch=sessions.c.epoch + _ONE)
        .returning(sessions.c.epoch),
    ),
    "SESSIONS": (
        "a page of all sessions, newest first",
        _session.where(_page).order_by(*_newest).limit(bindparam("limit")).offset(_ZERO),
    ),
    "SESSIONS_OF_PROJECT": (
        "a page of a project's sessions, newest first",
        _session.where(_page, sessions.c.project == bindparam("project"))
        .order_by(*_newest)
        .limit(bindparam("limit"))
        .offset(_ZERO),
    ),
    "ALIVE": (
        "every session that has not ended, oldest first",
        _session.where(sessions.c.ended_us.is_(None)).order_by(sessions.c.created_us, sessions.c.session_id),
    ),
    "ALIVE_IDS": (
        "the ids of every session that has not ended, oldest first",
        select(sessions.c.session_id)
        .where(sessions.c.ended_us.is_(None))
        .order_by(sessions.c.created_us, sessions.c.session_id),
    ),
    "DUE": (
        "suspended sessions whose timer has run out, the longest overdue first",
        select(sessions.c.session_id, sessions.c.wake_at_us)
        .where(sessions.c.wake_at_us.is_not(None), sessions.c.wake_at_us <= bindparam("now_us"))
        .order_by(sessions.c.wake_at_us)
        .limit(bindparam("limit"))
        .offset(_ZERO),
    ),
    "NEXT_WAKE": (
        "when the next suspended session must be woken",
        select(func.min(sessions.c.wake_at_us)).where(sessions.c.wake_at_us.is_not(None)),
    ),
    # -- the journal and the output of a session
    "ENTRIES": (
        "a page of the journal",
        select(entries.c.entry)
        .where(entries.c.session_id == _OF, entries.c.seq > bindparam("after_seq"))
        .order_by(entries.c.seq)
        .limit(bindparam("limit"))
        .offset(_ZERO),
    ),
    "COPY_ENTRIES": (
        "the shared history of a fork",
        insert(entries).from_select(
            ["session_id", "seq", "entry"],
            select(bindparam("target_id"), entries.c.seq, entries.c.entry).where(
                entries.c.session_id == bindparam("source_id"), entries.c.seq <= bindparam("upto_seq")
            ),
        ),
    ),
    "LOGS": (
        "a page of the output",
        select(logs.c.ordinal, logs.c.idx, logs.c.line)
        .where(
            logs.c.session_id == _OF,
            tuple_(logs.c.ordinal, logs.c.idx) > tuple_(bindparam("after_ordinal"), bindparam("after_idx")),
        )
        .order_by(logs.c.ordinal, logs.c.idx)
        .limit(bindparam("limit"))
        .offset(_ZERO),
    ),
    "LAST_LOG": (
        "where the output ends",
        select(logs.c.ordinal, logs.c.idx)
        .where(logs.c.session_id == _OF)
        .order_by(logs.c.ordinal.desc(), logs.c.idx.desc())
        .limit(_ONE)
        .offset(_ZERO),
    ),
    "LOG_BYTES": (
        "how much output is stored",
        select(func.coalesce(func.sum(func.length(logs.c.line)), _ZERO)).where(logs.c.session_id == _OF),
    ),
    # -- signals
    "ADD_SIGNAL": (
        "a signal, numbered after the session's last one",
        insert(signals)
        .from_select(
            ["session_id", "n", "name", "payload", "at_us"],
            select(
                _OF,
                func.coalesce(func.max(signals.c.n), _ZERO) + _ONE,
                bindparam("name"),
                bindparam("payload"),
                bindparam("at_us"),
            ).where(signals.c.session_id == _OF),
        )
        .returning(signals.c.n),
    ),
    "CONSUME_SIGNAL": (
        "a signal is given to user code, once",
        update(signals)
        .where(
            signals.c.session_id == bindparam("signal_session"),
            signals.c.n == bindparam("signal_n"),
            signals.c.consumed_seq.is_(None),
        )
        .values(consumed_seq=bindparam("seq")),
    ),
    "SIGNALS": (
        "signals that still wait to be taken, in order of arrival, without long payloads",
        select(
            signals.c.n,
            signals.c.name,
            case((func.length(signals.c.payload) <= bindparam("longest"), signals.c.payload), else_=null()),
            signals.c.at_us,
        )
        .where(signals.c.session_id == _OF, signals.c.consumed_seq.is_(None))
        .order_by(signals.c.n),
    ),
    "SIGNAL_PAYLOAD": (
        "what a signal says",
        select(signals.c.payload).where(signals.c.session_id == _OF, signals.c.n == bindparam("n")),
    ),
    # -- projects, builds, deployments
    "PUT_PROJECT": ("a project, if it is new", upsert(projects).on_conflict_do_nothing()),
    "PROJECTS": ("all projects by name", select(projects.c.name).order_by(projects.c.name)),
    "PUT_BUILD": ("a build, if it is new", upsert(builds).on_conflict_do_nothing()),
    "BUILD": ("one build", select(builds).where(builds.c.digest == bindparam("digest"))),
    "DRAIN": (
        "a project's active deployment makes way",
        update(deployments)
        .where(deployments.c.project == bindparam("of_project"), deployments.c.state == _ACTIVE)
        .values(state=_DRAINING),
    ),
    "RETIRE": (
        "draining deployments without a living session are over",
        update(deployments)
        .where(
            deployments.c.state == _DRAINING,
            ~select(sessions.c.session_id)
            .where(sessions.c.deployment_id == deployments.c.deployment_id, sessions.c.ended_us.is_(None))
            .exists(),
        )
        .values(state=_INACTIVE),
    ),
    "INSERT_DEPLOYMENT": ("a new deployment", insert(deployments)),
    "DEPLOYMENT": (
        "one deployment",
        select(deployments).where(deployments.c.deployment_id == bindparam("deployment_id")),
    ),
    "ACTIVE_DEPLOYMENT": (
        "what new sessions of a project run",
        select(deployments).where(deployments.c.project == bindparam("project"), deployments.c.state == _ACTIVE),
    ),
    "DEPLOYMENTS": (
        "a project's deployments, newest first",
        select(deployments)
        .where(deployments.c.project == bindparam("project"))
        .order_by(deployments.c.created_us.desc(), deployments.c.deployment_id.desc()),
    ),
    # -- variables set outside the manifest
    "PUT_VAR": (
        "a variable, new or changed",
        _new_var.on_conflict_do_update(
            index_elements=["project", "name"],
            set_={name: _new_var.excluded[name] for name in ("value", "secret", "key_id", "set_us")},
        ),
    ),
    "DELETE_VAR": (
        "a variable is unset",
        delete(variables).where(variables.c.project == bindparam("project"), variables.c.name == bindparam("name")),
    ),
    "VARS": (
        "a project's variables",
        select(variables).where(variables.c.project == bindparam("project")).order_by(variables.c.name),
    ),
    "SEALED_VARS": (
        "everything that a key has sealed",
        select(variables).where(variables.c.key_id != _EMPTY).order_by(variables.c.project, variables.c.name),
    ),
    # -- who may ask
    "PUT_BEARER": ("a token of a client", insert(tokens)),
    "BEARERS": ("all tokens, oldest first", select(tokens).order_by(tokens.c.created_us, tokens.c.token_id)),
    "BEARER_USED": (
        "a token was used",
        update(tokens).where(tokens.c.token_id == bindparam("of_token")).values(used_us=bindparam("at_us")),
    ),
    "DELETE_BEARER": ("a token is revoked", delete(tokens).where(tokens.c.token_id == bindparam("token_id"))),
    "PUT_INVITE": ("an invitation of a host", insert(invites)),
    "INVITES": ("invitations that are open", select(invites).order_by(invites.c.created_us, invites.c.invite_id)),
    "DELETE_INVITE": (
        "an invitation is taken up, once, or withdrawn",
        delete(invites).where(invites.c.invite_id == bindparam("invite_id")),
    ),
    "DROP_INVITES": (
        "invitations that nobody took up in time",
        delete(invites).where(invites.c.expires_us <= bindparam("now_us")),
    ),
    "PUT_HOST": (
        "a host has joined (again), or has a new certificate",
        _new_host.on_conflict_do_update(
            index_elements=["host_id"],
            set_={name: _new_host.excluded[name] for name in ("key_digest", "joined_us", "expires_us")},
        ),
    ),
    "HOSTS": ("hosts that have joined", select(joined).order_by(joined.c.joined_us, joined.c.host_id)),
    "DELETE_HOST": ("a host is revoked", delete(joined).where(joined.c.host_id == bindparam("host_id"))),
    # -- removal
    "DELETE_ENTRIES": (
        "the journal of a session",
        delete(entries).where(entries.c.session_id == _OF),
    ),
    "DELETE_LOGS": ("the output of a session", delete(logs).where(logs.c.session_id == _OF)),
    "DELETE_SIGNALS": (
        "the signals of a session",
        delete(signals).where(signals.c.session_id == _OF),
    ),
    "DELETE_SESSION": ("a session", delete(sessions).where(sessions.c.session_id == _OF)),
}

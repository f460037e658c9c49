"""The tables. Times are Unix times in microseconds (`_us`); messages are serialised protobuf of `journal.proto`."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

# Facts about the store itself: coordinator_id, created_us.
meta = Table("meta", metadata, Column("name", String, primary_key=True), Column("value", Text, nullable=False))

# Alembic's own table, created here as well so that a new home needs no Alembic.
alembic_version = Table("alembic_version", metadata, Column("version_num", String(32), primary_key=True))

projects = Table(
    "projects", metadata, Column("name", String, primary_key=True), Column("created_us", BigInteger, nullable=False)
)

builds = Table(
    "builds",
    metadata,
    Column("digest", String, primary_key=True),  # sha256 of the tarball, in hex
    Column("size", BigInteger, nullable=False),  # bytes of the tarball
    Column("created_us", BigInteger, nullable=False),
    Column("exports", Text, nullable=False),  # JSON
    Column("manifest", Text, nullable=False),  # JSON
)

deployments = Table(
    "deployments",
    metadata,
    Column("deployment_id", String, primary_key=True),
    Column("project", String, ForeignKey("projects.name"), nullable=False),
    Column("build_id", String, ForeignKey("builds.digest"), nullable=False),
    Column("state", String, nullable=False),  # active, draining, inactive
    Column("created_us", BigInteger, nullable=False),
    Column("vars", Text, nullable=False),  # JSON
    Column("settings", Text, nullable=False),  # JSON
    Index("deployments_by_project", "project", "state"),
)

# What changes often and what every append reads stands first, what can be large last: SQLite reads a row from its
# beginning and goes to overflow pages only for the columns asked for.
sessions = Table(
    "sessions",
    metadata,
    Column("session_id", String, primary_key=True),
    Column("epoch", BigInteger, nullable=False),
    Column("state", String, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("ended_us", BigInteger),  # NULL: alive
    Column("wake_at_us", BigInteger),  # NULL: no timer
    Column("project", String, nullable=False),
    Column("build_id", String, nullable=False),
    Column("deployment_id", String, nullable=False),
    Column("entry_point", String, nullable=False),
    Column("durable", Boolean(create_constraint=False), nullable=False),
    Column("hash_seed", BigInteger, nullable=False),
    Column("parent_id", String, nullable=False),
    Column("event_id", String, nullable=False),
    Column("forked_from", String, nullable=False),
    Column("origin_id", String, nullable=False),  # the session whose key signed the oldest entries
    Column("stop_requested", Text),  # JSON
    Column("waiting", LargeBinary),  # Entry of kind WAIT or RETRY
    Column("event", LargeBinary, nullable=False),  # JSON
    Column("result", LargeBinary),  # Payload
    Column("error", LargeBinary),  # Error
    Column("divergence", LargeBinary),  # Divergence
    Column("event_form", Integer, nullable=False, server_default="0"),  # EventForm: what the handler is called with
    Column("on_parent_end", String, nullable=False, server_default=""),  # terminate, request_cancel, abandon
    Column("memo", Text),  # JSON, texts by name
    Column("status", LargeBinary),  # JSON: what it said last of itself
    Index("sessions_by_time", "created_us", "session_id"),
    Index("sessions_by_project", "project", "created_us", "session_id"),
)
Index("sessions_alive", sessions.c.session_id, sqlite_where=sessions.c.ended_us.is_(None))
Index("sessions_to_wake", sessions.c.wake_at_us, sqlite_where=sessions.c.wake_at_us.is_not(None))
Index("sessions_of_deployment", sessions.c.deployment_id, sqlite_where=sessions.c.ended_us.is_(None))
Index("sessions_of_parent", sessions.c.parent_id, sqlite_where=sessions.c.parent_id != "")
Index("sessions_of_event", sessions.c.event_id, sqlite_where=sessions.c.event_id != "")

entries = Table(
    "entries",
    metadata,
    Column("session_id", String, ForeignKey("sessions.session_id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("entry", LargeBinary, nullable=False),  # Entry
    sqlite_with_rowid=False,
)

# (ordinal, idx) rises with every line of a session and is the same in every replay: stored twice is stored once.
logs = Table(
    "logs",
    metadata,
    Column("session_id", String, ForeignKey("sessions.session_id"), primary_key=True),
    Column("ordinal", BigInteger, primary_key=True, autoincrement=False),
    Column("idx", BigInteger, primary_key=True, autoincrement=False),
    Column("line", LargeBinary, nullable=False),  # LogLine
    sqlite_with_rowid=False,
)

signals = Table(
    "signals",
    metadata,
    Column("session_id", String, ForeignKey("sessions.session_id"), primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),  # from 1, in order of arrival
    Column("name", String, nullable=False),
    Column("payload", LargeBinary, nullable=False),  # JSON
    Column("at_us", BigInteger, nullable=False),
    Column("consumed_seq", BigInteger),  # the entry that gave it to user code; NULL: still waits
    sqlite_with_rowid=False,
)

# Set with `perdure vars set`; they take the place of a deployment's. A project need not exist yet.
variables = Table(
    "vars",
    metadata,
    Column("project", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("value", LargeBinary, nullable=False),  # UTF-8; of a secret: sealed, see secrets/vault.py
    Column("secret", Boolean(create_constraint=False), nullable=False),
    Column("key_id", String, nullable=False),  # of the key that sealed it; "" in clear
    Column("set_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# Bearer tokens of clients. Only the digest of the secret is here, see security/tokens.py.
tokens = Table(
    "tokens",
    metadata,
    Column("token_id", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False),  # sha256 of the secret
    Column("name", String, nullable=False),
    Column("scope", String, nullable=False),  # admin, deploy, read
    Column("project", String, nullable=False),  # "": all
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),  # 0: never
    Column("used_us", BigInteger, nullable=False),  # roughly; 0: never
)

# Invitations of hosts that nobody has taken up yet: taking one up deletes its row.
invites = Table(
    "invites",
    metadata,
    Column("invite_id", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False),  # sha256 of the secret
    Column("host_id", String, nullable=False),  # "": any name that is free
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
)

# Hosts that have joined with an invitation. One whose row is gone is not let in, whatever its certificate says.
joined = Table(
    "hosts",
    metadata,
    Column("host_id", String, primary_key=True),
    Column("key_digest", LargeBinary, nullable=False),  # sha256 of its public key
    Column("joined_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),  # of its newest certificate
)

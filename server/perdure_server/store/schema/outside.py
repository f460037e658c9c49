"""The tables of what comes in from outside, and of what sessions share. As `tables`, whose metadata they belong to."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, LargeBinary, String, Table, Text

from perdure_server.store.schema.tables import metadata

# Everything that happened. A webhook is answered when its row is here.
events = Table(
    "events",
    metadata,
    # Rises with every event, and is never used again: subscriptions know by it how far they are.
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", String, nullable=False, unique=True),
    Column("project", String, nullable=False),
    Column("source", String, nullable=False),  # name of a trigger or a connection
    Column("source_type", String, nullable=False),  # webhook, schedule, connection, manual
    Column("event_type", String, nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("dedup", String),  # NULL: every one is new
    Column("memo", Text, nullable=False),  # JSON, texts by name
    Column("data", LargeBinary, nullable=False),  # JSON
    Index("events_by_source", "project", "source", "seq"),
    Index("events_once", "project", "source", "dedup", unique=True),
    Index("events_by_time", "created_us"),
    sqlite_autoincrement=True,
)

# What became of an event at a trigger. The first attempt's row is written with the event, and its session with it.
dispatches = Table(
    "dispatches",
    metadata,
    Column("event_seq", BigInteger, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("trigger_name", String, primary_key=True),
    Column("state", String, nullable=False),  # pending, started, completed, failed, dropped, dead
    Column("attempt", Integer, nullable=False),  # of the session that was started last, from 1; 0: none yet
    Column("session_id", String, nullable=False),  # of that attempt
    Column("group_key", String, nullable=False),  # of concurrency, rate limit and debounce, which are held by key
    Column("due_us", BigInteger, nullable=False),  # of a pending one: when it may start; 0: when there is room
    Column("reason", String, nullable=False),
    sqlite_with_rowid=False,
)
Index("dispatches_open", dispatches.c.due_us, sqlite_where=dispatches.c.state == "pending")
Index("dispatches_started", dispatches.c.event_seq, sqlite_where=dispatches.c.state == "started")
Index("dispatches_of_session", dispatches.c.session_id, sqlite_where=dispatches.c.session_id != "")

# The triggers that a project has had: the slug of a webhook and the place of a schedule outlive deployments.
triggers = Table(
    "triggers",
    metadata,
    Column("project", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("type", String, nullable=False),  # webhook, schedule, connection
    Column("slug", String, nullable=False, unique=True),  # in the URL of a webhook; of the others never used
    Column("created_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False),  # the time of a schedule that was last dealt with; 0: none
    sqlite_with_rowid=False,
)

# Of sessions that live. Events are read from `events`: a subscription is how far it is.
subscriptions = Table(
    "subscriptions",
    metadata,
    Column("session_id", String, ForeignKey("sessions.session_id"), primary_key=True),
    Column("subscription_id", String, primary_key=True),  # from the place of its call: the same in every replay
    Column("project", String, nullable=False),
    Column("source", String, nullable=False),
    Column("filter", String, nullable=False),  # CEL; "": every event
    Column("after_seq", BigInteger, nullable=False),  # events up to here are over for it
    Index("subscriptions_by_source", "project", "source"),
    sqlite_with_rowid=False,
)

# Which subscription had an event; the subscription may be over.
deliveries = Table(
    "deliveries",
    metadata,
    Column("event_seq", BigInteger, ForeignKey("events.seq"), primary_key=True, autoincrement=False),
    Column("session_id", String, ForeignKey("sessions.session_id"), primary_key=True),
    Column("subscription_id", String, primary_key=True),
    Column("taken_us", BigInteger, nullable=False),
    Index("deliveries_of_session", "session_id"),
    sqlite_with_rowid=False,
)

# What sessions answered to whoever waits for an outcome of an event.
outcomes = Table(
    "outcomes",
    metadata,
    Column("event_id", String, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),  # from 1
    Column("session_id", String, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("value", LargeBinary, nullable=False),  # JSON
    sqlite_with_rowid=False,
)

# The key-value store that the sessions of a project share.
shared = Table(
    "shared_values",
    metadata,
    Column("project", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("version", BigInteger, nullable=False),  # rises with every change, from 1
    Column("published", Boolean(create_constraint=False), nullable=False),
    Column("set_us", BigInteger, nullable=False),
    Column("value", LargeBinary, nullable=False),  # JSON
    sqlite_with_rowid=False,
)

# Named credentials: the values are variables of the project, NAME__KEY.
connections = Table(
    "connections",
    metadata,
    Column("project", String, primary_key=True),
    Column("name", String, primary_key=True),
    Column("integration", String, nullable=False),
    Column("slug", String, nullable=False, unique=True),  # in the URL that its service calls
    Column("set_us", BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

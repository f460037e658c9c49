"""The key `triggers`: how it is read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, get_args

from yaml.nodes import MappingNode, Node, ScalarNode

from perdure_server.core import cron, filters
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.nodes import Places, Reader, is_null, meant, places_of
from perdure_server.manifest.shapes import (
    DURATION,
    SIZE,
    TEXT,
    Key,
    Shape,
    any_of,
    boolean,
    choice,
    integer,
    matching,
    named,
    object_schema,
    read_keys,
    record,
)
from perdure_server.manifest.triggers import (
    CatchUp,
    Concurrency,
    Debounce,
    Over,
    Overlap,
    Rate,
    Schedule,
    Signature,
    SignatureKind,
    Trigger,
    TriggerType,
    Webhook,
)

TYPES: Final[tuple[TriggerType, ...]] = get_args(TriggerType)
_NAME_HELP: Final = "use letters, digits, '_' and '-', at most 63"
_PLAIN_STYLES: Final = {None: 0, "'": 1, '"': 1}
_HEADER: Final = r"\*|[A-Za-z0-9-]{1,80}"
_ORIGIN: Final = r"\*|https?://[^/\s]+"

ENTRY: Final = matching(r"[^:]+\.py:[A-Za-z_][A-Za-z0-9_]*", "write FILE.py:FUNCTION")


def expression(compile_it: Callable[[str], object], example: str) -> Shape:
    """Text that is compiled now, to be told of its faults: each at its own column, where a line of YAML is the text."""

    def read(reader: Reader, node: Node, what: str) -> str | None:
        text = reader.text(node, what)
        if text is None:
            return None
        try:
            compile_it(text)
        except PerdureError as error:
            reader.add(
                error.code,
                node,
                f"{what}: {error.message}",
                error.help or f"such as {example}",
                _within(node, error.column),
            )
            return None
        return text

    return Shape(read, {"type": "string"})


def _within(node: Node, column: int | None) -> int:
    """How far into the node a column of its text is; 0 where the file has the text in another form."""
    one_line = node.start_mark.line == node.end_mark.line
    if column is None or not isinstance(node, ScalarNode) or not one_line or node.style not in _PLAIN_STYLES:
        return 0
    return column - 1 + _PLAIN_STYLES[node.style]


FILTER: Final = expression(filters.compile_filter, 'data.action == "opened"')
KEY: Final = expression(filters.compile_key, "data.customer.id")


def _connection(reader: Reader, node: Node, what: str) -> str | None:
    """A connection's name, or `@family.alias`: that one, and it must be of this integration."""
    name = reader.text(node, what)
    if name is None:
        return None
    reader.refer("connection", node, name)
    return name.rpartition(".")[2] if name.startswith("@") else name


def _secret(reader: Reader, node: Node, what: str) -> str | None:
    name = reader.text(node, what)
    if name is not None:
        reader.refer("variable", node, name)
    return name


def _cased(shape: Shape, case: Callable[[str], str]) -> Shape:
    """A list of texts, or one; each as `case` makes it."""

    def read(reader: Reader, node: Node, what: str) -> tuple[str, ...]:
        return tuple(case(text) for text in listed(shape).read(reader, node, what))

    return Shape(read, listed(shape).schema)


def listed(of: Shape) -> Shape:
    """A list, or one thing of it alone."""

    def read(reader: Reader, node: Node, what: str) -> tuple[Any, ...]:
        nodes = [node] if isinstance(node, ScalarNode) else reader.items(node, what)
        found = [of.read(reader, each, f"each of {what}") for each in nodes]
        return tuple(each for each in found if each is not None)

    return Shape(read, any_of(of.schema, {"type": "array", "items": of.schema}))


_SIGNATURE: Final = record(
    Signature,
    {
        "kind": Key(choice(*get_args(SignatureKind)), "whose scheme it is", required=True),
        "secret": Key(Shape(_secret, TEXT.schema), "the variable that has the key", required=True),
        "header": Key(TEXT, "generic: the header that has the signature"),
        "algorithm": Key(choice("sha1", "sha256", "sha512"), "generic: of the HMAC; default: sha256"),
        "encoding": Key(choice("hex", "base64"), "generic: of the digest; default: hex"),
        "prefix": Key(TEXT, "generic: text before the digest, such as sha256="),
        "tolerance": Key(DURATION, "age up to which a signed time is accepted; default: 5m", "tolerance_s"),
    },
)


def _signature(reader: Reader, node: Node, what: str) -> Signature | None:
    """Only the scheme "generic" leaves open where the signature is and how it is made."""
    found: Signature | None = _SIGNATURE.read(reader, node, what)
    if found is None:
        return None
    if found.kind == "generic" and not found.header:
        reader.add("P0104", node, f"{what} has no `header`", "name the header that the sender puts it in")
    for key, _ in node.value if found.kind != "generic" else ():
        if key.value in {"header", "algorithm", "encoding", "prefix"}:
            reader.add("P0103", key, f"`{key.value}` goes with `kind: generic` only", f"{found.kind} has its own")
    return found


SIGNATURE: Final = Shape(_signature, _SIGNATURE.schema)
WEBHOOK: Final = record(
    Webhook,
    {
        "path": Key(
            matching(r"[A-Za-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)*", "letters, digits, '.', '_', '~', '-' and '/'"),
            "of its URL, /webhooks/PROJECT/PATH; default: only the URL with the secret slug",
        ),
        "methods": Key(_cased(matching("[A-Za-z]{1,20}", "GET, POST, ..."), str.upper), "HTTP methods; default: any"),
        "signature": Key(SIGNATURE, "how requests prove who sent them; others are refused"),
        "dedup_header": Key(TEXT, "requests with the same value of this header are one event"),
        "keep_headers": Key(
            _cased(matching(_HEADER, "Authorization, Cookie, ..., or *"), str.lower),
            "headers with credentials that the event has all the same, where others have ***; *: all",
        ),
        "max_body": Key(SIZE, "longest body; default: 1MiB", "max_bytes"),
        "cors": Key(listed(matching(_ORIGIN, "https://HOST, or *")), "origins whose pages may call it"),
        "timeout": Key(DURATION, "sync: how long a caller waits for an outcome; default: 30s", "timeout_s"),
    },
    short="path",
)
SCHEDULE: Final = record(
    Schedule,
    {
        "cron": Key(TEXT, "cron of 5 to 7 fields, @every 5m, @daily, ...", "text", required=True),
        "timezone": Key(TEXT, "name of the tz database; default: UTC"),
        "catch_up": Key(choice(*get_args(CatchUp)), "of the times that passed while nobody ran; default: last"),
        "overlap": Key(choice(*get_args(Overlap)), "while the last one's session still runs; default: allow"),
        "jitter": Key(DURATION, "each is late by a random time up to this", "jitter_s"),
    },
    short="cron",
)
_LIMIT: Final = Key(integer(low=1, high=1_000_000), "how many", required=True)
_KEY: Final = Key(KEY, "an expression over the event: each of its values is counted apart")
CONCURRENCY: Final = record(Concurrency, {"limit": _LIMIT, "key": _KEY}, short="limit")
RATE: Final = record(
    Rate,
    {
        "limit": _LIMIT,
        "per": Key(DURATION, "in how long", "per_s", required=True),
        "over": Key(choice(*get_args(Over)), "what becomes of more; default: delay"),
        "key": _KEY,
    },
)
DEBOUNCE: Final = record(
    Debounce,
    {
        "for": Key(DURATION, "how long there must be no other one", "for_s", required=True),
        "max": Key(DURATION, "since the first one, at most; default: no such end", "max_s"),
        "key": _KEY,
    },
    short="for",
)
KEYS: Final = {
    "webhook": Key(WEBHOOK, "an HTTP request; a path, or a mapping"),
    "schedule": Key(SCHEDULE, "a time; cron, or a mapping"),
    "connection": Key(Shape(_connection, TEXT.schema), "what a connection's service sends"),
    "event_type": Key(TEXT, "connection: events of this type only"),
    "call": Key(ENTRY, "FILE.py:FUNCTION that each event starts; none: sessions subscribe to it"),
    "filter": Key(FILTER, "CEL over data, event_type and headers: other events are dropped"),
    "durable": Key(boolean(True), "false: its sessions record nothing"),
    "sync": Key(boolean(False), "webhook: the caller waits for an outcome of the session"),
    "concurrency": Key(CONCURRENCY, "sessions at once; a number, or a mapping"),
    "rate": Key(RATE, "sessions in a time"),
    "debounce": Key(DEBOUNCE, "only the last one of a burst; a duration, or a mapping"),
    "retry": Key(integer(high=100), "more sessions for an event whose session fails; default: 0"),
}


def _trigger(reader: Reader, node: Node, what: str) -> dict[str, Any] | None:
    """The fields of a trigger, but for its name and place."""
    values, _ = read_keys(reader, node, what, KEYS)
    if not isinstance(node, MappingNode) and not is_null(node):
        return None
    places = places_of(node)
    told = meant(node, KEYS)
    types = [name for name in TYPES if name in places] or [name for name in TYPES if name in told]
    if not types:
        some = '`webhook:` is a URL, `schedule: "@daily"` a time, `connection: NAME` what a service sends'
        reader.add("P0104", node, f"{what} has none of {', '.join(f'`{name}`' for name in TYPES)}", some)
        return None
    kind, *more = types
    for name in more:
        reader.add("P0103", places[name][0], f"{what} has `{kind}` already", "make two triggers of it")
    if schedule := values.get("schedule"):
        whole = places["schedule"][1]
        parts = {name: value for name, (_, value) in places_of(whole).items()}
        check_schedule(reader, schedule, parts.get("cron", whole), parts.get("timezone", whole))
    check_kind(reader, kind, places)
    return values | {"type": kind}


def check_kind(reader: Reader, kind: TriggerType, places: Places) -> None:
    """Keys that only one type of trigger has."""
    for name, of in (("event_type", "connection"), ("sync", "webhook")):
        if name in places and kind != of and str(places[name][1].value) not in {"false", ""}:
            reader.add("P0103", places[name][0], f"`{name}` goes with `{of}` only", f"remove it, or `{kind}`")


def check_schedule(reader: Reader, schedule: Schedule, text: Node, zone: Node) -> None:
    """A schedule as a whole: what is wrong with its text, and what with its time zone."""
    for node, parts in ((text, (schedule.text, "UTC")), (zone, ("@daily", schedule.timezone))):
        try:
            cron.parse(*parts)
        except PerdureError as error:
            hint = error.help or "minute hour day month weekday, as in 0 8 * * 1-5"
            reader.add(error.code, node, error.message, hint)


_NAMED: Final = named(Shape(_trigger, object_schema(KEYS)), "trigger", r"[A-Za-z_][A-Za-z0-9_-]{0,62}", _NAME_HELP)


def _triggers(reader: Reader, node: Node, what: str) -> tuple[Trigger, ...]:
    return tuple(
        Trigger(name=name, line=key.start_mark.line + 1, column=key.start_mark.column + 1, **values)
        for name, key, values in _NAMED.read(reader, node, what)
        if values is not None
    )


TRIGGERS: Final = Shape(_triggers, _NAMED.schema)

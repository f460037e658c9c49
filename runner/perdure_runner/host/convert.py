"""Frames of the child half into messages of the stream, and back. The one place that knows both.

What comes from a runner is checked field by field; anything unknown, of the wrong type or out of range is a
`ProtocolError`. What comes from the coordinator is trusted but for its size.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from perdure_proto.v1 import journal_pb2 as journal
from perdure_proto.v1 import runner_pb2 as runner

from perdure_runner.frames import MAX_FRAME, Header, encode
from perdure_runner.host.fields import Check, ProtocolError, choice, digest, flag, integer, listing, text

# Characters. The child half bounds what it sends well below these.
NAME, PATH, LINE, PREVIEW, MESSAGE = 1024, 4096, 4096, 64 << 10, 1 << 20
LOG_TEXT = 1 << 20
ARGUMENTS, ARGUMENT = 64, 2048  # parts of arguments, and bytes of what is said of each
NAMES = 256  # signals that one wait may name
LANES = 65536  # that may wait at once
TRACEBACK = 2048  # frames
REQUEST = 1 << 20  # bytes of what is asked of the coordinator
PAGE_TEXT = 512 << 10  # bytes of entries beside their payloads in one frame of history; escapes can make six of one
PAGE_PAYLOAD = 8 << 20
_U32 = (1 << 32) - 1

# Parts of an entry: the message itself and its sub-messages.
_SELF, _SITE, _OUTCOME, _WAIT, _RESOLUTION = range(5)
_PART_NAMES = ("", "site", "outcome", "wait", "resolution")

ENTRY: dict[str, tuple[int, str, Check]] = {
    "seq": (_SELF, "seq", integer()),
    "lane": (_SELF, "lane", text(NAME)),
    "ord": (_SELF, "ordinal", integer()),
    "kind": (_SELF, "kind", integer(1, 8)),
    "fn": (_SELF, "function", text(NAME)),
    "dig": (_SELF, "args_digest", digest(8, 64)),
    "args": (_SELF, "args_preview", text(PREVIEW)),
    "att": (_SELF, "attempt", integer(0, _U32)),
    "at": (_SELF, "at_us", integer()),
    "dur": (_SELF, "duration_us", integer()),
    "err": (_SELF, "is_error", flag),
    "amo": (_SELF, "at_most_once", flag),
    "dga": (_SELF, "arg_digests", listing(digest(8, ARGUMENT), ARGUMENTS)),
    "file": (_SITE, "file", text(PATH)),
    "line": (_SITE, "line", integer(0, _U32)),
    "col": (_SITE, "column", integer(0, _U32)),
    "src": (_SITE, "source", text(LINE)),
    "enc": (_OUTCOME, "encoding", integer(0, 2)),
    "mac": (_OUTCOME, "mac", digest(8, 64)),
    "pv": (_OUTCOME, "preview", text(PREVIEW)),
    "size": (_OUTCOME, "size", integer()),
    "wk": (_WAIT, "kind", integer(0, 4)),
    "fires": (_WAIT, "fires_at_us", integer()),
    "names": (_WAIT, "names", listing(text(NAME), NAMES)),
    "how": (_RESOLUTION, "kind", integer(0, 7)),
    "name": (_RESOLUTION, "name", text(NAME)),
}

LOG: dict[str, tuple[str, Check]] = {
    "o": ("ordinal", integer()),
    "i": ("index", integer()),
    "s": ("stream", integer(1, 3)),
    "l": ("level", text(64)),
    "at": ("at_us", integer()),
    "x": ("text", text(LOG_TEXT)),
    "a": ("activity", text(NAME)),
}

_ERROR: dict[str, tuple[str, Check]] = {
    "type": ("type", text(NAME)),
    "message": ("message", text(MESSAGE)),
    "code": ("code", text(5)),
    "help": ("help", text(MESSAGE)),
}

_TRACE: tuple[tuple[str, Check], ...] = (
    ("file", text(PATH)),
    ("line", integer(0, _U32)),
    ("name", text(NAME)),
    ("column", integer(0, _U32)),
    ("source", text(LINE)),
)

_DONE_STATES = {
    "completed": runner.DONE_STATE_COMPLETED,
    "failed": runner.DONE_STATE_FAILED,
    "stopped": runner.DONE_STATE_STOPPED,
    "diverged": runner.DONE_STATE_DIVERGED,
    "replayed": runner.DONE_STATE_REPLAYED,
}

# Which rows carry a value, and which a wait; a runner never writes RESOLVED.
_WITH_OUTCOME = {
    journal.ENTRY_KIND_ACTIVITY,
    journal.ENTRY_KIND_MARKER,
    journal.ENTRY_KIND_RETRY,  # why the attempt failed
    journal.ENTRY_KIND_SYSTEM,
}
_WITH_WAIT = {journal.ENTRY_KIND_WAIT, journal.ENTRY_KIND_RETRY}
_OF_RUNNER = _WITH_OUTCOME | _WITH_WAIT | {journal.ENTRY_KIND_STARTED, journal.ENTRY_KIND_ORDER}

# What moves the clock of user code's event loops, when replay comes to it.
_TIMED = {journal.ENTRY_KIND_ACTIVITY, journal.ENTRY_KIND_RESOLVED, journal.ENTRY_KIND_ORDER}

# Fields of an entry that go into its object as they are, when they are not zero.
_SPARSE = (
    ("fn", "function"),
    ("att", "attempt"),
    ("err", "is_error"),
    ("amo", "at_most_once"),
)

Message = TypeVar("Message")


def add_record(records: runner.Records, number: int, header: Header, payload: bytes) -> None:
    """Append a `rec` frame to a message under the coordinator's number for it."""
    fields: Any = header.get("e")
    parts = _entry_parts(fields)
    entry = parts[_SELF]
    kind = entry.get("kind")
    outcome = entry.get("outcome")
    if kind not in _OF_RUNNER or entry.get("seq") or "resolution" in entry:
        raise ProtocolError(f"a runner does not write entries of kind {kind}")
    if not entry.get("lane") or not entry.get("ordinal"):
        raise ProtocolError("an entry without lane and ordinal")
    if (kind in _WITH_WAIT) != ("wait" in entry):
        raise ProtocolError(f"an entry of kind {kind} and a wait do not go together")
    if fields.get("n", len(payload)) != len(payload):
        raise ProtocolError(f"a payload of {len(payload)} bytes was announced as {fields['n']!r:.40}")
    if kind in _WITH_OUTCOME or _is_request(entry, payload):
        if outcome is None or not outcome.get("encoding"):
            raise ProtocolError(f"an entry of kind {kind} without an outcome")
        _complete(outcome, payload)
    elif payload or (outcome is not None and outcome.get("encoding")):
        raise ProtocolError(f"an entry of kind {kind} with an outcome")
    _made(records.records.add, no=number, entry=entry)


def _is_request(entry: dict[str, Any], body: bytes) -> bool:
    """Check what is asked of the coordinator: an operation, whose body is the row's payload."""
    wait = entry.get("wait", {})
    if entry["kind"] != journal.ENTRY_KIND_WAIT or wait.get("kind") != journal.WAIT_KIND_REQUEST:
        return False
    if len(wait.get("names", ())) != 1 or wait.get("fires_at_us"):
        raise ProtocolError("a request names its operation, and has no deadline")
    if entry.get("outcome", {}).get("encoding") != journal.ENCODING_JSON or len(body) > REQUEST:
        raise ProtocolError(f"a request of {len(body)} bytes, or no JSON")
    return True


def ask(header: Header, payload: bytes) -> runner.Ask:
    """Give what an `ask` frame says; identity is for the caller to fill in."""
    if unknown := header.keys() - {"t", "id", "op"}:
        raise ProtocolError(f"unknown keys {sorted(unknown)!r:.80}")
    if not 0 < len(payload) <= REQUEST:
        raise ProtocolError(f"a request of {len(payload)} bytes")
    return _made(runner.Ask, id=integer(1)(header.get("id")), operation=text(NAME)(header.get("op")), body=payload)


def answer_frame(answer: runner.Answer) -> bytes:
    """Give the `answer` frame for what was asked."""
    if not answer.HasField("error"):
        return encode({"t": "answer", "id": answer.id, "refused": 0}, answer.body)
    error = answer.error
    told = json.dumps({"code": error.code, "message": error.message, "help": error.help})
    return encode({"t": "answer", "id": answer.id, "refused": 1}, told.encode())


def add_line(records: runner.Records, number: int, line: dict[str, Any]) -> None:
    """Append a line, as `log_line` gives it, to a message."""
    _made(records.records.add, no=number, log=line)


def log_line(header: Header) -> dict[str, Any]:
    """Give a checked `log` frame under the names of `LogLine`."""
    line = _named(LOG, header, besides=("t", "no"))
    if "stream" not in line:
        raise ProtocolError("a line without its stream")
    return line


def done(header: Header, payload: bytes) -> runner.Done:
    """Make `Done` of a `done` frame; identity and number are for the caller to fill in."""
    state = choice(*_DONE_STATES)(header.get("state"))
    fields: dict[str, Any] = {"state": _DONE_STATES[state]}
    result = {}
    for key in ("enc", "pv", "mac", "size"):
        if key in header:
            _, name, check = ENTRY[key]
            result[name] = check(header[key])
    if result.get("encoding"):
        fields["result"] = _complete(result, payload)
    elif payload:
        raise ProtocolError("a result without its encoding")
    if header.get("err") is not None:
        fields["error"] = _error(header["err"])
    if header.get("div") is not None:
        fields["divergence"] = _divergence(header["div"])
    if unknown := header.keys() - {"t", "no", "state", "enc", "pv", "mac", "size", "err", "div"}:
        raise ProtocolError(f"unknown keys {sorted(unknown)!r:.80}")
    return _made(runner.Done, **fields)


def waiting(header: Header) -> runner.Waiting:
    """Give what a `wait` frame says; identity is for the caller to fill in."""
    waits = header.get("waits")
    if type(waits) is not list or not 0 < len(waits) <= LANES:
        raise ProtocolError(f"a session waits for 1 to {LANES} things")
    busy = flag(header.get("busy", 0))
    calls = [_waiting_for(call) for call in waits]
    if len({(call["lane"], call["ordinal"]) for call in calls}) != len(calls):
        raise ProtocolError("a session waits for each thing once")
    return _made(runner.Waiting, waits=calls, busy=busy)


def _waiting_for(call: Any) -> dict[str, Any]:
    if type(call) is not list or len(call) != 2:
        raise ProtocolError("a wait is named by a list of lane and ordinal")
    return {"lane": text(NAME)(call[0]), "ordinal": integer(1)(call[1])}


def entry_frame(entry: journal.Entry) -> tuple[Header, bytes]:
    """Give what replay decides by of an entry as a JSON object, and its payload.

    What is there for people (place, previews, times) stays with the coordinator, which has it when they ask.

    Raises:
        ProtocolError: its payload is a blob that nobody has put in place.
    """
    fields: Header = {"lane": entry.lane, "ord": entry.ordinal, "kind": entry.kind}
    payload = None
    for key, name in _SPARSE:
        if value := getattr(entry, name):
            fields[key] = value
    if digested := entry.args_digest:
        fields["dig"] = digested.hex()
    if entry.kind in _TIMED:
        fields["at"] = entry.at_us
    if entry.HasField("outcome") and entry.kind != journal.ENTRY_KIND_WAIT:
        payload = entry.outcome
    if entry.HasField("wait"):
        wait = entry.wait
        fields |= {"wk": wait.kind, "fires": wait.fires_at_us, "names": list(wait.names)}
    if entry.HasField("resolution"):
        resolution = entry.resolution
        fields |= {"how": resolution.kind, "name": resolution.name}
        if resolution.HasField("payload"):
            payload = resolution.payload
    if payload is None:
        return fields, b""
    return fields, _payload_frame(fields, payload)


def history_frames(entries: Iterable[journal.Entry], last: bool, *, numbered: bool = False) -> Iterator[bytes]:
    """Give a page of history as encoded frames: one, or several when it is large. `numbered`: with their places."""
    page: list[Header] = []
    payloads: list[bytes] = []
    texts = data = 0
    for entry in entries:
        fields, payload = entry_frame(entry)
        if numbered:
            fields["seq"] = entry.seq
        text_size = entry.ByteSize() - len(payload)
        if page and (texts + text_size > PAGE_TEXT or data + len(payload) > PAGE_PAYLOAD):
            yield encode({"t": "hist", "e": page, "last": False}, b"".join(payloads))
            page, payloads, texts, data = [], [], 0, 0
        page.append(fields)
        payloads.append(payload)
        texts += text_size
        data += len(payload)
    yield encode({"t": "hist", "e": page, "last": last}, b"".join(payloads))


def resolved_frame(entry: journal.Entry) -> bytes:
    """Give the `res` frame for how a wait ended."""
    fields, payload = entry_frame(entry)
    return encode({"t": "res", "e": fields}, payload)


def start_frame(
    start: runner.Start, code: str, cache: str, environment: str = "", lease_s: float = 0.0, proxied: bool = False
) -> bytes:
    """Give the `start` frame. Rules and limits have the names and units of `ActivityRule`, `RetryPolicy` and `Limits`.

    `lease_s`: for so many seconds the session is surely this host's. `proxied`: its only way out is its door.

    Raises:
        ProtocolError: the event is not JSON in UTF-8.
    """
    try:
        event = start.event.decode() or "null"
        json.loads(event)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"the event is no JSON: {error}") from None
    return encode(
        {
            "t": "start",
            "session": start.session_id.partition("~")[0],  # what follows tells a replay from the session itself
            "code": code,
            "cache": cache,
            "environment": environment,
            "lease": lease_s,
            "entry": start.entry_point,
            "event": event,
            "form": int(start.event_form),
            "vars": dict(start.vars),
            "rules": [_rule(rule) for rule in start.activities],
            "limits": _plain(start.limits),
            "key": start.key.hex(),
            "entries": start.history_entries,
            "logged": [start.logged_ordinal, start.logged_index],
            "durable": start.durable,
            "replay_only": start.replay_only,
            "seed": start.hash_seed,
            "project": start.project,
            "proxied": proxied,
            "created_at": start.created_at,
            "shared": [[each.session_id.partition("~")[0], each.upto_seq] for each in reversed(start.ancestors)],
        }
    )


def _entry_parts(fields: Any) -> list[dict[str, Any]]:
    """Check an entry's object and give its values under their names in `Entry`; the first part refers to the others."""
    if type(fields) is not dict:
        raise ProtocolError("an entry that is no object")
    parts: list[dict[str, Any]] = [{}, {}, {}, {}, {}]
    for key, value in fields.items():
        known = ENTRY.get(key)
        if known is not None:
            part, name, check = known
            parts[part][name] = check(value)
        elif key != "n":
            raise ProtocolError(f"unknown key {key!r:.40} in an entry")
    entry = parts[_SELF]
    for part in (_SITE, _OUTCOME, _WAIT, _RESOLUTION):
        if parts[part]:
            entry[_PART_NAMES[part]] = parts[part]
    return parts


def _complete(outcome: dict[str, Any], payload: bytes) -> dict[str, Any]:
    """Put a value's bytes beside what is said of them."""
    if not payload or outcome.get("size", len(payload)) != len(payload):
        raise ProtocolError(f"a value of {outcome.get('size')} bytes came with {len(payload)}")
    outcome["data"] = payload
    outcome["size"] = len(payload)
    return outcome


def _divergence(fields: Any) -> dict[str, Any]:
    if type(fields) is not dict or fields.keys() - {"recorded", "called", "reason"}:
        raise ProtocolError("a divergence is an object of recorded, called and reason")
    divergence: dict[str, Any] = {"reason": text(MESSAGE)(fields.get("reason", ""))}
    for side in ("recorded", "called"):
        if fields.get(side) is not None:
            divergence[side] = _entry_parts(fields[side])[_SELF]
    return divergence


def _error(fields: Any) -> dict[str, Any]:
    if type(fields) is not dict:
        raise ProtocolError("an error that is no object")
    error = _named(_ERROR, fields, besides=("tb",))
    trace = fields.get("tb") or []
    if type(trace) is not list or len(trace) > TRACEBACK:
        raise ProtocolError(f"a traceback is a list of up to {TRACEBACK} frames")
    error["traceback"] = [_trace(frame) for frame in trace]
    return error


def _trace(frame: Any) -> dict[str, Any]:
    if type(frame) is not list or len(frame) > len(_TRACE):
        raise ProtocolError("a frame of a traceback is a list of file, line, name, column and source")
    return {name: check(value) for (name, check), value in zip(_TRACE, frame, strict=False)}


def _named(table: dict[str, tuple[str, Check]], fields: Header, besides: tuple[str, ...]) -> dict[str, Any]:
    """Check an object's values by a table of its keys and give them under their new names."""
    named = {}
    for key, value in fields.items():
        known = table.get(key)
        if known is not None:
            name, check = known
            named[name] = check(value)
        elif key not in besides:
            raise ProtocolError(f"unknown key {key!r:.40}")
    return named


def _made(make: Callable[..., Message], **fields: Any) -> Message:
    """Make a message; what the checks let pass and protobuf does not (text that is no UTF-8) is refused here."""
    try:
        return make(**fields)
    except (TypeError, ValueError) as error:
        raise ProtocolError(str(error)) from None


def _payload_frame(fields: Header, payload: journal.Payload) -> bytes:
    data = payload.data
    if payload.blob and not data:
        raise ProtocolError(f"the payload {payload.blob} of call {fields['ord']} is not here")
    if len(data) > MAX_FRAME:
        raise ProtocolError(f"a payload of {len(data)} bytes")
    fields["enc"] = payload.encoding
    fields["n"] = len(data)
    if payload.mac:
        fields["mac"] = payload.mac.hex()
    return data


def _rule(rule: runner.ActivityRule) -> Header:
    return _plain(rule) | ({"retry": _plain(rule.retry)} if rule.HasField("retry") else {})


def _plain(message: Any) -> Header:
    """Give a message's own fields, zeros included, without its sub-messages."""
    plain = {}
    for field in message.DESCRIPTOR.fields:
        if field.message_type is None:
            value = getattr(message, field.name)
            plain[field.name] = value if isinstance(value, int | float | str) else list(value)
    return plain

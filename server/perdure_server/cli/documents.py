"""JSON documents of the command line (docs/reference/cli.md): dictionaries made from protobuf messages. Pure."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import sys
from collections.abc import Iterable
from typing import Any, NoReturn

from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_proto.v1 import runner_pb2 as runner

from perdure_server.cli.calls import Call, assemble
from perdure_server.core import divergence as core
from perdure_server.core.divergence import NEITHER, Sides

Document = dict[str, Any]

_LAST_US = 253402300799_999999  # the last microsecond that datetime knows


def session(
    message: control.Session,
    entries: Iterable[journal.Entry],
    logs: Iterable[journal.LogLine],
    sides: Sides = NEITHER,
) -> Document:
    """The document of `run --json`, `start --wait --json` and `sessions show --json`."""
    differs = message.HasField("divergence")
    more = {"divergence": divergence(message.divergence, sides, message.entries)} if differs else {}
    if message.memo:
        more["memo"] = dict(message.memo)
    if message.status:
        more["status"] = json.loads(message.status)
    return {
        "session_id": message.session_id,
        "project": message.project,
        "build_id": message.build_id,
        "entry_point": message.entry_point,
        "state": message.state,
        "result": value(message.result) if message.HasField("result") else None,
        "error": error(message),
        "prints": [line.text for line in logs if line.stream == journal.STREAM_STDOUT],
        "activities": [activity(call) for call in assemble(entries)],
        "created_at": message.created_at or None,
        "ended_at": message.ended_at or None,
        "parent_id": message.parent_id or None,
        "event_id": message.event_id or None,
        **more,
    }


def summary(message: control.Session) -> Document:
    """One session of `sessions list --json`."""
    waits = message.HasField("waiting_for")
    return {
        "session_id": message.session_id,
        "project": message.project,
        "build_id": message.build_id,
        "entry_point": message.entry_point,
        "state": message.state,
        "suspended": message.suspended,
        "waiting_for": wait(message.waiting_for) if waits else None,
        "entries": message.entries,
        "runner_pid": message.runner_pid or None,
        "host_id": message.host_id or None,
        "durable": message.durable,
        "forked_from": message.forked_from or None,
        "created_at": message.created_at or None,
        "ended_at": message.ended_at or None,
        "parent_id": message.parent_id or None,
        "event_id": message.event_id or None,
    }


def activity(call: Call) -> Document:
    """One item of a session's `activities`."""
    return {
        "lane": call.lane,
        "seq": call.seq,
        "kind": call.kind.value,
        "function": call.function,
        "state": call.state.value,
        "attempts": call.attempts,
        "started_at": timestamp(call.started_at_us),
        "duration_ms": None if call.duration_us is None else call.duration_us / 1000,
        "file": call.site.file,
        "line": call.site.line,
        "args": call.args_preview,
        "result": None if call.outcome is None else value(call.outcome),
    }


def error(message: control.Session) -> Document | None:
    """What a session that failed, was stopped or diverged ended by; else None. `code` and `help` where there are."""
    found = message.error
    if not (found.type or found.message):
        if not message.HasField("divergence"):
            return None
        found = core.error(message.divergence)
    ours = {key: text for key, text in (("code", found.code), ("help", found.help)) if text}
    traceback = [{"file": f.file, "line": f.line, "name": f.name} for f in found.traceback]
    return {"type": found.type, "message": found.message, **ours, "traceback": traceback}


def divergence(message: journal.Divergence, sides: Sides, entries: int) -> Document:
    """Both sides of a divergence, what differs, and how many of the journal's `entries` lie before it."""
    recorded, called = message.recorded, message.called
    return {
        "code": core.code(message),
        "reason": core.reason(message),
        "recorded": _call(recorded) if message.HasField("recorded") else None,
        "called": _call(called) if message.HasField("called") else None,
        "differences": [dataclasses.asdict(change) for change in core.differences(message)],
        "recorded_build": sides.recorded or None,
        "called_build": sides.called or None,
        "agreed": core.agreed(message, entries),
    }


def entry(message: journal.Entry) -> Document:
    """One line of `sessions history --json`; enums by their names in lower case, absent parts left out."""
    document: Document = {
        "seq": message.seq,
        "lane": message.lane,
        "ordinal": message.ordinal,
        "kind": _name(journal.EntryKind.Name(message.kind), "ENTRY_KIND_"),
        "function": message.function,
        "args": message.args_preview,
        "args_digest": message.args_digest.hex(),
        "file": message.site.file,
        "line": message.site.line,
        "column": message.site.column,
        "attempt": message.attempt,
        "at": timestamp(message.at_us),
        "duration_ms": message.duration_us / 1000,
    }
    if message.HasField("outcome"):
        document |= {"is_error": message.is_error, "outcome": value(message.outcome), "bytes": message.outcome.size}
    if message.HasField("wait"):
        document["wait"] = wait(message.wait)
    if message.HasField("resolution"):
        how = message.resolution
        document["resolution"] = {
            "how": _name(journal.ResolutionKind.Name(how.kind), "RESOLUTION_KIND_"),
            "name": how.name or None,
            "payload": value(how.payload) if how.HasField("payload") else None,
        }
    return document


def wait(message: journal.Wait) -> Document:
    """What a session waits for: `{"kind": "timer|signal|event|request", "until": time or null, "names": [...]}`."""
    return {
        "kind": _name(journal.WaitKind.Name(message.kind or journal.WAIT_KIND_TIMER), "WAIT_KIND_"),
        "until": timestamp(message.fires_at_us) if message.fires_at_us else None,
        "names": list(message.names),
    }


def log(message: journal.LogLine) -> Document:
    """One line of `sessions logs --json`."""
    return {
        "at": timestamp(message.at_us),
        "stream": _name(journal.Stream.Name(message.stream), "STREAM_"),
        "level": message.level or None,
        "text": message.text,
        "activity": message.activity or None,
        "ordinal": message.ordinal,
        "index": message.index,
    }


def update(message: control.SessionUpdate) -> Document:
    """One line of `sessions watch --json`: exactly one of the keys `session`, `entry`, `log`."""
    match message.WhichOneof("update"):
        case "session":
            return {"session": summary(message.session)}
        case "entry":
            return {"entry": entry(message.entry)}
        case _:
            return {"log": log(message.log)}


def deployment(message: control.DeployResponse) -> Document:
    """The document of `deploy --json`."""
    return {
        "project": message.project,
        "build_id": message.build_id,
        "deployment_id": message.deployment_id,
        "exports": [{"file": e.file, "line": e.line, "name": e.name, "args": list(e.args)} for e in message.exports],
        "triggers": [{"name": t.name, "type": t.type, "url": t.url or None} for t in message.triggers],
        "environment": _environment(message),
    }


def _environment(message: control.DeployResponse) -> Document | None:
    """The locked requirements of a deployment; None: it has none."""
    if not message.environment:
        return None
    return {
        "lock": message.environment,
        "packages": message.packages,
        "reused": message.environment_reused,
        "took_ms": round(message.environment_ms, 1),
    }


def replay(session_id: str, message: control.ReplaySessionResponse, sides: Sides = NEITHER) -> Document:
    """The document of `sessions replay --json`."""
    done = message.done
    differs = done.state == runner.DONE_STATE_DIVERGED
    document: Document = {
        "session_id": session_id,
        "entries": message.entries,
        "agrees": not differs,
        "reason": core.sentence(done.divergence) if differs else None,
    }
    found = divergence(done.divergence, sides, message.entries) if differs else {}
    names = ("code", "recorded", "called", "differences", "recorded_build", "called_build", "agreed")
    return document | {name: found.get(name) for name in names}


def _call(message: journal.Entry) -> Document:
    return {
        "seq": message.seq or None,
        "function": message.function,
        "args": message.args_preview,
        "file": message.site.file,
        "line": message.site.line,
        "source": message.site.source,
    }


def value(payload: journal.Payload) -> Any:
    """The value where it is plain JSON data at hand, else its preview (a string). Never decodes a pickle."""
    if payload.encoding != journal.ENCODING_JSON or payload.blob:
        return payload.preview
    try:
        return json.loads(payload.data, parse_constant=_refuse)
    except ValueError:
        return payload.preview


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def timestamp(at_us: int) -> str | None:
    """RFC 3339 in UTC, of Unix time in microseconds; 0 is None, what is past the year 9999 is its end."""
    if not at_us:
        return None
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=min(at_us, _LAST_US))
    return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


def _name(name: str, prefix: str) -> str:
    return name.removeprefix(prefix).lower()


def emit(document: Any) -> None:
    """Print one document on stdout, indented."""
    _write(json.dumps(document, ensure_ascii=not _unicode(), indent=2))


def emit_line(document: Any) -> None:
    """Print one line of NDJSON on stdout and flush it: somebody may be following."""
    _write(json.dumps(document, ensure_ascii=not _unicode()))
    sys.stdout.flush()


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def _write(text: str) -> None:
    sys.stdout.write(text + "\n")

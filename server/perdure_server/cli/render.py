"""Everything the command line prints for people: data on stdout, talk on stderr, colour only on a terminal."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import IO

import click
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_proto.v1 import runner_pb2 as runner

from perdure_server.cli import documents
from perdure_server.cli.calls import Call, CallState, assemble
from perdure_server.cli.compare import Difference
from perdure_server.cli.diverged import divergence
from perdure_server.cli.text import clean, cut, visible
from perdure_server.core.divergence import NEITHER, Sides
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import RESERVED

_STATE_COLOURS = {
    "completed": "green",
    "failed": "red",
    "diverged": "red",
    "stopped": "yellow",
    "waiting": "cyan",
    "ok": "green",
    "warn": "yellow",
    "fail": "red",
}
_WAITED_FOR = {
    journal.WAIT_KIND_SIGNAL: "a signal",
    journal.WAIT_KIND_EVENT: "an event of subscription",
    journal.WAIT_KIND_REQUEST: "an answer to",
}
_PIPE_WIDTH = 100_000  # columns: what is piped is never cut


# --- the two ways out -------------------------------------------------------------------------------------------------


def say(text: str = "") -> None:
    """One line of talk, on stderr."""
    click.echo(text, err=True, color=_colour(sys.stderr))


def show(text: str = "") -> None:
    """One line of data, on stdout."""
    click.echo(text, color=_colour(sys.stdout))


def problem(error: PerdureError) -> None:
    """An error for people, on stderr."""
    _told(error.render(), "red")


def warning(error: PerdureError) -> None:
    """The same of something that stops nothing now."""
    _told(error.render().replace("error[", "warning[", 1), "yellow")


def _told(text: str, colour: str) -> None:
    first, _, rest = text.partition("\n")
    say(click.style(first, fg=colour, bold=True) + (f"\n{rest}" if rest else ""))


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table on stdout, as wide as the terminal, or as wide as it needs when piped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        grid.add_column(heading, no_wrap=True, overflow="ellipsis")
    for row in rows:
        grid.add_row(*(Text(clean(cell), style=_STATE_COLOURS.get(cell.split(" ")[0], "")) for cell in row))
    width = None if sys.stdout.isatty() else _PIPE_WIDTH
    console = Console(file=sys.stdout, width=width, no_color=_colour(sys.stdout) is False, highlight=False)
    console.print(grid)


def _width(stream: IO[str]) -> int:
    """Columns to fit side by side into."""
    return shutil.get_terminal_size((100, 24)).columns if stream.isatty() else _PIPE_WIDTH


def _colour(stream: IO[str]) -> bool | None:
    """False where NO_COLOR (no-color.org) asks for it; None lets click look whether the stream is a terminal."""
    return False if os.environ.get("NO_COLOR") else None if stream else False


def state(name: str) -> str:
    """A state or a verdict in its colour."""
    return click.style(name, fg=_STATE_COLOURS.get(name))


# --- output of a session ----------------------------------------------------------------------------------------------


def output(line: journal.LogLine, prefix: str = "") -> None:
    """A line that user code printed or logged: stdout to stdout, stderr and logging to stderr."""
    match line.stream:
        case journal.STREAM_STDOUT:
            sys.stdout.write(f"{prefix}{visible(line.text, terminal=sys.stdout.isatty())}\n")
            sys.stdout.flush()
        case journal.STREAM_LOG:
            say(f"{prefix}{clock(line.at_us)} {visible(_leveled(line), terminal=sys.stderr.isatty())}")
        case _:
            sys.stderr.write(f"{prefix}{visible(line.text, terminal=sys.stderr.isatty())}\n")
            sys.stderr.flush()


def _leveled(line: journal.LogLine) -> str:
    """A line of logging with its level, unless the handler's format begins with it anyway."""
    return line.text if line.text.startswith(line.level) else f"{line.level:<7} {line.text}"


def ending(session: control.Session, sides: Sides = NEITHER) -> None:
    """How a session ended, on stderr: its error where it has one, then one status line."""
    if session.HasField("divergence"):
        say(divergence(session.divergence, session.session_id, _width(sys.stderr), sides, session.entries))
    elif session.state != "completed" and session.HasField("error"):
        say(failure(session.error))
    took = _took(session)
    say(f"{state(session.state)}: session {session.session_id}, {session.entries} entries{took}")


def _took(session: control.Session) -> str:
    if not (session.created_at and session.ended_at):
        return ""
    return f", {duration((_moment(session.ended_at) - _moment(session.created_at)).total_seconds())}"


def failure(error: journal.Error) -> str:
    """The user's frames as Python shows them, then `Type: message`; the code and help line of one of our errors."""
    lines = ["Traceback (most recent call last):"] if error.traceback else []
    for frame in error.traceback:
        if frame.file.startswith("<frozen importlib") or frame.file.endswith("/importlib/__init__.py"):
            continue  # how a module comes to be loaded, which Python does not show either
        lines.append(f'  File "{frame.file}", line {frame.line}, in {frame.name}')
        if frame.source.strip():
            lines.append(f"    {clean(frame.source.strip())}")
    code = f"error[{error.code}] " if error.code else ""
    ours = error.code and error.type.startswith("perdure_")  # a class that users never see
    headline = error.message if ours else f"{error.type}: {error.message}" if error.message else error.type
    lines.append(click.style(code + headline, fg="red", bold=True))
    if error.help:
        lines.append(f"help: {error.help}")
    return "\n".join(lines)


def waiting(session: control.Session, now: dt.datetime) -> str:
    """What a session waits for and until when: "timer, until 2026-12-01 12:00:00 UTC (in 9 days)"."""
    wait = session.waiting_for
    what = _WAITED_FOR.get(wait.kind, "a timer")
    if any(name.startswith(RESERVED) for name in wait.names):
        what = f"the end of {' or '.join(clean(name) for name in wait.names)}"
    elif wait.names:
        named = " named" if wait.kind == journal.WAIT_KIND_SIGNAL else ""
        what += f"{named} {' or '.join(clean(name) for name in wait.names)}"
    if not wait.fires_at_us:
        return f"{what}, for as long as it takes"
    left = wait.fires_at_us / 1e6 - now.timestamp()
    return f"{what}, until {moment(wait.fires_at_us)} ({'due' if left <= 0 else 'in ' + duration(left)})"


def difference(found: Difference, when: str) -> str:
    """A difference that `check` found: the place, what it is, both sides, and in which run."""
    head = click.style(f"{found.file}:{found.line}: {found.what}", fg="red", bold=True)
    return f"{head} ({when})\n  expected  {clean(found.expected)}\n  found     {clean(found.found)}"


# --- deployments ------------------------------------------------------------------------------------------------------


def deployment(made: control.DeployResponse) -> None:
    """`deploy`: what is live now, with its entry points and the addresses of its triggers."""
    show(f"deployed {made.project}: build {made.build_id[:12]}, deployment {made.deployment_id}")
    if made.environment:
        how = "locked before" if made.environment_reused else "locked now"
        show(f"environment {made.environment[:12]}: {made.packages} package{'s' * (made.packages != 1)}, {how}")
    if made.exports:
        show()
        table(("ENTRY POINT", "LINE", "ARGUMENTS"), map(_export_row, made.exports))
    if made.triggers:
        show()
        table(("TRIGGER", "TYPE", "URL"), ((t.name, t.type, t.url) for t in made.triggers))
        unheard(made.triggers)


def unheard(triggers: Iterable[control.Trigger]) -> None:
    """That nobody listens for webhooks, where that is so: their URLs have no host then."""
    if any(trigger.url.startswith("/") for trigger in triggers):
        say("nobody listens for webhooks: start `perdure serve --http HOST:PORT`, or `perdure dev`")


def _export_row(export: control.Export) -> tuple[str, ...]:
    return (f"{export.file}:{export.name}", str(export.line), ", ".join(export.args))


def replayed(session_id: str, answer: control.ReplaySessionResponse, sides: Sides = NEITHER) -> None:
    """What a replay found: no difference, or both calls side by side."""
    done = answer.done
    if done.state == runner.DONE_STATE_DIVERGED and done.HasField("error"):
        show(f"{click.style(done.divergence.reason, fg='red', bold=True)}\n{failure(done.error)}")
        return
    if done.state == runner.DONE_STATE_DIVERGED:
        show(divergence(done.divergence, session_id, _width(sys.stdout), sides, answer.entries))
        return
    end = "; it fails as recorded:" if done.HasField("error") else ""
    show(f"replays: {answer.entries} entries, no difference{end}")
    if done.HasField("error"):
        show(failure(done.error))


# --- sessions ---------------------------------------------------------------------------------------------------------


def sessions(found: Sequence[control.Session], now: dt.datetime) -> None:
    """The table of `sessions list`."""
    if not found:
        say("no sessions")
        return
    headings = ("SESSION", "STATE", "PROJECT", "ENTRY POINT", "ENTRIES", "STARTED", "WAITS FOR")
    table(headings, (_session_row(session, now) for session in found))


def _session_row(session: control.Session, now: dt.datetime) -> tuple[str, ...]:
    reason = waiting(session, now) if session.HasField("waiting_for") and session.state == "waiting" else ""
    started = ago(session.created_at, now)
    return (
        session.session_id,
        session.state,
        session.project,
        session.entry_point,
        str(session.entries),
        started,
        reason,
    )


def session(
    message: control.Session,
    entries: Sequence[journal.Entry],
    logs: Sequence[journal.LogLine],
    now: dt.datetime,
    sides: Sides = NEITHER,
) -> None:
    """`sessions show`: what it is, its calls, what it printed, how it ended."""
    facts = [
        ("session", message.session_id),
        ("state", state(message.state)),
        ("waits for", waiting(message, now) if message.HasField("waiting_for") else ""),
        ("entry point", message.entry_point),
        ("project", message.project),
        ("build", message.build_id[:12]),
        ("started", f"{message.created_at} ({ago(message.created_at, now)})"),
        ("ended", f"{message.ended_at}{_took(message)}" if message.ended_at else ""),
        ("status", cut(clean(message.status.decode()), 400)),
        ("parent", message.parent_id),
        ("event", message.event_id),
        ("memo", cut(clean(", ".join(f"{name}={text}" for name, text in sorted(message.memo.items()))), 400)),
        ("forked from", message.forked_from),
        ("runner", f"process {message.runner_pid} on {message.host_id}" if message.runner_pid else ""),
        ("result", cut(_shown(message.result), 400) if message.HasField("result") else ""),
    ]
    for label, fact in facts:
        if fact:
            show(f"{label:<12}{fact}")
    if calls := assemble(entries):
        show()
        table(("SEQ", "KIND", "CALL", "AT", "STATE", "TRIES", "TOOK", "RESULT"), map(_call_row, calls))
    if logs:
        show()
        for line in logs:
            show(log_line(line))
    if message.HasField("divergence"):
        show("\n" + divergence(message.divergence, message.session_id, _width(sys.stdout), sides, message.entries))
    elif message.HasField("error") and message.error.type:
        show("\n" + failure(message.error))


def _call_row(call: Call) -> tuple[str, ...]:
    took = "" if call.duration_us is None else duration(call.duration_us / 1e6)
    kept = call.state in {CallState.COMPLETED, CallState.FAILED}
    result = cut(_shown(call.outcome)) if kept and call.outcome is not None else ""
    name = f"{call.function}({cut(call.args_preview, 40)})"
    return (str(call.seq), call.kind.value, name, call.place, call.state.value, str(call.attempts), took, result)


def _shown(payload: journal.Payload) -> str:
    return payload.preview or str(documents.value(payload))


def history(entries: Iterable[journal.Entry], why: Callable[[journal.Entry], str] | None = None) -> None:
    """The table of `sessions history`; `why` says why a call is recorded."""
    headings = ("SEQ", "TIME", "LANE", "NO", "KIND", "CALL", "AT", "TOOK", "OUTCOME")
    if why is None:
        table(headings, map(_entry_row, entries))
    else:
        table((*headings, "WHY"), ((*_entry_row(entry), why(entry)) for entry in entries))


def _entry_row(entry: journal.Entry) -> tuple[str, ...]:
    document = documents.entry(entry)
    took = duration(entry.duration_us / 1e6) if entry.duration_us else ""
    place = f"{entry.site.file}:{entry.site.line}" if entry.site.file else ""
    kind = f"{document['kind']} {entry.attempt}" if entry.attempt > 1 else document["kind"]
    facts = (str(entry.seq), clock(entry.at_us), entry.lane, str(entry.ordinal), kind, entry.function, place, took)
    return (*facts, _outcome(entry, document))


def _outcome(entry: journal.Entry, document: documents.Document) -> str:
    if entry.HasField("outcome"):
        return ("raised " if entry.is_error else "") + cut(_shown(entry.outcome))
    if entry.HasField("resolution"):
        how = document["resolution"]
        name = f" {how['name']}" if how["name"] else ""
        return f"{how['how']}{name}"
    if entry.HasField("wait"):
        until = document["wait"]["until"]
        return f"until {until}" if until else "until a signal comes"
    return ""


def update(message: control.SessionUpdate, now: dt.datetime) -> None:
    """One line of `sessions watch`."""
    match message.WhichOneof("update"):
        case "session":
            session = message.session
            reason = f" for {waiting(session, now)}" if session.HasField("waiting_for") else ""
            show(f"{clock(int(now.timestamp() * 1e6))} {state(session.state)}{reason}")
        case "entry":
            seq, time, _, _, kind, call, place, took, outcome = _entry_row(message.entry)
            facts = "  ".join(clean(fact) for fact in (call, place, took, outcome) if fact)
            show(f"{time} {seq:>5} {kind:<9} {facts}")
        case _:
            show(log_line(message.log))


def log_line(line: journal.LogLine) -> str:
    """One line of `sessions logs`: time, stream, the activity it came from, level, text."""
    source = documents.log(line)["stream"]
    where = f" [{line.activity}]" if line.activity else ""
    text = _leveled(line) if line.level else line.text
    return f"{clock(line.at_us)} {source:<6}{where} {clean(text)}"


# --- time -------------------------------------------------------------------------------------------------------------


def clock(at_us: int) -> str:
    """Local time of day with milliseconds; `at_us` is Unix time in microseconds."""
    return dt.datetime.fromtimestamp(at_us / 1e6).astimezone().strftime("%H:%M:%S.%f")[:-3]


def moment(at_us: int) -> str:
    """A time for people, in UTC and to the second; `at_us` is Unix time in microseconds, 0: empty, there is none."""
    return f"{(documents.timestamp(at_us) or '')[:19].replace('T', ' ')} UTC" if at_us else ""


def duration(seconds: float) -> str:
    """A length of time in one unit that suits it: "3.2 ms", "41 s", "12 min", "5 h", "9 days"."""
    if seconds < 1:
        return f"{seconds * 1000:.1f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} days"


def ago(moment: str, now: dt.datetime) -> str:
    """How long ago an RFC 3339 time was."""
    if not moment:
        return ""
    return f"{duration(max(0.0, (now - _moment(moment)).total_seconds()))} ago"


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)

"""A divergence for people: both calls side by side, what differs, and the ways out, as commands."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Iterator

import click
from perdure_proto.v1 import journal_pb2 as journal

from perdure_server.cli.text import clean
from perdure_server.core import divergence as core
from perdure_server.core.divergence import NEITHER, Sides

_BUILD_DIGITS = 12
_NARROWEST = 20  # cells of a column
_Facts = dict[str, str]


def divergence(
    message: journal.Divergence, session_id: str, width: int, sides: Sides = NEITHER, entries: int = 0
) -> str:
    """The whole message, for a terminal of `width` columns. `entries`: how many the session's journal has."""
    code = core.code(message)
    called = message.HasField("called")
    what = "the code makes another call than the journal has" if called else "the code ended too early"
    reason = f" ({clean(message.reason)})" if message.reason else ""
    return "\n".join(
        [
            click.style(f"error[{code}] {what}{reason}", fg="red", bold=True),
            *_columns(*_both(message, sides), width),
            *_differing(message),
            _agreement(message, sides, entries),
            *_ways_out(message, session_id, sides, entries),
        ]
    )


def _both(message: journal.Divergence, sides: Sides) -> tuple[tuple[str, _Facts], tuple[str, _Facts]]:
    recorded = message.recorded if message.HasField("recorded") else None
    called = message.called if message.HasField("called") else None
    place = f"entry {recorded.seq}" if recorded is not None and recorded.seq else "journal"
    return (
        ("recorded, " + place, _facts(recorded, "the journal ends here", sides.recorded)),
        ("called now", _facts(called, "the code ended here", sides.called)),
    )


def _facts(entry: journal.Entry | None, absent: str, build: str) -> _Facts:
    facts = {"call": absent, "at": "", "source": "", "args": ""}
    if entry is not None:
        facts = {
            "call": entry.function,
            "at": f"{entry.site.file}:{entry.site.line}",
            "source": entry.site.source.strip(),
            "args": entry.args_preview,
        }
    return facts | {"build": build[:_BUILD_DIGITS]}


def _columns(left: tuple[str, _Facts], right: tuple[str, _Facts], width: int) -> list[str]:
    longest = max(map(len, (left[0], *left[1].values(), *right[1].values())))
    cells = max(_NARROWEST, min((width - 12) // 2, longest))
    lines = [f"  {'':8}{left[0]:<{cells}}  {right[0]}"]
    for fact in left[1]:
        if not left[1][fact] and not right[1][fact]:
            continue
        ours = textwrap.wrap(clean(left[1][fact]), cells) or [""]
        theirs = textwrap.wrap(clean(right[1][fact]), cells) or [""]
        for row in range(max(len(ours), len(theirs))):
            label = fact if row == 0 else ""
            a, b = (side[row] if row < len(side) else "" for side in (ours, theirs))
            lines.append(f"  {label:<8}{a:<{cells}}  {b}".rstrip())
    return lines


def _differing(message: journal.Divergence) -> Iterator[str]:
    for number, change in enumerate(core.differences(message)):
        label = "differs" if number == 0 else ""
        yield f"  {label:<8}{click.style(clean(str(change)), bold=True)}"


def _agreement(message: journal.Divergence, sides: Sides, entries: int) -> str:
    before = core.agreed(message, entries)
    agree = "1 entry before it agrees" if before == 1 else f"{before} entries before it agree"
    if sides.recorded and sides.recorded == sides.called:
        return f"  {agree}; both sides are the same build: the code depends on something that is not recorded"
    return f"  {agree}"


def _ways_out(message: journal.Divergence, session_id: str, sides: Sides, entries: int) -> Iterator[str]:
    before = core.agreed(message, entries)
    fork = f"perdure sessions fork {session_id} --from {before}"
    new = f" --from-dir {shlex.quote(sides.folder)}" if sides.folder else " --from-dir DIR"
    yield "ways out:"
    yield f"  go on from here with other code   {fork}{new}"
    if sides.recorded and sides.recorded != sides.called:
        old = f"{fork} --build {sides.recorded}"
        yield f"  pin the old build                 {old}"
    else:
        yield "  pin the old build                 a session keeps the build it began with, whatever is deployed"
    yield '  serve both                        if perdure.version("name"): the new code; else: the code as it was'
    yield "  it does nothing outside           mark the function @perdure.no_activity, and it is not recorded"
    yield f"  more about it                     perdure explain {core.code(message)}"

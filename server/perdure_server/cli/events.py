"""`perdure events`: what came in from outside, and what became of it."""

from __future__ import annotations

import datetime as dt
import json
from functools import partial
from typing import Any

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, listing, options, render
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.cli.text import clean
from perdure_server.cli.vars import PROJECT, project_here
from perdure_server.core.errors import PerdureError

STATES = ("pending", "started", "completed", "failed", "dropped", "dead")
_PAGE = 200
EVENT = click.argument("event_id", metavar="ID")

events = LazyGroup(
    {
        "send": Lazy("events", "send", "Make an event, as if it had come from outside."),
        "list": Lazy("events", "list_", "List events, newest first."),
        "show": Lazy("events", "show", "Show one event, and what became of it."),
        "redispatch": Lazy("events", "redispatch", "Dispatch an event again, as a new one."),
    },
    name="events",
    help="Look at the events that triggers and connections made; make some, and dispatch them again.",
)


@click.command()
@click.argument("source")
@click.option("--data", metavar="JSON|@FILE|-", default="{}", help="The event's data [default: {}].")
@click.option("--type", "event_type", metavar="TYPE", default="manual", help="The event's type [default: manual].")
@click.option("--id", "dedup", metavar="TEXT", default="", help="Events of the source with the same one are one event.")
@click.option("--memo", "memos", metavar="NAME=TEXT", multiple=True, help="A note that goes with it; repeatable.")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def send(
    source: str,
    data: str,
    event_type: str,
    dedup: str,
    memos: tuple[str, ...],
    project: str | None,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> int:
    """Make an event of SOURCE, which is a trigger or a connection of the project."""
    settings = Settings.load()
    request = control.SendEventRequest(
        project=project_here(settings, project),
        source=source,
        event_type=event_type,
        data=options.event(data, "--data"),
        dedup=dedup,
        memo=options.pairs(memos, "--memo"),
    )
    async with connect.writing(settings, server, home) as remote:
        made = await remote.send_event(request)
    return _told(made, as_json)


@click.command("list")
@options.OF_PROJECT
@click.option("--source", metavar="NAME", default="", help="Only of this trigger or connection.")
@click.option("--state", type=click.Choice(STATES), default=None, help="Only those with a dispatch in this state.")
@click.option("--limit", metavar="N", help="At most N events [default: 50].")
@options.where
@options.JSON
@connect.waits
async def list_(
    project: str | None,
    source: str,
    state: str | None,
    limit: str | None,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> None:
    """List events, newest first: of all projects, unless one is named."""
    settings = Settings.load()
    wanted = int(settings.number("list_limit", limit))
    request = control.ListEventsRequest(project=project or "", source=source, state=state or "")
    async with connect.reading(settings, server, home) as remote:
        found = await _pages(remote, request, wanted)
    row, head = partial(_row, now=dt.datetime.now(dt.UTC)), ("EVENT", "PROJECT", "SOURCE", "TYPE", "CAME", "DISPATCHED")
    listing.show(found, as_json, _document, head, row, "events")


@click.command()
@EVENT
@options.where
@options.JSON
@connect.waits
async def show(event_id: str, server: str | None, home: str | None, as_json: bool) -> None:
    """Show the event ID with its data, and what became of it: at each trigger, and at subscriptions of sessions."""
    async with connect.reading(Settings.load(), server, home) as remote:
        event = await remote.get_event(control.GetEventRequest(event_id=await _named(remote, event_id)))
    if as_json:
        documents.emit(_document(event) | {"data": json.loads(event.data or b"null")} | _delivered(event))
        return
    came = render.moment(event.created_us)
    render.show(
        f"{event.event_id} of {clean(event.project)}: {clean(event.event_type)} from {clean(event.source)}, {came}"
    )
    for name, text in sorted(event.memo.items()):
        render.show(f"  {clean(name)}: {clean(text)}")
    render.show(clean(event.data.decode("utf-8", "backslashreplace")))
    _dispatches(event)
    _deliveries(event)


@click.command()
@EVENT
@click.option("--trigger", metavar="NAME", default="", help="Only this trigger.")
@options.where
@options.JSON
@connect.waits
async def redispatch(event_id: str, trigger: str, server: str | None, home: str | None, as_json: bool) -> int:
    """Dispatch the event ID again, as a new one, to the triggers that are live now."""
    async with connect.writing(Settings.load(), server, home) as remote:
        request = control.RedispatchEventRequest(event_id=await _named(remote, event_id), trigger=trigger)
        made = await remote.redispatch_event(request)
    return _told(made, as_json)


async def _named(remote: connect.Control, event_id: str) -> str:
    """`latest` is the newest event of all projects, as with sessions. P0222 where there is none."""
    if event_id != "latest":
        return event_id
    found = await _pages(remote, control.ListEventsRequest(), 1)
    if not found:
        raise PerdureError("P0222", "there is no event yet", help="`perdure events send` makes one")
    return found[0].event_id


async def _pages(remote: connect.Control, request: control.ListEventsRequest, wanted: int) -> list[control.Event]:
    found: list[control.Event] = []
    while len(found) < wanted:
        request.limit = min(wanted - len(found), _PAGE)
        page = await remote.list_events(request)
        found += page.events
        request.before_seq = page.next
        if not page.next:
            break
    return found


def _told(event: control.Event, as_json: bool) -> int:
    if as_json:
        documents.emit(_document(event))
        return 0
    render.show(event.event_id)
    _dispatches(event)
    if event.taken:
        listen = "1 subscription listens" if event.taken == 1 else f"{event.taken} subscriptions listen"
        render.say(f"{listen} to {clean(event.source)}")
    elif not event.dispatches:
        render.say("no trigger takes it: `perdure triggers test` says why")
    return 0


def _dispatches(event: control.Event) -> None:
    if event.dispatches:
        rows = ((d.trigger, d.state, d.session_id, str(d.attempt), clean(d.reason)) for d in event.dispatches)
        render.table(("TRIGGER", "STATE", "SESSION", "ATTEMPT", "REASON"), rows)


def _deliveries(event: control.Event) -> None:
    if event.deliveries:
        rows = (
            (each.session_id, each.subscription, each.state, documents.timestamp(each.taken_us) or "")
            for each in event.deliveries
        )
        render.table(("SESSION", "SUBSCRIPTION", "STATE", "TAKEN"), rows)
    if event.deliveries_cut:
        render.say("there may be more: not all subscriptions are told")
    elif not event.deliveries and not event.dispatches:
        render.say("no trigger and no subscription of a session took it")


def _row(event: control.Event, now: dt.datetime) -> tuple[str, ...]:
    came = documents.timestamp(event.created_us) or ""
    what = ", ".join(f"{each.trigger} {each.state}" for each in event.dispatches)
    return event.event_id, event.project, event.source, event.event_type, render.ago(came, now), what


def _delivered(event: control.Event) -> dict[str, Any]:
    return {
        "deliveries": [
            {
                "session_id": each.session_id,
                "subscription": each.subscription,
                "state": each.state,
                "taken_at": documents.timestamp(each.taken_us),
            }
            for each in event.deliveries
        ],
        "deliveries_cut": event.deliveries_cut,
    }


def _document(event: control.Event) -> dict[str, Any]:
    """An event without its data."""
    return {
        "event_id": event.event_id,
        "seq": event.seq,
        "project": event.project,
        "source": event.source,
        "source_type": event.source_type,
        "event_type": event.event_type,
        "memo": dict(event.memo),
        "created_at": documents.timestamp(event.created_us),
        "dispatches": [
            {
                "trigger": each.trigger,
                "state": each.state,
                "session_id": each.session_id or None,
                "attempt": each.attempt,
                "reason": each.reason,
                "due_at": documents.timestamp(each.due_us),
            }
            for each in event.dispatches
        ],
    }

"""`perdure triggers`: what starts sessions, and what an event would start."""

from __future__ import annotations

from typing import Any

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, listing, options, render
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.cli.vars import PROJECT, project_here

triggers = LazyGroup(
    {
        "list": Lazy("triggers", "list_", "List triggers, with their URLs and next times."),
        "test": Lazy("triggers", "test", "Say which triggers an event would start, and why others not."),
    },
    name="triggers",
    help="Look at the triggers of projects, and try events on them.",
)


@click.command("list")
@options.OF_PROJECT
@options.where
@options.JSON
@connect.waits
async def list_(project: str | None, server: str | None, home: str | None, as_json: bool) -> None:
    """List the triggers that are live: of all projects, unless one is named."""
    request = control.ListTriggersRequest(project=project or "")
    async with connect.reading(Settings.load(), server, home) as remote:
        found = (await remote.list_triggers(request)).triggers
    listing.show(found, as_json, _document, ("PROJECT", "TRIGGER", "TYPE", "STARTS", "WHEN"), _row, "triggers are live")
    if not as_json:
        render.unheard(found)


@click.command()
@click.argument("trigger", required=False, default="")
@click.option("--data", metavar="JSON|@FILE|-", default="{}", help="The event's data [default: {}].")
@click.option("--type", "event_type", metavar="TYPE", default="", help="The event's type.")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def test(
    trigger: str,
    data: str,
    event_type: str,
    project: str | None,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> int:
    """Say whether an event would start TRIGGER, or which triggers it would start. Nothing happens.

    Exit code 1 when it would start none.
    """
    settings = Settings.load()
    request = control.TestTriggerRequest(
        project=project_here(settings, project),
        trigger=trigger,
        event_type=event_type,
        data=options.event(data, "--data"),
    )
    async with connect.reading(settings, server, home) as remote:
        verdicts = (await remote.test_trigger(request)).verdicts
    if as_json:
        documents.emit([{"trigger": v.trigger, "starts": v.starts, "reason": v.reason} for v in verdicts])
    else:
        rows = ((v.trigger, "starts" if v.starts else "does not start", v.reason) for v in verdicts)
        render.table(("TRIGGER", "VERDICT", "WHY"), rows)
    return 0 if any(verdict.starts for verdict in verdicts) else 1


def _row(trigger: control.Trigger) -> tuple[str, ...]:
    if trigger.type == "schedule":
        when = f"{trigger.schedule} {trigger.timezone}, next {render.moment(trigger.next_us) or 'never'}"
    elif trigger.type == "connection":
        when = f"{trigger.event_type or 'any event'} of {trigger.connection}"
    else:
        when = trigger.url
    return trigger.project, trigger.name, trigger.type, trigger.entry_point, when


def _document(trigger: control.Trigger) -> dict[str, Any]:
    return {
        "project": trigger.project,
        "name": trigger.name,
        "type": trigger.type,
        "url": trigger.url or None,
        "entry_point": trigger.entry_point or None,
        "filter": trigger.filter,
        "schedule": trigger.schedule or None,
        "timezone": trigger.timezone or None,
        "next_at": documents.timestamp(trigger.next_us),
        "last_at": documents.timestamp(trigger.last_us),
        "connection": trigger.connection or None,
        "event_type": trigger.event_type or None,
        "sync": trigger.sync,
        "durable": trigger.durable,
    }

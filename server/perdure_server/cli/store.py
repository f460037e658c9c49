"""`perdure store`: a project's key-value store, which its sessions share."""

from __future__ import annotations

import json

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, options, render
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.cli.text import clean
from perdure_server.cli.vars import PROJECT, project_here

KEY = click.argument("key")

store = LazyGroup(
    {
        "get": Lazy("store", "get", "Print a value."),
        "set": Lazy("store", "set_", "Store a value."),
        "del": Lazy("store", "delete", "Delete a value."),
        "list": Lazy("store", "list_", "Show the keys."),
        "publish": Lazy("store", "publish", "Let anyone read a value at a URL."),
        "unpublish": Lazy("store", "unpublish", "Let nobody read it from outside any more."),
    },
    name="store",
    help="Look at and change the key-value store that the sessions of a project share.",
)


@click.command()
@KEY
@PROJECT
@options.where
@options.JSON
@connect.waits
async def get(key: str, project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Print the value of KEY as JSON; with --json also its version, and whether it is published."""
    settings = Settings.load()
    request = control.GetValueRequest(project=project_here(settings, project), key=key)
    async with connect.reading(settings, server, home) as remote:
        found = await remote.get_value(request)
    if as_json:
        documents.emit(_document(found) | {"value": json.loads(found.value)})
    else:
        render.show(clean(found.value.decode()))
    return 0


@click.command("set")
@KEY
@click.argument("value", metavar="JSON|@FILE|-")
@click.option(
    "--version",
    metavar="N",
    type=click.IntRange(0),
    help="Only while the value has this version; 0: only if it is new.",
)
@PROJECT
@options.where
@options.JSON
@connect.waits
async def set_(
    key: str, value: str, version: int | None, project: str | None, server: str | None, home: str | None, as_json: bool
) -> int:
    """Store a value (JSON, @FILE or -) under KEY; null deletes it."""
    request = control.SetValueRequest(key=key, value=options.event(value, "the value"), version=version)
    return await _change(request, project, server, home, as_json)


@click.command("del")
@KEY
@PROJECT
@options.where
@options.JSON
@connect.waits
async def delete(key: str, project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Delete the value of KEY."""
    settings = Settings.load()
    request = control.GetValueRequest(project=project_here(settings, project), key=key)
    async with connect.writing(settings, server, home) as remote:
        answer = await remote.delete_value(request)
    if as_json:
        documents.emit({"key": key, "existed": answer.existed})
    else:
        render.say(f"deleted {clean(key)}" if answer.existed else f"there was no {clean(key)}")
    return 0


@click.command("list")
@click.option("--prefix", metavar="TEXT", default="", help="Only keys that begin so.")
@PROJECT
@options.where
@options.JSON
@connect.waits
async def list_(prefix: str, project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Show all keys; with --json also versions, and what is published."""
    settings = Settings.load()
    request = control.ListValuesRequest(project=project_here(settings, project), prefix=prefix)
    async with connect.reading(settings, server, home) as remote:
        found = (await remote.list_values(request)).values
    if as_json:
        documents.emit([_document(value) for value in found])
        return 0
    if not found:
        render.say("nothing is stored")
    for value in found:
        render.show(f"{clean(value.key)}{f'  {value.url}' if value.published else ''}")
    return 0


@click.command()
@KEY
@PROJECT
@options.where
@options.JSON
@connect.waits
async def publish(key: str, project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Let anyone read the value of KEY, and what it becomes, and print the URL."""
    return await _change(control.SetValueRequest(key=key, published=True), project, server, home, as_json)


@click.command()
@KEY
@PROJECT
@options.where
@options.JSON
@connect.waits
async def unpublish(key: str, project: str | None, server: str | None, home: str | None, as_json: bool) -> int:
    """Let nobody read the value of KEY from outside any more."""
    return await _change(control.SetValueRequest(key=key, published=False), project, server, home, as_json)


async def _change(
    request: control.SetValueRequest, project: str | None, server: str | None, home: str | None, as_json: bool
) -> int:
    settings = Settings.load()
    request.project = project_here(settings, project)
    async with connect.writing(settings, server, home) as remote:
        made = await remote.set_value(request)
    if as_json:
        documents.emit(_document(made))
    elif request.published:
        render.show(made.url)
    elif request.value:
        render.say(
            f"stored {clean(made.key)}, version {made.version}" if made.version else f"deleted {clean(made.key)}"
        )
    else:
        render.say(f"{clean(made.key)} is not published any more")
    return 0


def _document(value: control.StoredValue) -> documents.Document:
    return {
        "project": value.project,
        "key": value.key,
        "version": value.version,
        "published": value.published,
        "url": value.url or None,
        "set_at": documents.timestamp(value.set_us),
    }

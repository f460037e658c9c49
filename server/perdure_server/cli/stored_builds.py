"""`perdure builds`: the tarballs of user code that a coordinator has, and `perdure gc`, which deletes old things."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1.runner_pb2 import FetchBlobRequest

from perdure_server.app.writing import writing
from perdure_server.cli import connect, documents, listing, options, render
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError

_DIGEST = click.argument("build", metavar="BUILD")

builds = LazyGroup(
    {
        "list": Lazy("stored_builds", "list_", "List builds, newest first."),
        "show": Lazy("stored_builds", "show", "Show a build and its entry points."),
        "fetch": Lazy("stored_builds", "fetch", "Write the tarball of a build to a file."),
    },
    name="builds",
    help="Look at builds: user code as it was deployed.",
)


@click.command("list")
@options.OF_PROJECT
@options.where
@options.JSON
@connect.waits
async def list_(project: str | None, server: str | None, home: str | None, as_json: bool) -> None:
    """List builds: of all projects, unless one is named."""
    async with connect.reading(Settings.load(), server, home) as remote:
        found = (await remote.list_builds(control.ListBuildsRequest(project=project or ""))).builds
    listing.show(found, as_json, _document, ("BUILD", "PROJECTS", "SESSIONS", "BYTES", "MADE"), _row, "builds")


@click.command()
@_DIGEST
@options.where
@options.JSON
@connect.waits
async def show(build: str, server: str | None, home: str | None, as_json: bool) -> None:
    """Show BUILD: a digest, or how it begins."""
    async with connect.reading(Settings.load(), server, home) as remote:
        found = await _named(remote, build)
    if as_json:
        documents.emit(_document(found))
        return
    render.show(f"build {found.build_id}: {found.size} bytes, {found.sessions} sessions")
    render.show()
    rows = ((f"{e.file}:{e.name}", str(e.line), ", ".join(e.args)) for e in found.exports)
    render.table(("ENTRY POINT", "LINE", "ARGUMENTS"), rows)


@click.command()
@_DIGEST
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to [default: BUILD.tar.gz]."
)
@options.where
@options.JSON
@connect.waits
async def fetch(build: str, output: Path | None, server: str | None, home: str | None, as_json: bool) -> None:
    """Write the tarball of BUILD to a file."""
    async with connect.reading(Settings.load(), server, home) as remote:
        found = await _named(remote, build)
        target = output or Path(f"{found.build_id[:12]}.tar.gz")
        with writing(target) as file:
            async for chunk in remote.fetch_build(FetchBlobRequest(digest=found.build_id)):
                file.write(chunk.data)
    if as_json:
        documents.emit({"build_id": found.build_id, "file": str(target)})
    else:
        render.say(f"wrote {target}")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would be deleted.")
@click.option("--sessions-older", metavar="SECONDS", help="Delete sessions that ended longer ago than this.")
@click.option("--events-older", metavar="SECONDS", help="Delete events older than this.")
@options.where
@options.JSON
@connect.waits
async def gc(
    dry_run: bool,
    sessions_older: str | None,
    events_older: str | None,
    server: str | None,
    home: str | None,
    as_json: bool,
) -> None:
    """Delete what nobody needs any more: old sessions and events, and builds and values that nothing refers to.

    Without ages, those that the coordinator is set to hold: nothing that lives, is young or is referred to is deleted.
    """
    settings = Settings.load()
    request = control.CollectGarbageRequest(
        dry_run=dry_run,
        sessions_s=settings.number("session_retention", sessions_older) if sessions_older else 0.0,
        events_s=settings.number("event_retention", events_older) if events_older else 0.0,
    )
    async with connect.writing(settings, server, home) as remote:
        found = await remote.collect_garbage(request)
    if as_json:
        documents.emit(
            {name: getattr(found, name) for name in ("sessions", "events", "builds", "blobs", "bytes")}
            | {"dry_run": dry_run}
        )
        return
    what = f"{found.sessions} sessions, {found.events} events, {found.builds} builds, {found.blobs} blobs"
    render.show(f"{'would delete' if dry_run else 'deleted'} {what} ({found.bytes} bytes)")


async def _named(remote: connect.Control, text: str) -> control.Build:
    """The build whose digest begins so. P0212 when it is none, or several."""
    found = (await remote.list_builds(control.ListBuildsRequest())).builds
    chosen = [build for build in found if text and build.build_id.startswith(text)]
    if len(chosen) != 1:
        why = f"{len(chosen)} builds begin with {text!r}" if chosen else f"there is no build {text[:80]!r}"
        raise PerdureError("P0212", why, help="`perdure builds list` shows them")
    return chosen[0]


def _row(build: control.Build) -> tuple[str, ...]:
    names, made = ", ".join(build.projects), render.moment(build.created_us)
    return build.build_id[:12], names, str(build.sessions), str(build.size), made


def _document(build: control.Build) -> dict[str, Any]:
    return {
        "build_id": build.build_id,
        "bytes": build.size,
        "created_at": documents.timestamp(build.created_us),
        "projects": list(build.projects),
        "sessions": build.sessions,
        "exports": [{"file": e.file, "line": e.line, "name": e.name, "args": list(e.args)} for e in build.exports],
    }

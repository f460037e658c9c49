"""`perdure projects`: what is deployed here, and the end of a project."""

from __future__ import annotations

from typing import Any

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, listing, options, render
from perdure_server.cli.deployments import document as deployment_document
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.core.errors import PerdureError, did_you_mean

projects = LazyGroup(
    {
        "list": Lazy("projects", "list_", "List projects, with what is live of them."),
        "show": Lazy("projects", "show", "Show one project."),
        "delete": Lazy("projects", "delete", "Delete a project with everything of it."),
    },
    name="projects",
    help="Look at projects, and delete them.",
)


@click.command("list")
@options.where
@options.JSON
@connect.waits
async def list_(server: str | None, home: str | None, as_json: bool) -> None:
    """List projects by name."""
    async with connect.reading(Settings.load(), server, home) as remote:
        found = (await remote.list_projects(control.ListProjectsRequest())).projects
    listing.show(found, as_json, _document, ("PROJECT", "BUILD", "SESSIONS", "TRIGGERS", "SINCE"), _row, "projects")


@click.command()
@click.argument("name")
@options.where
@options.JSON
@connect.waits
async def show(name: str, server: str | None, home: str | None, as_json: bool) -> None:
    """Show project NAME: what is live of it, and its deployments."""
    async with connect.reading(Settings.load(), server, home) as remote:
        found = {each.name: each for each in (await remote.list_projects(control.ListProjectsRequest())).projects}
        if name not in found:
            hint = did_you_mean(name, found) or "`perdure projects list` shows all"
            raise PerdureError("P0206", f"there is no project {name[:80]!r}", help=hint)
        made = (await remote.list_deployments(control.ListDeploymentsRequest(project=name))).deployments
    if as_json:
        documents.emit(_document(found[name]) | {"deployments": [deployment_document(each) for each in made]})
        return
    render.table(("PROJECT", "BUILD", "SESSIONS", "TRIGGERS", "SINCE"), [_row(found[name])])
    render.show()
    rows = ((d.deployment_id, d.state, d.build_id[:12], str(d.sessions), render.moment(d.created_us)) for d in made)
    render.table(("DEPLOYMENT", "STATE", "BUILD", "SESSIONS", "MADE"), rows)


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Kill its sessions first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.where
@options.JSON
@connect.waits
async def delete(name: str, force: bool, yes: bool, server: str | None, home: str | None, as_json: bool) -> None:
    """Delete project NAME: its sessions, events, deployments, variables, values, connections and tokens.

    Refused while it has sessions that have not ended.
    """
    if not yes:
        click.confirm(f"Delete project {name} and all of its sessions, variables and values?", abort=True, err=True)
    async with connect.writing(Settings.load(), server, home) as remote:
        deleted = await remote.delete_project(control.DeleteProjectRequest(name=name, force=force))
    if as_json:
        documents.emit({"project": name, "sessions": deleted.sessions})
    else:
        render.show(f"deleted project {name} with {deleted.sessions} sessions")


def _row(project: control.Project) -> tuple[str, ...]:
    active = project.active.build_id[:12] or "nothing is live"
    return project.name, active, str(project.sessions), str(project.triggers), render.moment(project.created_us)


def _document(project: control.Project) -> dict[str, Any]:
    return {
        "name": project.name,
        "created_at": documents.timestamp(project.created_us),
        "active": deployment_document(project.active) if project.HasField("active") else None,
        "sessions": project.sessions,
        "triggers": project.triggers,
    }

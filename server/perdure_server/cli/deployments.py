"""`perdure deployments`, and what `perdure deploy --rollback` does."""

from __future__ import annotations

from typing import Any

import click
from perdure_proto.v1 import control_pb2 as control

from perdure_server.cli import connect, documents, listing, options, render
from perdure_server.cli.main import Lazy, LazyGroup
from perdure_server.cli.settings import Settings
from perdure_server.cli.vars import PROJECT, project_here

deployments = LazyGroup(
    {
        "list": Lazy("deployments", "list_", "List deployments, newest first."),
        "deactivate": Lazy("deployments", "deactivate", "End a project's active deployment without a new one."),
    },
    name="deployments",
    help="Look at what was made live and when; end it.",
)


@click.command("list")
@options.OF_PROJECT
@options.where
@options.JSON
@connect.waits
async def list_(project: str | None, server: str | None, home: str | None, as_json: bool) -> None:
    """List deployments: of all projects, unless one is named."""
    request = control.ListDeploymentsRequest(project=project or "")
    async with connect.reading(Settings.load(), server, home) as remote:
        found = (await remote.list_deployments(request)).deployments
    listing.show(
        found, as_json, document, ("PROJECT", "DEPLOYMENT", "STATE", "BUILD", "SESSIONS", "MADE"), _row, "deployments"
    )


@click.command()
@PROJECT
@options.where
@options.JSON
@connect.waits
async def deactivate(project: str | None, server: str | None, home: str | None, as_json: bool) -> None:
    """End a project's active deployment: its triggers start nothing more, its sessions go on to their end."""
    settings = Settings.load()
    async with connect.writing(settings, server, home) as remote:
        ended = await remote.deactivate(control.DeactivateRequest(project=project_here(settings, project)))
    if as_json:
        documents.emit(document(ended))
    else:
        render.show(f"{ended.project}: deployment {ended.deployment_id} is {ended.state}")


async def roll_back(
    settings: Settings, project: str, deployment_id: str, server: str | None, home: str | None, as_json: bool
) -> None:
    """Make an older deployment live again; "": the one before the active one."""
    async with connect.writing(settings, server, home) as remote:
        request = control.RollBackRequest(project=project, deployment_id=deployment_id)
        made = await remote.roll_back(request)
    if as_json:
        documents.emit(documents.deployment(made))
    else:
        render.deployment(made)


def _row(deployment: control.Deployment) -> tuple[str, ...]:
    made = render.moment(deployment.created_us)
    living = str(deployment.sessions)
    return deployment.project, deployment.deployment_id, deployment.state, deployment.build_id[:12], living, made


def document(deployment: control.Deployment) -> dict[str, Any]:
    """One item of `deployments list --json`. `sessions`: those that have not ended."""
    return {
        "deployment_id": deployment.deployment_id,
        "project": deployment.project,
        "build_id": deployment.build_id,
        "state": deployment.state,
        "created_at": documents.timestamp(deployment.created_us),
        "sessions": deployment.sessions,
    }

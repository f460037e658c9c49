"""Deployments that are not made from a folder: an older one made live again, or none."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator.deploying import make_live
from perdure_server.coordinator.starting import new_id, project_of
from perdure_server.coordinator.triggering.describing import messages
from perdure_server.core import ids
from perdure_server.core.errors import PerdureError
from perdure_server.store import Deployment, DeploymentTold, Mutation

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_HELP = "`perdure deployments list` shows them"


async def roll_back(c: Coordinator, request: pb.RollBackRequest) -> pb.DeployResponse:
    """Make an older deployment's build, settings and variables live again, as a new deployment.

    "" is the one before the active one; without an active one, the newest. Raises P0206 no such project, P0212 its
    build is gone, P0228.
    """
    project = project_of(c, request.project)
    older = await asyncio.to_thread(_chosen, c, project, request.deployment_id)
    build = await asyncio.to_thread(c.store.build, older.build_id)
    if build is None or not await asyncio.to_thread(c.blobs.keep, build.digest):
        raise PerdureError("P0212", f"the build of deployment {older.deployment_id} is gone", help="deploy its folder")
    deployment_id = new_id(c, ids.DEPLOYMENT)
    deployment = replace(
        older,
        deployment_id=deployment_id,
        created_us=c.clock.now_us(),
        state="active",
        vars=await c.variables.snapshot_again(older, deployment_id),
    )
    await make_live(c, deployment)
    return pb.DeployResponse(
        project=project,
        build_id=build.digest,
        deployment_id=deployment_id,
        exports=[pb.Export(file=e["file"], line=e["line"], name=e["name"], args=e["args"]) for e in build.exports],
        triggers=await messages(c, project),
        environment=str(deployment.settings.get("environment", "")),
    )


def _chosen(c: Coordinator, project: str, named: str) -> Deployment:
    rows = c.store.deployments(project)
    if named:
        found = next((row for row in rows if row.deployment_id == named), None)
        if found is None:
            raise PerdureError("P0228", f"project {project!r} has no deployment {named[:80]!r}", help=_HELP)
        return found
    active = next((n for n, row in enumerate(rows) if row.state == "active"), -1)
    if active + 1 >= len(rows):
        raise PerdureError("P0228", f"project {project!r} has no deployment before this one", help=_HELP)
    return rows[active + 1]


async def deactivate(c: Coordinator, request: pb.DeactivateRequest) -> pb.Deployment:
    """End the project's active deployment: nothing starts any more; its sessions go on. P0206 when there is none."""
    project = project_of(c, request.project)
    done: Any = await c.store.commit(Mutation(lambda transaction: transaction.deactivate(project)))
    deployment_id: str = done.value
    if not deployment_id:
        raise PerdureError("P0206", f"project {project!r} has no active deployment")
    c.builds.deactivated(project)
    told = await asyncio.to_thread(c.store.deployments_told, project)
    return next(deployment_message(each) for each in told if each.deployment_id == deployment_id)


def deployment_message(told: DeploymentTold) -> pb.Deployment:
    """As clients see it."""
    return pb.Deployment(
        deployment_id=told.deployment_id,
        project=told.project,
        build_id=told.build_id,
        state=told.state,
        created_us=told.created_us,
        sessions=told.alive,
    )

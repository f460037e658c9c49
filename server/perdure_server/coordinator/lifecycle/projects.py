"""What there is: projects, builds, deployments; and the end of a project."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator import signalling
from perdure_server.coordinator.lifecycle.garbage import ROWS
from perdure_server.coordinator.lifecycle.rolling import deployment_message
from perdure_server.coordinator.starting import UNDEPLOYED
from perdure_server.core.errors import PerdureError
from perdure_server.store import BuildTold, Mutation, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_STOPPED_AT_ONCE: Final = 100
_LOOK_S: Final = 0.05  # how often to see whether what was killed has ended
_PATIENCE_S: Final = 60.0
_REASON: Final = "its project is deleted"


async def list_projects(c: Coordinator) -> pb.ListProjectsResponse:
    """By name; builds that were never made live belong to none."""
    rows = await asyncio.to_thread(c.store.projects_told)
    told = {each.deployment_id: each for each in await asyncio.to_thread(c.store.deployments_told)}
    found = pb.ListProjectsResponse()
    for row in rows:
        if row.name.endswith(UNDEPLOYED):
            continue
        active = await c.builds.active(row.name)
        project = found.projects.add(name=row.name, created_us=row.created_us, sessions=row.alive)
        if active is not None and active.deployment_id in told:
            project.active.CopyFrom(deployment_message(told[active.deployment_id]))
            project.triggers = len(active.settings.get("triggers", ()))
    return found


async def list_builds(c: Coordinator, project: str) -> pb.ListBuildsResponse:
    """Newest first: of one project, also those that were never made live, or of all."""
    rows = await asyncio.to_thread(c.store.builds_told)
    mine = {project, project + UNDEPLOYED}
    return pb.ListBuildsResponse(builds=[_build(row) for row in rows if not project or mine & set(row.projects)])


def _build(row: BuildTold) -> pb.Build:
    return pb.Build(
        build_id=row.digest,
        size=row.size,
        created_us=row.created_us,
        exports=[pb.Export(file=e["file"], line=e["line"], name=e["name"], args=e["args"]) for e in row.exports],
        projects=[name for name in row.projects if not name.endswith(UNDEPLOYED)],
        sessions=row.sessions,
    )


async def list_deployments(c: Coordinator, project: str) -> pb.ListDeploymentsResponse:
    """Newest first, of one project or of all."""
    rows = await asyncio.to_thread(c.store.deployments_told, project)
    shown = [deployment_message(row) for row in rows if not row.project.endswith(UNDEPLOYED)]
    return pb.ListDeploymentsResponse(deployments=shown)


async def delete_project(c: Coordinator, name: str, *, force: bool) -> int:
    """Delete a project with everything of it; how many sessions that were.

    Raises P0206 no such project; P0233 when it has living sessions, which `force` kills.
    """
    if not name or name.endswith(UNDEPLOYED) or name not in await asyncio.to_thread(c.store.projects):
        raise PerdureError("P0206", f"there is no project {name[:80]!r}", help="`perdure projects list` shows all")
    await _close(c, name, force=force)
    if force:
        await _stop_all(c, name)
    count = 0
    async with c.garbage.busy:
        while ended := await asyncio.to_thread(_ended, c, name):
            count += await c.garbage.remove(ended)
        while await _delete_events(c, name):
            pass
        await c.variables.change(name, lambda transaction: _delete(transaction, name))
    c.dispatcher.urls.forget(name)
    c.usage.deleted()
    return count


async def _close(c: Coordinator, name: str, *, force: bool) -> None:
    """From here on nothing of it starts any more."""

    def write(transaction: Transaction) -> None:
        if not force and (alive := transaction.alive_in_project(name)):
            raise _in_use(name, alive)
        transaction.deactivate(name)
        transaction.deactivate(name + UNDEPLOYED)

    await c.store.commit(Mutation(write))
    c.builds.deactivated(name)
    c.builds.deactivated(name + UNDEPLOYED)


async def _stop_all(c: Coordinator, name: str) -> None:
    """P0233 when some have not ended after a while."""
    try:
        async with asyncio.timeout(_PATIENCE_S):
            while alive := await asyncio.to_thread(c.store.alive_in_project, name, _STOPPED_AT_ONCE):
                for session_id in alive:
                    await _stop(c, session_id)
                await asyncio.sleep(_LOOK_S)
    except TimeoutError:
        raise _in_use(name, c.store.alive_in_project(name)) from None


async def _stop(c: Coordinator, session_id: str) -> None:
    try:
        request = pb.StopSessionRequest(session_id=session_id, force=True, reason=_REASON)
        await signalling.stop_session(c, request)
    except PerdureError as error:
        if error.code not in {"P0204", "P0205"}:
            raise


def _ended(c: Coordinator, name: str) -> list[str]:
    return c.store.ended_in_project(name, ROWS)


async def _delete_events(c: Coordinator, name: str) -> int:
    done = await c.store.commit(Mutation(lambda transaction: transaction.delete_events_of(name, ROWS)))
    return int(getattr(done, "value", 0))


def _delete(transaction: Transaction, name: str) -> None:
    alive = transaction.alive_in_project(name)
    if alive or transaction.active_deployment(name) is not None:
        raise _in_use(name, alive)
    transaction.delete_project(name)
    transaction.delete_project(name + UNDEPLOYED)


def _in_use(name: str, alive: list[str]) -> PerdureError:
    if not alive:
        return PerdureError("P0233", f"project {name!r} was deployed again meanwhile", help="delete it once more")
    some = f"{len(alive)} sessions that have" if len(alive) > 1 else f"a session, {alive[0]}, that has"
    return PerdureError("P0233", f"project {name!r} has {some} not ended", help="--force stops them")

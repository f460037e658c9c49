"""From a tarball to a live deployment. Nothing of it is imported or run here: it is unpacked, read and parsed."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import AsyncIterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator.starting import UNDEPLOYED, new_id
from perdure_server.coordinator.triggering.describing import messages, new_rows
from perdure_server.coordinator.triggering.schedules import check_ticks
from perdure_server.core import ids
from perdure_server.core.errors import PerdureError, Problems
from perdure_server.environments.locks import Locked
from perdure_server.environments.reading import Wanted, wanted
from perdure_server.manifest.build import digest, extract
from perdure_server.manifest.checking import check_handlers
from perdure_server.manifest.connections import Connection
from perdure_server.manifest.exports import Export, find_exports
from perdure_server.manifest.manifest import Manifest, load_manifest
from perdure_server.manifest.triggers import Trigger
from perdure_server.manifest.values import unset_secrets
from perdure_server.store import Build, Deployment, Mutation, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator


@dataclass(frozen=True, slots=True)
class _Checked:
    manifest: Manifest
    build: Build
    exports: tuple[Export, ...]
    variables: Mapping[str, str]
    requires: Wanted | None


async def deploy(c: Coordinator, parts: AsyncIterable[pb.DeployRequest]) -> pb.DeployResponse:
    """Check a build, store it and, unless `build_only`, make it the project's active one; the older one drains.

    Raises what is wrong with the tarball (P0120 to P0124) or the manifest (P0101 to P0104), the
    requirements (P0303, P0305), P0211 disk full, P0614 schedules that come too often.
    """
    header, tarball = await _collect(parts, c.settings.build_bytes)
    checked = await asyncio.to_thread(_check, c, tarball)
    manifest, project = checked.manifest, header.project or checked.manifest.name
    known = {*checked.variables, *await c.variables.set_apart(project)}
    if unset := unset_secrets(manifest.variables, known, manifest.file, project):
        raise Problems(unset)
    needed = checked.requires if c.settings.environments else None
    locked = await c.locks.lock(needed, upgrade=header.upgrade) if needed else None
    build = _with_environment(checked.build, locked) if locked else checked.build
    await asyncio.to_thread(c.blobs.put, tarball)
    deployment_id = new_id(c, ids.DEPLOYMENT)
    deployment = Deployment(
        deployment_id=deployment_id,
        project=project + UNDEPLOYED if header.build_only else project,
        build_id=build.digest,
        created_us=build.created_us,
        vars=await c.variables.snapshot(deployment_id, checked.variables, manifest.secrets),
        settings=build.manifest,
    )
    await make_live(c, deployment, build)
    return pb.DeployResponse(
        project=project,
        build_id=build.digest,
        deployment_id="" if header.build_only else deployment.deployment_id,
        exports=[pb.Export(file=e.file, line=e.line, name=e.name, args=e.args) for e in checked.exports],
        triggers=[] if header.build_only else await messages(c, project),
        environment=locked.digest if locked else "",
        packages=locked.packages if locked else 0,
        environment_reused=locked.reused if locked else False,
        environment_ms=locked.took_ms if locked else 0.0,
    )


async def make_live(c: Coordinator, deployment: Deployment, build: Build | None = None) -> None:
    """Make a deployment its project's active one, with the rows of its triggers and connections, which outlive it.

    `build`: stored with it. Of an undeployed build there are only variables to keep. P0212: its build is gone; P0614:
    its schedules come too often.
    """
    live = not deployment.project.endswith(UNDEPLOYED)
    if live:
        triggers = [Trigger.of_json(each) for each in deployment.settings.get("triggers", ())]
        await asyncio.to_thread(check_ticks, triggers, c.settings.project_ticks, c.clock.now_us())
    named = [Connection.of_json(each) for each in deployment.settings.get("connections", ())] if live else []

    def write(transaction: Transaction) -> None:
        if build is not None:
            transaction.put_build(build)
        elif transaction.build(deployment.build_id) is None:
            raise PerdureError("P0212", f"unknown build {deployment.build_id!r}")
        transaction.put_project(deployment.project, deployment.created_us)
        transaction.activate(deployment)
        for row in new_rows(deployment) if live else ():
            transaction.put_trigger(row)
        for connection in c.connections.declared(deployment.project, named):
            transaction.put_connection(connection)

    await c.store.commit(Mutation(write))
    c.builds.deployed(deployment)
    if live:
        c.preparing.deployed(deployment.project)


def _with_environment(build: Build, locked: Locked) -> Build:
    """Runners need the very interpreter that the requirements were resolved for."""
    named = build.manifest.get("python") or locked.python
    return replace(build, manifest={**build.manifest, "python": named, "environment": locked.digest})


async def _collect(parts: AsyncIterable[pb.DeployRequest], limit: int) -> tuple[pb.DeployHeader, bytes]:
    header: pb.DeployHeader | None = None
    tarball = bytearray()
    async for part in parts:
        if part.HasField("header"):
            if header is not None:
                raise PerdureError("P0120", "the deployment has two headers")
            header = part.header
            continue
        if header is None:
            raise PerdureError("P0120", "the deployment begins without a header")
        tarball += part.chunk
        if len(tarball) > limit:
            raise PerdureError(
                "P0124", f"the build has more than {limit} bytes", help="leave out what code does not need"
            )
    if header is None:
        raise PerdureError("P0120", "the deployment is empty")
    return header, bytes(tarball)


def _check(c: Coordinator, tarball: bytes) -> _Checked:
    with tempfile.TemporaryDirectory(prefix="perdure-build-") as scratch:
        root = Path(scratch) / "project"
        extract(tarball, root)
        manifest = load_manifest(root)
        variables = manifest.resolve_vars(os.environ)
        found = find_exports(root, isolated=c.settings.isolate_scan)
        check_handlers(manifest, found)
        requires = wanted(root, manifest)
    row: dict[str, Any] = manifest.to_json() | {"variables": sorted(variables)}
    build = Build(digest(tarball), len(tarball), c.clock.now_us(), [asdict(e) for e in found.exports], row)
    return _Checked(manifest, build, found.exports, variables, requires)

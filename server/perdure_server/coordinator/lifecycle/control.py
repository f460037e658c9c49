"""What clients can ask about projects, builds, deployments, garbage and exported sessions: one method per rpc."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterable, AsyncIterator
from dataclasses import asdict
from typing import TYPE_CHECKING

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.runner_pb2 import BlobChunk

from perdure_server.coordinator.lifecycle import exporting, importing, projects, rolling

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator
    from perdure_server.security.access import Access


class LifecycleControl:
    """Part of `Control`."""

    _c: Coordinator

    @property
    @abstractmethod
    def access(self) -> Access: ...

    async def list_projects(self, _request: pb.ListProjectsRequest) -> pb.ListProjectsResponse:
        return await projects.list_projects(self._c)

    async def delete_project(self, request: pb.DeleteProjectRequest) -> pb.DeleteProjectResponse:
        """With everything of it, and the tokens that are for it alone. P0206, P0233 it has living sessions."""
        deleted = await projects.delete_project(self._c, request.name, force=request.force)
        for token in self.access.list_tokens().tokens:
            if token.project == request.name:
                await self.access.revoke_token(pb.RevokeTokenRequest(token_id=token.token_id))
        return pb.DeleteProjectResponse(sessions=deleted)

    async def list_builds(self, request: pb.ListBuildsRequest) -> pb.ListBuildsResponse:
        return await projects.list_builds(self._c, request.project)

    async def list_deployments(self, request: pb.ListDeploymentsRequest) -> pb.ListDeploymentsResponse:
        return await projects.list_deployments(self._c, request.project)

    async def roll_back(self, request: pb.RollBackRequest) -> pb.DeployResponse:
        return await rolling.roll_back(self._c, request)

    async def deactivate(self, request: pb.DeactivateRequest) -> pb.Deployment:
        return await rolling.deactivate(self._c, request)

    async def collect_garbage(self, request: pb.CollectGarbageRequest) -> pb.CollectGarbageResponse:
        """Ages that make no sense are as if none was given."""
        found = await self._c.garbage.collect(
            max(0.0, request.sessions_s), max(0.0, request.events_s), dry_run=request.dry_run
        )
        return pb.CollectGarbageResponse(**asdict(found))

    def export_session(self, request: pb.GetSessionRequest) -> AsyncIterator[BlobChunk]:
        return exporting.export_session(self._c, request.session_id)

    async def import_session(self, chunks: AsyncIterable[BlobChunk]) -> pb.Session:
        return await importing.import_session(self._c, chunks)

"""The part of `RemoteControl` that concerns what comes in from outside, what sessions share, and what is kept."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.runner_pb2 import BlobChunk

T = TypeVar("T")


class RemoteOutside:
    """One method an rpc, as `Control` has them."""

    _stub: Any

    @abstractmethod
    async def _unary(self, method: Callable[..., Awaitable[T]], request: Any, timeout_s: float | None = ...) -> T: ...

    @abstractmethod
    def _stream(self, method: Any, request: Any) -> AsyncIterator[Any]: ...

    async def send_event(self, request: pb.SendEventRequest) -> pb.Event:
        return await self._unary(self._stub.SendEvent, request)

    async def list_events(self, request: pb.ListEventsRequest) -> pb.ListEventsResponse:
        return await self._unary(self._stub.ListEvents, request)

    async def get_event(self, request: pb.GetEventRequest) -> pb.Event:
        return await self._unary(self._stub.GetEvent, request)

    async def redispatch_event(self, request: pb.RedispatchEventRequest) -> pb.Event:
        return await self._unary(self._stub.RedispatchEvent, request)

    async def list_triggers(self, request: pb.ListTriggersRequest) -> pb.ListTriggersResponse:
        return await self._unary(self._stub.ListTriggers, request)

    async def test_trigger(self, request: pb.TestTriggerRequest) -> pb.TestTriggerResponse:
        return await self._unary(self._stub.TestTrigger, request)

    async def get_value(self, request: pb.GetValueRequest) -> pb.StoredValue:
        return await self._unary(self._stub.GetValue, request)

    async def set_value(self, request: pb.SetValueRequest) -> pb.StoredValue:
        return await self._unary(self._stub.SetValue, request)

    async def delete_value(self, request: pb.GetValueRequest) -> pb.DeleteValueResponse:
        return await self._unary(self._stub.DeleteValue, request)

    async def list_values(self, request: pb.ListValuesRequest) -> pb.ListValuesResponse:
        return await self._unary(self._stub.ListValues, request)

    async def list_projects(self, request: pb.ListProjectsRequest) -> pb.ListProjectsResponse:
        return await self._unary(self._stub.ListProjects, request)

    async def delete_project(self, request: pb.DeleteProjectRequest) -> pb.DeleteProjectResponse:
        return await self._unary(self._stub.DeleteProject, request, timeout_s=None)

    async def list_builds(self, request: pb.ListBuildsRequest) -> pb.ListBuildsResponse:
        return await self._unary(self._stub.ListBuilds, request)

    async def list_deployments(self, request: pb.ListDeploymentsRequest) -> pb.ListDeploymentsResponse:
        return await self._unary(self._stub.ListDeployments, request)

    async def roll_back(self, request: pb.RollBackRequest) -> pb.DeployResponse:
        return await self._unary(self._stub.RollBack, request)

    async def deactivate(self, request: pb.DeactivateRequest) -> pb.Deployment:
        return await self._unary(self._stub.Deactivate, request)

    async def collect_garbage(self, request: pb.CollectGarbageRequest) -> pb.CollectGarbageResponse:
        return await self._unary(self._stub.CollectGarbage, request, timeout_s=None)

    async def list_connections(self, request: pb.ListConnectionsRequest) -> pb.ListConnectionsResponse:
        return await self._unary(self._stub.ListConnections, request)

    async def put_connection(self, request: pb.PutConnectionRequest) -> pb.Connection:
        return await self._unary(self._stub.PutConnection, request)

    async def delete_connection(self, request: pb.DeleteConnectionRequest) -> pb.DeleteConnectionResponse:
        return await self._unary(self._stub.DeleteConnection, request)

    def export_session(self, request: pb.GetSessionRequest) -> AsyncIterator[BlobChunk]:
        return self._stream(self._stub.ExportSession, request)

    async def import_session(self, chunks: AsyncIterable[BlobChunk]) -> pb.Session:
        return await self._unary(self._stub.ImportSession, chunks, timeout_s=None)

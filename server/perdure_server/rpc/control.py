"""The `Control` service: every rpc is the method of `Control` of the same name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable
from typing import Any, TypeVar

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import control_pb2_grpc
from perdure_proto.v1.journal_pb2 import Entry, LogLine
from perdure_proto.v1.runner_pb2 import BlobChunk, FetchBlobRequest, RunnerHealth

from perdure_server.coordinator.control import Control
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.errors import status_of

T = TypeVar("T")


# ruff: noqa: N802  (the names of the rpcs)
class ControlServicer(control_pb2_grpc.ControlServicer):
    def __init__(self, control: Control) -> None:
        self._control = control

    async def GetVersion(self, request: pb.GetVersionRequest, context: Any) -> pb.GetVersionResponse:
        return await _answer(context, self._control.get_version(request))

    async def Deploy(self, request_iterator: AsyncIterator[pb.DeployRequest], context: Any) -> pb.DeployResponse:
        return await _answer(context, self._control.deploy(request_iterator))

    async def StartSession(self, request: pb.StartSessionRequest, context: Any) -> pb.StartSessionResponse:
        return await _answer(context, self._control.start_session(request))

    async def ListSessions(self, request: pb.ListSessionsRequest, context: Any) -> pb.ListSessionsResponse:
        return await _answer(context, self._control.list_sessions(request))

    async def GetSession(self, request: pb.GetSessionRequest, context: Any) -> pb.Session:
        return await _answer(context, self._control.get_session(request))

    async def GetHistory(self, request: pb.GetHistoryRequest, context: Any) -> AsyncIterator[Entry]:
        async for message in _answers(context, self._control.get_history(request)):
            yield message

    async def GetLogs(self, request: pb.GetLogsRequest, context: Any) -> AsyncIterator[LogLine]:
        async for message in _answers(context, self._control.get_logs(request)):
            yield message

    async def WatchSession(self, request: pb.WatchSessionRequest, context: Any) -> AsyncIterator[pb.SessionUpdate]:
        async for message in _answers(context, self._control.watch_session(request)):
            yield message

    async def SignalSession(self, request: pb.SignalSessionRequest, context: Any) -> pb.SignalSessionResponse:
        return await _answer(context, self._control.signal_session(request))

    async def StopSession(self, request: pb.StopSessionRequest, context: Any) -> pb.StopSessionResponse:
        return await _answer(context, self._control.stop_session(request))

    async def ForkSession(self, request: pb.ForkSessionRequest, context: Any) -> pb.StartSessionResponse:
        return await _answer(context, self._control.fork_session(request))

    async def ReplaySession(self, request: pb.ReplaySessionRequest, context: Any) -> pb.ReplaySessionResponse:
        return await _answer(context, self._control.replay_session(request))

    async def FetchBuild(self, request: FetchBlobRequest, context: Any) -> AsyncIterator[BlobChunk]:
        async for message in _answers(context, self._control.fetch_build(request)):
            yield message

    async def SetVar(self, request: pb.SetVarRequest, context: Any) -> pb.SetVarResponse:
        return await _answer(context, self._control.set_var(request))

    async def UnsetVar(self, request: pb.UnsetVarRequest, context: Any) -> pb.UnsetVarResponse:
        return await _answer(context, self._control.unset_var(request))

    async def ListVars(self, request: pb.ListVarsRequest, context: Any) -> pb.ListVarsResponse:
        return await _answer(context, self._control.list_vars(request))

    async def InviteHost(self, request: pb.InviteHostRequest, context: Any) -> pb.InviteHostResponse:
        return await _answer(context, self._control.invite_host(request))

    async def CreateToken(self, request: pb.CreateTokenRequest, context: Any) -> pb.CreateTokenResponse:
        return await _answer(context, self._control.create_token(request))

    async def ListTokens(self, request: pb.ListTokensRequest, context: Any) -> pb.ListTokensResponse:
        return await _answer(context, self._control.list_tokens(request))

    async def RevokeToken(self, request: pb.RevokeTokenRequest, context: Any) -> pb.RevokeTokenResponse:
        return await _answer(context, self._control.revoke_token(request))

    async def ListHosts(self, request: pb.ListHostsRequest, context: Any) -> pb.ListHostsResponse:
        return await _answer(context, self._control.list_hosts(request))

    async def DrainHost(self, request: pb.DrainHostRequest, context: Any) -> pb.DrainHostResponse:
        return await _answer(context, self._control.drain_host(request))

    async def GetRunnerHealth(self, request: pb.GetRunnerHealthRequest, context: Any) -> RunnerHealth:
        return await _answer(context, self._control.get_runner_health(request))


async def _answer(context: Any, answer: Awaitable[T]) -> T:
    try:
        return await answer
    except PerdureError as error:
        await context.abort(*status_of(error))
        raise


async def _answers(context: Any, answers: AsyncIterator[T]) -> AsyncIterator[T]:
    try:
        async for message in answers:
            yield message
    except PerdureError as error:
        await context.abort(*status_of(error))

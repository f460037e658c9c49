"""`RemoteControl`: what `Control` offers, over a channel."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Final, Self, TypeVar

import grpc
from perdure._version import __version__
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import control_pb2_grpc
from perdure_proto.v1.journal_pb2 import Entry, LogLine
from perdure_proto.v1.runner_pb2 import BlobChunk, FetchBlobRequest, RunnerHealth

from perdure_server.coordinator.settings import PROTOCOL_VERSION
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.channel import open_channel
from perdure_server.rpc.client_outside import RemoteOutside
from perdure_server.rpc.errors import error_of
from perdure_server.rpc.local import home_token

T = TypeVar("T")

Method = Callable[..., Awaitable[T]]
Metadata = tuple[tuple[str, str], ...]

ANSWER_TIMEOUT_S: Final = 30.0


class RemoteControl(RemoteOutside):
    """The `Control` service of a coordinator at `address` (`HOST:PORT` or `unix:PATH`).

    Methods take the request message and return the response message, or an async iterator of messages. They raise
    `PerdureError`: what the server raised, P0207 when there is none, P0208 when it speaks another protocol version.
    `connect_timeout_s` bounds the first contact. `token`: a bearer token; without one, that of the home is taken if it
    is on this machine and can be read. `authority`: the certificate of the server's CA (PEM), for TLS.
    """

    def __init__(
        self, address: str, *, token: str = "", authority: bytes = b"", connect_timeout_s: float = 5.0
    ) -> None:
        self.address = address
        self._connect_timeout_s = connect_timeout_s
        self._channel = open_channel(address, authority)
        self.token = token
        self._stub: Any = control_pb2_grpc.ControlStub(self._channel)  # the stubs know its blocking form only
        self._connected = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._channel.close(None)

    async def get_version(self, request: pb.GetVersionRequest) -> pb.GetVersionResponse:
        return await self._unary(self._stub.GetVersion, request)

    async def deploy(self, parts: AsyncIterable[pb.DeployRequest]) -> pb.DeployResponse:
        try:
            return await self._unary(self._stub.Deploy, parts, timeout_s=None)
        except PerdureError as error:
            if error.code != "P0702":
                raise
            # gRPC loses an answer that comes while we still send. Asked without a build, the server says it again;
            # P0120 means that it would have taken one.
            try:
                await self._unary(self._stub.Deploy, _nothing())
            except PerdureError as again:
                raise (error if again.code == "P0120" else again) from None
            raise

    async def start_session(self, request: pb.StartSessionRequest) -> pb.StartSessionResponse:
        return await self._unary(self._stub.StartSession, request)

    async def list_sessions(self, request: pb.ListSessionsRequest) -> pb.ListSessionsResponse:
        return await self._unary(self._stub.ListSessions, request)

    async def get_session(self, request: pb.GetSessionRequest) -> pb.Session:
        return await self._unary(self._stub.GetSession, request)

    def get_history(self, request: pb.GetHistoryRequest) -> AsyncIterator[Entry]:
        return self._stream(self._stub.GetHistory, request)

    def get_logs(self, request: pb.GetLogsRequest) -> AsyncIterator[LogLine]:
        return self._stream(self._stub.GetLogs, request)

    def watch_session(self, request: pb.WatchSessionRequest) -> AsyncIterator[pb.SessionUpdate]:
        return self._stream(self._stub.WatchSession, request)

    async def signal_session(self, request: pb.SignalSessionRequest) -> pb.SignalSessionResponse:
        return await self._unary(self._stub.SignalSession, request)

    async def stop_session(self, request: pb.StopSessionRequest) -> pb.StopSessionResponse:
        return await self._unary(self._stub.StopSession, request)

    async def fork_session(self, request: pb.ForkSessionRequest) -> pb.StartSessionResponse:
        return await self._unary(self._stub.ForkSession, request)

    async def replay_session(self, request: pb.ReplaySessionRequest) -> pb.ReplaySessionResponse:
        return await self._unary(self._stub.ReplaySession, request, timeout_s=None)

    def fetch_build(self, request: FetchBlobRequest) -> AsyncIterator[BlobChunk]:
        return self._stream(self._stub.FetchBuild, request)

    async def set_var(self, request: pb.SetVarRequest) -> pb.SetVarResponse:
        return await self._unary(self._stub.SetVar, request)

    async def unset_var(self, request: pb.UnsetVarRequest) -> pb.UnsetVarResponse:
        return await self._unary(self._stub.UnsetVar, request)

    async def list_vars(self, request: pb.ListVarsRequest) -> pb.ListVarsResponse:
        return await self._unary(self._stub.ListVars, request)

    async def invite_host(self, request: pb.InviteHostRequest) -> pb.InviteHostResponse:
        return await self._unary(self._stub.InviteHost, request)

    async def create_token(self, request: pb.CreateTokenRequest) -> pb.CreateTokenResponse:
        return await self._unary(self._stub.CreateToken, request)

    async def list_tokens(self, request: pb.ListTokensRequest) -> pb.ListTokensResponse:
        return await self._unary(self._stub.ListTokens, request)

    async def revoke_token(self, request: pb.RevokeTokenRequest) -> pb.RevokeTokenResponse:
        return await self._unary(self._stub.RevokeToken, request)

    async def list_hosts(self, request: pb.ListHostsRequest) -> pb.ListHostsResponse:
        return await self._unary(self._stub.ListHosts, request)

    async def drain_host(self, request: pb.DrainHostRequest) -> pb.DrainHostResponse:
        return await self._unary(self._stub.DrainHost, request)

    async def get_runner_health(self, request: pb.GetRunnerHealthRequest) -> RunnerHealth:
        return await self._unary(self._stub.GetRunnerHealth, request)

    async def _unary(self, method: Method[T], request: Any, timeout_s: float | None = ANSWER_TIMEOUT_S) -> T:
        await self._connect()
        try:
            return await method(request, timeout=timeout_s, metadata=_bearer(self.token))
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure, self.address) from None

    async def _stream(self, method: Any, request: Any) -> AsyncIterator[Any]:
        await self._connect()
        call = method(request, metadata=_bearer(self.token))
        try:
            async for message in call:
                yield message
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure, self.address) from None
        finally:
            call.cancel()

    async def _connect(self) -> None:
        """The handshake, with `wait_for_ready`: a server that is just coming up is waited for."""
        if self._connected:
            return
        ours = pb.GetVersionRequest(client_version=__version__, protocol_version=PROTOCOL_VERSION)
        try:
            theirs = await self._stub.GetVersion(
                ours, timeout=self._connect_timeout_s, wait_for_ready=True, metadata=_bearer(self.token)
            )
        except grpc.aio.AioRpcError as failure:
            raise error_of(failure, self.address) from None
        if theirs.protocol_version != PROTOCOL_VERSION:
            raise PerdureError(
                "P0208",
                f"the coordinator at {self.address} (perdure {theirs.version}) speaks protocol "
                f"{theirs.protocol_version}, this client {PROTOCOL_VERSION}",
                help="install the same version of perdure on both sides",
            )
        if not self.token and not self.address.startswith("unix:"):
            self.token = home_token(theirs.home, self.address)
        self._connected = True


async def _nothing() -> AsyncIterator[pb.DeployRequest]:
    no_parts: tuple[pb.DeployRequest, ...] = ()
    for part in no_parts:
        yield part


def _bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),) if token else ()

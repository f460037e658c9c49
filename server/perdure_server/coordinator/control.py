"""`Control`: what clients can ask, one method per rpc of control.proto, for the embedded CLI and for gRPC alike."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterable, AsyncIterator
from typing import TYPE_CHECKING, Final

from perdure._version import __version__
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1.runner_pb2 import BlobChunk, FetchBlobRequest, RunnerHealth

from perdure_server.coordinator import deploying, following, signalling, starting
from perdure_server.coordinator.connections import ConnectionControl
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.following import known_session
from perdure_server.coordinator.lifecycle.control import LifecycleControl
from perdure_server.coordinator.messages import session_message
from perdure_server.coordinator.settings import PROTOCOL_VERSION
from perdure_server.coordinator.triggering.control import TriggerControl
from perdure_server.coordinator.values import ValueControl
from perdure_server.core.errors import PerdureError
from perdure_server.core.state import Phase

if TYPE_CHECKING:
    from perdure_server.security.access import Access

_PAGE: Final = 100
_LARGEST_PAGE: Final = 1_000
_ALIVE: Final = frozenset(phase.value for phase in Phase if not phase.ended)


class Control(ConnectionControl, LifecycleControl, TriggerControl, ValueControl):
    """Methods take the request message and return the response, or an async iterator; they raise `PerdureError`."""

    def __init__(self, coordinator: Coordinator, home: str = "", access: Access | None = None) -> None:
        self._c = coordinator
        self._home = home
        self._access = access

    async def get_version(self, request: pb.GetVersionRequest) -> pb.GetVersionResponse:
        if request.protocol_version not in {0, PROTOCOL_VERSION}:
            raise PerdureError(
                "P0208",
                f"the client speaks protocol {request.protocol_version}, this coordinator {PROTOCOL_VERSION}",
                help="install the same version of perdure on both sides",
            )
        return pb.GetVersionResponse(
            version=__version__,
            protocol_version=PROTOCOL_VERSION,
            coordinator_id=self._c.store.coordinator_id,
            home=self._home,
            pid=os.getpid(),
        )

    async def deploy(self, parts: AsyncIterable[pb.DeployRequest]) -> pb.DeployResponse:
        return await deploying.deploy(self._c, parts)

    async def start_session(self, request: pb.StartSessionRequest) -> pb.StartSessionResponse:
        return await starting.start_session(self._c, request)

    async def list_sessions(self, request: pb.ListSessionsRequest) -> pb.ListSessionsResponse:
        """Newest first. A row knows a living session's state only roughly: those are looked up in memory."""
        wanted = set(request.states)
        if unknown := wanted - {phase.value for phase in Phase}:
            raise PerdureError("P0103", f"there is no state {min(unknown)!r}", help=", ".join(p.value for p in Phase))
        asked = wanted | _ALIVE if wanted & _ALIVE else wanted
        limit = min(request.limit or _PAGE, _LARGEST_PAGE)
        rows = await asyncio.to_thread(
            self._c.store.list_sessions, request.project, sorted(asked), limit, request.before
        )
        found = [session_message(row, self._c.actors.get(row.session_id), with_data=False) for row in rows]
        return pb.ListSessionsResponse(
            sessions=[session for session in found if not wanted or session.state in wanted],
            next=rows[-1].session_id if len(rows) == limit else "",
        )

    async def get_session(self, request: pb.GetSessionRequest) -> pb.Session:
        record = known_session(self._c, request.session_id)
        session = session_message(record, self._c.actors.get(record.session_id))
        if session.result.blob and session.result.encoding == jpb.ENCODING_JSON:
            session.result.data = await asyncio.to_thread(self._c.blobs.get, session.result.blob)
            session.result.ClearField("blob")
        return session

    def get_history(self, request: pb.GetHistoryRequest) -> AsyncIterator[jpb.Entry]:
        return following.history(self._c, request)

    def get_logs(self, request: pb.GetLogsRequest) -> AsyncIterator[jpb.LogLine]:
        return following.logs(self._c, request)

    def watch_session(self, request: pb.WatchSessionRequest) -> AsyncIterator[pb.SessionUpdate]:
        return following.watch(self._c, request)

    async def signal_session(self, request: pb.SignalSessionRequest) -> pb.SignalSessionResponse:
        return await signalling.signal_session(self._c, request)

    async def stop_session(self, request: pb.StopSessionRequest) -> pb.StopSessionResponse:
        return await signalling.stop_session(self._c, request)

    async def fork_session(self, request: pb.ForkSessionRequest) -> pb.StartSessionResponse:
        return await starting.fork_session(self._c, request)

    async def replay_session(self, request: pb.ReplaySessionRequest) -> pb.ReplaySessionResponse:
        record = known_session(self._c, request.session_id)
        return await self._c.replays.run(record, request.build_id or record.build_id)

    async def fetch_build(self, request: FetchBlobRequest) -> AsyncIterator[BlobChunk]:
        await self._c.builds.of(request.digest)
        async for chunk in self._c.fetch_blob(request.digest):
            yield BlobChunk(data=chunk)

    async def set_var(self, request: pb.SetVarRequest) -> pb.SetVarResponse:
        project, var = starting.project_of(self._c, request.project), request.var
        await self._c.variables.set(project, var.name, var.value, secret=var.secret)
        return pb.SetVarResponse()

    async def unset_var(self, request: pb.UnsetVarRequest) -> pb.UnsetVarResponse:
        project = starting.project_of(self._c, request.project)
        return pb.UnsetVarResponse(existed=await self._c.variables.unset(project, request.name))

    async def list_vars(self, request: pb.ListVarsRequest) -> pb.ListVarsResponse:
        project = starting.project_of(self._c, request.project)
        return pb.ListVarsResponse(vars=await self._c.variables.list(project))

    @property
    def access(self) -> Access:
        """Who may ask. Without a server, where only tokens can be made, it is read when it is first asked for."""
        if self._access is None:
            from perdure_server.security.access import Access

            self._access = Access.at_rest(self._c.store, self._c.clock.now_us, self._home)
        return self._access

    async def invite_host(self, request: pb.InviteHostRequest) -> pb.InviteHostResponse:
        return await self.access.invite_host(request)

    async def create_token(self, request: pb.CreateTokenRequest) -> pb.CreateTokenResponse:
        return await self.access.create_token(request)

    async def list_tokens(self, _request: pb.ListTokensRequest) -> pb.ListTokensResponse:
        return self.access.list_tokens()

    async def revoke_token(self, request: pb.RevokeTokenRequest) -> pb.RevokeTokenResponse:
        return await self.access.revoke_token(request)

    async def list_hosts(self, _request: pb.ListHostsRequest) -> pb.ListHostsResponse:
        return self._c.pool.list()

    async def drain_host(self, request: pb.DrainHostRequest) -> pb.DrainHostResponse:
        return pb.DrainHostResponse(sessions=self._c.pool.drain(request.host_id, move=request.move))

    async def get_runner_health(self, request: pb.GetRunnerHealthRequest) -> RunnerHealth:
        return await self._c.pool.runner_health(known_session(self._c, request.session_id).session_id)

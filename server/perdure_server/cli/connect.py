"""Which coordinator a command talks to: a named server, the one that serves the home, or an embedded one."""

from __future__ import annotations

import asyncio
import functools
import os
import shlex
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.journal_pb2 import Entry, LogLine
from perdure_proto.v1.runner_pb2 import BlobChunk, FetchBlobRequest, RunnerHealth

from perdure_server.cli.settings import BY_NAME, Settings
from perdure_server.coordinator.settings import Faults
from perdure_server.core.errors import PerdureError
from perdure_server.rpc.local import read_endpoint

P = ParamSpec("P")
T = TypeVar("T")


class Control(Protocol):
    """What commands ask of a coordinator, near or far: the methods of `Control` and `RemoteControl` alike."""

    async def get_version(self, request: pb.GetVersionRequest, /) -> pb.GetVersionResponse: ...
    async def deploy(self, parts: AsyncIterable[pb.DeployRequest], /) -> pb.DeployResponse: ...
    async def start_session(self, request: pb.StartSessionRequest, /) -> pb.StartSessionResponse: ...
    async def list_sessions(self, request: pb.ListSessionsRequest, /) -> pb.ListSessionsResponse: ...
    async def get_session(self, request: pb.GetSessionRequest, /) -> pb.Session: ...
    def get_history(self, request: pb.GetHistoryRequest, /) -> AsyncIterator[Entry]: ...
    def get_logs(self, request: pb.GetLogsRequest, /) -> AsyncIterator[LogLine]: ...
    def watch_session(self, request: pb.WatchSessionRequest, /) -> AsyncIterator[pb.SessionUpdate]: ...
    async def signal_session(self, request: pb.SignalSessionRequest, /) -> pb.SignalSessionResponse: ...
    async def stop_session(self, request: pb.StopSessionRequest, /) -> pb.StopSessionResponse: ...
    async def fork_session(self, request: pb.ForkSessionRequest, /) -> pb.StartSessionResponse: ...
    async def replay_session(self, request: pb.ReplaySessionRequest, /) -> pb.ReplaySessionResponse: ...
    def fetch_build(self, request: FetchBlobRequest, /) -> AsyncIterator[BlobChunk]: ...
    async def set_var(self, request: pb.SetVarRequest, /) -> pb.SetVarResponse: ...
    async def unset_var(self, request: pb.UnsetVarRequest, /) -> pb.UnsetVarResponse: ...
    async def list_vars(self, request: pb.ListVarsRequest, /) -> pb.ListVarsResponse: ...
    async def get_value(self, request: pb.GetValueRequest, /) -> pb.StoredValue: ...
    async def send_event(self, request: pb.SendEventRequest, /) -> pb.Event: ...
    async def list_events(self, request: pb.ListEventsRequest, /) -> pb.ListEventsResponse: ...
    async def get_event(self, request: pb.GetEventRequest, /) -> pb.Event: ...
    async def redispatch_event(self, request: pb.RedispatchEventRequest, /) -> pb.Event: ...
    async def list_triggers(self, request: pb.ListTriggersRequest, /) -> pb.ListTriggersResponse: ...
    async def test_trigger(self, request: pb.TestTriggerRequest, /) -> pb.TestTriggerResponse: ...
    async def set_value(self, request: pb.SetValueRequest, /) -> pb.StoredValue: ...
    async def delete_value(self, request: pb.GetValueRequest, /) -> pb.DeleteValueResponse: ...
    async def list_values(self, request: pb.ListValuesRequest, /) -> pb.ListValuesResponse: ...
    async def invite_host(self, request: pb.InviteHostRequest, /) -> pb.InviteHostResponse: ...
    async def list_connections(self, request: pb.ListConnectionsRequest, /) -> pb.ListConnectionsResponse: ...
    async def put_connection(self, request: pb.PutConnectionRequest, /) -> pb.Connection: ...
    async def delete_connection(self, request: pb.DeleteConnectionRequest, /) -> pb.DeleteConnectionResponse: ...
    async def list_projects(self, request: pb.ListProjectsRequest, /) -> pb.ListProjectsResponse: ...
    async def delete_project(self, request: pb.DeleteProjectRequest, /) -> pb.DeleteProjectResponse: ...
    async def list_builds(self, request: pb.ListBuildsRequest, /) -> pb.ListBuildsResponse: ...
    async def list_deployments(self, request: pb.ListDeploymentsRequest, /) -> pb.ListDeploymentsResponse: ...
    async def roll_back(self, request: pb.RollBackRequest, /) -> pb.DeployResponse: ...
    async def deactivate(self, request: pb.DeactivateRequest, /) -> pb.Deployment: ...
    async def collect_garbage(self, request: pb.CollectGarbageRequest, /) -> pb.CollectGarbageResponse: ...
    def export_session(self, request: pb.GetSessionRequest, /) -> AsyncIterator[BlobChunk]: ...
    async def import_session(self, chunks: AsyncIterable[BlobChunk], /) -> pb.Session: ...
    async def create_token(self, request: pb.CreateTokenRequest, /) -> pb.CreateTokenResponse: ...
    async def list_tokens(self, request: pb.ListTokensRequest, /) -> pb.ListTokensResponse: ...
    async def revoke_token(self, request: pb.RevokeTokenRequest, /) -> pb.RevokeTokenResponse: ...
    async def list_hosts(self, request: pb.ListHostsRequest, /) -> pb.ListHostsResponse: ...
    async def drain_host(self, request: pb.DrainHostRequest, /) -> pb.DrainHostResponse: ...
    async def get_runner_health(self, request: pb.GetRunnerHealthRequest, /) -> RunnerHealth: ...


def waits(command: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a plain function of an `async` command."""

    @functools.wraps(command)
    def plain(*args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run(command(*args, **kwargs))

    return plain


def endpoint(home: Path) -> str | None:
    """The address of the server that serves `home`, when its process lives: its Unix socket; else None."""
    said = read_endpoint(home)
    try:
        os.kill(int(said["pid"]), 0)
        return str(said.get("socket") or said["grpc"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def address(settings: Settings, server: str | None, home: Path) -> str | None:
    """Where to dial: the named server, else the one that serves the home, else None (be the coordinator yourself)."""
    return settings.text("server", server) or endpoint(home)


@asynccontextmanager
async def remote(settings: Settings, at: str) -> AsyncIterator[Control]:
    """The coordinator at an address. Raises `PerdureError`: P0207 where none answers, P0215 it wants a token."""
    from perdure_server.app.dialling import dial

    async with await dial(at, settings.token(), settings.number("connect_timeout")) as control:
        yield control


@asynccontextmanager
async def embedded(
    home: Path, *, faults: Faults | None = None, recover: bool = False, isolation: str = "own"
) -> AsyncIterator[Control]:
    """A coordinator and a host in this process, on `home`; `recover`: with all of its unfinished sessions.

    Raises `PerdureError` P0202 when another process has the home.
    """
    from perdure_server.app.engine import Engine

    async with Engine.embedded(home, faults=faults, recover=recover, isolation=isolation) as engine:
        yield engine.control


@asynccontextmanager
async def writing(settings: Settings, server: str | None, home: str | None) -> AsyncIterator[Control]:
    """For commands that change something: a running coordinator, else an embedded one for as long as it takes.

    An embedded one leaves alone what it is not asked about: unfinished sessions wait for `resume` or a server.
    """
    place = Path(settings.text("home", home))
    at = address(settings, server, place)
    async with remote(settings, at) if at else embedded(place) as control:
        yield control


@asynccontextmanager
async def reading(settings: Settings, server: str | None, home: str | None) -> AsyncIterator[Control]:
    """For commands that only look: a running coordinator, else the home's journal, read-only."""
    place = Path(settings.text("home", home))
    at = address(settings, server, place)
    if at:
        async with remote(settings, at) as control:
            yield control
        return
    require_home(place)
    from perdure_server.cli.onlooker import onlooker

    with onlooker(place) as control:
        yield control


def require_home(home: Path) -> None:
    """Raises `PerdureError` P0110 where there is no home yet."""
    if not (home / "perdure.db").is_file():
        raise PerdureError(
            "P0110", f"there is no home of perdure at {home}", help="name one with --home, or a server with --server"
        )


def resume_line(home: Path, session_id: str) -> str:
    """The command that goes on with a session of a home."""
    where = "" if str(home) == BY_NAME["home"].default else f" --home {shlex.quote(str(home))}"
    return f"perdure resume {session_id}{where}"


def again_line(settings: Settings, server: str | None, home: str | None, session_id: str) -> str:
    """The command that stays with a session: of a running coordinator, or of a home that nobody serves just now."""
    place = Path(settings.text("home", home))
    if at := address(settings, server, place):
        return f"perdure sessions watch {session_id} --server {at}"
    return resume_line(place, session_id)

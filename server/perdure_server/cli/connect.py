"""Which coordinator a command talks to: a named server, the one that serves the home, or an embedded one."""

from __future__ import annotations

import asyncio
import functools
import json
import os
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, ParamSpec, Protocol, TypeVar

from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1.journal_pb2 import Entry, LogLine
from perdure_proto.v1.runner_pb2 import BlobChunk, FetchBlobRequest
from perdure_server.cli import render
from perdure_server.cli.settings import Settings

P = ParamSpec("P")
T = TypeVar("T")

ENDPOINT = "endpoint.json"


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
    async def list_hosts(self, request: pb.ListHostsRequest, /) -> pb.ListHostsResponse: ...


def waits(command: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a plain function of an `async` command."""

    @functools.wraps(command)
    def plain(*args: P.args, **kwargs: P.kwargs) -> T:
        return asyncio.run(command(*args, **kwargs))

    return plain


def endpoint(home: Path) -> str | None:
    """The gRPC address of the server that serves `home`, when its process lives; else None."""
    try:
        said = json.loads((home / ENDPOINT).read_text(encoding="utf-8"))
        os.kill(int(said["pid"]), 0)
    except PermissionError:
        pass  # it lives, under another user
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return str(said["grpc"])


def address(settings: Settings, server: str | None, home: Path) -> str | None:
    """Where to dial: the named server, else the one that serves the home, else None (be the coordinator yourself)."""
    return settings.text("server", server) or endpoint(home)


@asynccontextmanager
async def remote(settings: Settings, at: str) -> AsyncIterator[Control]:
    """The coordinator at an address. Raises `PerdureError` P0207 where none answers."""
    from perdure_server.rpc.client import RemoteControl

    async with RemoteControl(at, connect_timeout_s=settings.number("connect_timeout")) as control:
        yield control

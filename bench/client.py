"""What the benchmark asks of a coordinator, near or far."""

import asyncio
import io
import json
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from perdure_proto.v1 import control_pb2 as pb

from bench.place import PROJECT

T = TypeVar("T")
NAME = "bench"
ENDED = frozenset({"completed", "failed", "stopped", "diverged"})


class Control(Protocol):
    """The methods of the coordinator's `Control` that are used here."""

    async def deploy(self, parts: AsyncIterator[pb.DeployRequest], /) -> pb.DeployResponse: ...
    async def start_session(self, request: pb.StartSessionRequest, /) -> pb.StartSessionResponse: ...
    async def get_session(self, request: pb.GetSessionRequest, /) -> pb.Session: ...
    def watch_session(self, request: pb.WatchSessionRequest, /) -> AsyncIterator[pb.SessionUpdate]: ...
    async def list_sessions(self, request: pb.ListSessionsRequest, /) -> pb.ListSessionsResponse: ...
    async def replay_session(self, request: pb.ReplaySessionRequest, /) -> pb.ReplaySessionResponse: ...


async def deploy(control: Control, python: str = "") -> None:
    """Make bench/project live. python: the version that runs it; empty for the server's own."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        for file in sorted(PROJECT.glob("*.py")):
            tar.add(file, file.name)
        manifest = f'name: {NAME}\npython: "{python}"\n'.encode() if python else b""
        if manifest:
            entry = tarfile.TarInfo("perdure.yaml")
            entry.size = len(manifest)
            tar.addfile(entry, io.BytesIO(manifest))

    async def parts() -> AsyncIterator[pb.DeployRequest]:
        yield pb.DeployRequest(header=pb.DeployHeader(project=NAME))
        yield pb.DeployRequest(chunk=archive.getvalue())

    await control.deploy(parts())


async def start(control: Control, handler: str, event: object = None) -> str:
    """Start a session of `handler`; gives its id when that is durable."""
    request = pb.StartSessionRequest(project=NAME, entry_point=f"main.py:{handler}", event=json.dumps(event).encode())
    return (await control.start_session(request)).session_id


async def entries(control: Control, session_id: str) -> int:
    """How many journal entries a session has."""
    return (await control.get_session(pb.GetSessionRequest(session_id=session_id))).entries


async def result(control: Control, session_id: str) -> Any:
    """What the handler returned, once it has. Raises RuntimeError when the session ends in any other way."""
    session = await control.get_session(pb.GetSessionRequest(session_id=session_id))
    if session.state not in ENDED:
        ending = pb.WatchSessionRequest(session_id=session_id, until_done=True, without_entries=True, without_logs=True)
        async for update in control.watch_session(ending):
            if update.HasField("session"):
                session = update.session
    if session.state != "completed":
        why = f"{session.error.code} {session.error.type}: {session.error.message}"
        raise RuntimeError(f"session {session_id} of {session.entry_point} is {session.state}: {why}")
    return json.loads(session.result.data or b"null")


async def run(control: Control, handler: str, event: object = None) -> Any:
    """Start a session and wait for its result."""
    return await result(control, await start(control, handler, event))


async def at_once(count: int, most: int, work: Callable[[], Awaitable[T]]) -> Sequence[T]:
    """Do `work` `count` times, `most` of them at a time."""
    turns = asyncio.Semaphore(most)

    async def one() -> T:
        async with turns:
            return await work()

    return await asyncio.gather(*(one() for _ in range(count)))

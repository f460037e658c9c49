"""A coordinator that only listens, and answers when a test says so."""

import asyncio
import contextlib
import hashlib
import io
import tarfile
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from perdure_proto.v1 import journal_pb2 as journal
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.config import HostConfig, HostLimits, HostPatience
from perdure_runner.host.host import Host
from perdure_runner.host.link import BlobNotFoundError

HERE = Path(__file__).parent
PATIENT_S = 60.0
PATIENT = HostPatience(exit_s=PATIENT_S, start_s=PATIENT_S)
"""What ends is waited for: given up after two seconds, as usual, nobody would know how it ended."""


def tarball(**files: str) -> bytes:
    """A build of these files; two underscores in a name stand for its dot."""
    raw = io.BytesIO()
    with tarfile.open(fileobj=raw, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name.replace("__", "."))
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return raw.getvalue()


BUILD = tarball(handlers__py="def handler(event):\n    return event\n")
DIGEST = hashlib.sha256(BUILD).hexdigest()


class FakeCoordinator:
    """Keeps what the host says; with `commits`, acknowledges records as soon as they come."""

    def __init__(self, blobs: dict[str, bytes] | None = None, *, commits: bool = True) -> None:
        self.blobs = {DIGEST: BUILD} if blobs is None else blobs
        self.commits = commits
        self.heard: list[runner.FromHost] = []
        self.fetched = 0
        self.host: Any = None
        self._news = asyncio.Event()
        self._taken = 0

    def receive(self, message: runner.FromHost) -> None:
        self.heard.append(message)
        self._news.set()
        if self.commits and message.HasField("records"):
            records = message.records
            self.commit(records.session_id, records.epoch, records.records[-1].no)

    def commit(self, session_id: str, epoch: int, number: int) -> None:
        self.host.receive(runner.ToHost(committed=runner.Committed(session_id=session_id, epoch=epoch, no=number)))

    async def fetch_blob(self, digest: str) -> AsyncIterator[bytes]:
        self.fetched += 1
        await asyncio.sleep(0)
        if digest not in self.blobs:
            raise BlobNotFoundError(f"no blob {digest}")
        data = self.blobs[digest]
        for start in range(0, len(data), 1000):
            yield data[start : start + 1000]

    async def until(self, found: Callable[[runner.FromHost], bool]) -> runner.FromHost:
        """The first message, from those not yet looked at, that `found` likes."""
        async with asyncio.timeout(PATIENT_S):
            while True:
                while self._taken < len(self.heard):
                    message = self.heard[self._taken]
                    self._taken += 1
                    if found(message):
                        return message
                self._news.clear()
                await self._news.wait()

    async def next(self, kind: str) -> Any:
        """The next message of a kind; a session that is lost meanwhile is a failure."""
        message = await self.until(lambda message: message.WhichOneof("message") in {kind, "lost"})
        assert message.WhichOneof("message") == kind, message
        return getattr(message, kind)

    def records(self, session_id: str = "s") -> list[runner.Record]:
        return [
            record
            for message in self.heard
            if message.HasField("records") and message.records.session_id == session_id
            for record in message.records.records
        ]

    def start(self, entry: str, session_id: str = "s", epoch: int = 1, **fields: Any) -> None:
        """Ask for a session with an empty history."""
        given = {"build": DIGEST, "event": b"null", "key": b"k" * 32, "durable": True, "logged_index": -1} | fields
        start = runner.Start(session_id=session_id, epoch=epoch, entry_point=entry, **given)
        self.host.receive(runner.ToHost(start=start))
        self.page([], session_id=session_id, epoch=epoch)

    def page(self, entries: list[journal.Entry], session_id: str = "s", epoch: int = 1, *, last: bool = True) -> None:
        page = runner.HistoryPage(session_id=session_id, epoch=epoch, entries=entries, last=last)
        self.host.receive(runner.ToHost(history=page))

    def stop(self, kind: int, session_id: str = "s", epoch: int = 1, reason: str = "") -> None:
        stop = runner.Stop(session_id=session_id, epoch=epoch, kind=kind, reason=reason)
        self.host.receive(runner.ToHost(stop=stop))


async def pid_of(host: Host, session_id: str = "s") -> int:
    """A runner's number on this machine, which is its launcher's word, and may come after the runner's own."""
    session = host.sessions[session_id]
    async with asyncio.timeout(PATIENT_S):
        while session._process is None or not session._process.pid:
            await asyncio.sleep(0.001)
    return session._process.pid


def config(state_dir: Path, **changes: Any) -> HostConfig:
    """A host whose runners are stand-ins (host_runner.py)."""
    import perdure

    packages = {"host_runner": str(HERE / "host_runner.py"), "perdure": str(Path(perdure.__path__[0]))}
    ours: dict[str, Any] = {"main": "host_runner:main", "packages": packages, "host_id": "test", "patience": PATIENT}
    return HostConfig(state_dir=state_dir, **(ours | changes))


@contextlib.asynccontextmanager
async def running(
    state_dir: Path, coordinator: FakeCoordinator | None = None, **changes: Any
) -> AsyncIterator[tuple[Host, FakeCoordinator]]:
    """A started host and its coordinator."""
    coordinator = coordinator or FakeCoordinator()
    host = Host(config(state_dir, **changes), coordinator)
    coordinator.host = host
    await host.start()
    try:
        yield host, coordinator
    finally:
        await host.stop()


__all__ = [
    "BUILD",
    "DIGEST",
    "PATIENT",
    "FakeCoordinator",
    "HostLimits",
    "HostPatience",
    "config",
    "pid_of",
    "running",
    "tarball",
]

"""The link over gRPC: a host keeps one stream to its coordinator, for ever.

A broken stream ends every runner, because their sessions go on elsewhere by replay; then the host dials again. So
does a lease that has ended (`lease.py`).
"""

import asyncio
import random
import sys
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

import grpc
import grpc.aio
from perdure_proto.v1.runner_pb2 import FetchBlobRequest, FromHost, Welcome
from perdure_proto.v1.runner_pb2_grpc import HostsStub

from perdure_runner.host.config import MIB, HostConfig
from perdure_runner.host.dialling import Dialler, LinkBrokenError, Metadata, Plain, RefusedError
from perdure_runner.host.host import Host
from perdure_runner.host.lease import Lease
from perdure_runner.host.link import BlobNotFoundError
from perdure_runner.host.version import PROTOCOL_VERSION

T = TypeVar("T")

_QUEUE_BYTES = 32 * MIB  # waiting for the stream; beyond it the runners are not read
_MERGE_BYTES = MIB  # records of one session that wait together become one message, up to this size
_CALL_IS_OVER = (grpc.RpcError, asyncio.InvalidStateError)  # what writing to such a call raises
_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs only
_BACKOFF_S = (0.05, 1.0)  # first and longest pause between two attempts
_REFUSED_S = 60.0  # the longest for one that is refused: revoked, or a name too many
_UNKNOWN_HOST = "P0218"
_SETTLED_S = 5.0  # a stream that broke sooner is no sign that the next one will last
_MERGED = frozenset({"records", "waiting"})
_ANSWERED = frozenset({"hello", "heartbeat"})  # by a welcome, by a heartbeat
_GOODBYE_S = 5.0  # for the coordinator to take what is left, once the host is to end


class Outgoing:
    """Messages that wait for the stream: bounded in bytes by `hold`, and merged where that saves messages."""

    def __init__(self, hold: Callable[[bool], None]) -> None:
        self._messages: deque[tuple[FromHost, int]] = deque()
        self._last = False
        self._open: dict[str, FromHost] = {}  # by session: its last message, if it may grow, or be replaced
        self._bytes = 0
        self._hold = hold
        self._held = False
        self._waiting: asyncio.Future[None] | None = None

    def put(self, message: FromHost) -> None:
        """Queue a message."""
        size = message.ByteSize()
        if message.HasField("heartbeat"):
            self._messages.appendleft((message, size))  # it tells of no session, and the host's lease hangs on it
        elif not self._merge(message, size):
            self._messages.append((message, size))
        self._count(size)
        self._wake()

    def finish(self) -> None:
        """What is there now is the last."""
        self._last = True
        self._wake()

    def _wake(self) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self) -> FromHost | None:
        """Take the next message, waiting for one; None after the last. For one task only."""
        while not self._messages:
            if self._last:
                return None
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        message, _ = self._messages.popleft()
        session = _session(message)
        if self._open.get(session) is message:
            del self._open[session]
        self._count(-message.ByteSize())
        return message

    def _merge(self, message: FromHost, size: int) -> bool:
        """Make one of it and the last of its session that still waits, if nothing of the session is between them.

        Records are added to records. Of what a session waits for, only the last word counts: one that says nothing else
        would fill the queue of all.
        """
        kind, session = message.WhichOneof("message"), _session(message)
        last = self._open.pop(session, None)
        if kind not in _MERGED:
            return False
        self._open[session] = message
        if last is None or last.WhichOneof("message") != kind or _epoch(last) != _epoch(message):
            return False
        if kind == "waiting":
            self._count(-last.ByteSize())
            last.waiting.CopyFrom(message.waiting)
        elif last.ByteSize() + size <= _MERGE_BYTES:
            last.records.records.extend(message.records.records)
            last.records.sync |= message.records.sync
        else:
            return False
        self._open[session] = last
        return True

    def _count(self, size: int) -> None:
        self._bytes += size
        if not self._messages:
            self._bytes = 0  # a merged message is a few bytes smaller than its parts
        held = self._bytes > (_QUEUE_BYTES // 2 if self._held else _QUEUE_BYTES)
        if held != self._held:
            self._held = held
            self._hold(held)


def _session(message: FromHost) -> str:
    return str(getattr(getattr(message, message.WhichOneof("message") or "", None), "session_id", ""))


def _epoch(message: FromHost) -> int:
    return int(getattr(message, message.WhichOneof("message") or "").epoch)


class RemoteCoordinator:
    """The coordinator at the other end of a gRPC stream, as its host sees it. Messages between two streams are lost."""

    def __init__(self, address: str, say: Callable[[str], None], dialler: Dialler | None = None) -> None:
        self.address = address
        self._dialler = dialler or Plain(address)
        self._metadata: Metadata = ()
        self._say = say
        self._outgoing: Outgoing | None = None
        self._stub: Any = None  # HostsStub; its annotations are those of the blocking client
        self.greeted = False  # by this stream's coordinator

    def receive(self, message: FromHost) -> None:
        if self._outgoing is not None:
            self._outgoing.put(message)

    async def fetch_blob(self, digest: str) -> AsyncIterator[bytes]:
        if self._stub is None:
            raise LinkBrokenError("no stream to the coordinator")
        try:
            async for chunk in self._stub.FetchBlob(FetchBlobRequest(digest=digest), metadata=self._metadata):
                yield chunk.data
        except grpc.aio.AioRpcError as error:
            trailing: Any = error.trailing_metadata() or ()
            if code := dict(trailing).get("perdure-code"):
                raise BlobNotFoundError(error.details() or digest, code) from None
            raise LinkBrokenError(f"{error.code().name}: {error.details()}") from None

    def finish(self) -> None:
        """Say what is left to be said, then end the stream."""
        if self._outgoing is not None:
            self._outgoing.finish()

    async def serve(self, host: Host) -> None:
        """Open a stream and relay between it and the host until it breaks, or until what `finish` left is said.

        Raises:
            LinkBrokenError: it broke.
        """
        channel, self._metadata = await self._dialler.dial()
        async with channel:
            self._stub = HostsStub(channel)
            self._outgoing, lease = Outgoing(host.hold), Lease()
            host.lease = lease
            call: Any = self._stub.Attach(metadata=self._metadata)
            host.hello()
            writing = asyncio.create_task(_write(call, self._outgoing, lease))
            reading = asyncio.create_task(self._read(call, host, lease))
            keeping = asyncio.create_task(self._dialler.keep(channel))
            try:
                await asyncio.wait((writing, reading), return_when=asyncio.FIRST_COMPLETED)
                if _said_all(writing):
                    await asyncio.wait((reading,))  # until the coordinator has taken all of it
                    return
                reason = await call.details() if call.done() else ""
                refused = call.done() and await _code(call) == _UNKNOWN_HOST
            finally:
                self._outgoing = self._stub = None
                call.cancel()
                writing.cancel()
                reading.cancel()
                keeping.cancel()
                ended = await asyncio.gather(writing, reading, keeping, return_exceptions=True)
            raise RefusedError(f"{_UNKNOWN_HOST}: {reason}") if refused else _why(ended, reason)

    async def _read(self, call: Any, host: Host, lease: Lease) -> None:
        """Give the host what comes, as long as it has its lease."""
        try:
            async with asyncio.timeout(lease.left_s) as deadline:
                while (message := await call.read()) is not _EOF:
                    if message.HasField("welcome"):
                        self._greet(message.welcome, lease)
                    elif message.HasField("heartbeat"):
                        lease.answered()
                    lease.check()  # if this process was stopped, what it reads now is old
                    host.receive(message)
                    deadline.reschedule(asyncio.get_running_loop().time() + lease.left_s)
        except TimeoutError:
            raise LinkBrokenError(f"the coordinator has answered no heartbeat for {lease.length_s:.1f} s") from None
        raise LinkBrokenError(await call.details() or "the coordinator has closed the stream")

    def _greet(self, welcome: Welcome, lease: Lease) -> None:
        """Check the coordinator's version; it also says how long a lease lasts."""
        if welcome.protocol_version != PROTOCOL_VERSION:
            theirs = welcome.protocol_version
            raise LinkBrokenError(f"P0208: the coordinator speaks protocol {theirs}, this host {PROTOCOL_VERSION}")
        self._say(f"connected to {self.address} (coordinator {welcome.coordinator_id})")
        self.greeted = True
        lease.granted(welcome.heartbeat_ms / 1000)


async def run_remote(
    address: str,
    config: HostConfig,
    *,
    say: Callable[[str], None] | None = None,
    leaving: asyncio.Event | None = None,
    dialler: Dialler | None = None,
) -> None:
    """Be a host of the coordinator at `address` ("127.0.0.1:7233", "unix:/path") until drained, or cancelled.

    `say` gets one line whenever the link comes or goes; the default prints it on stderr. Once `leaving` is set, the
    host has its sessions moved elsewhere, and ends when they are gone. `dialler` opens the channels; the default shows
    nothing of itself.

    Raises:
        OSError, InterpreterNotFoundError: this machine or the configuration will not do.
    """
    say = say or _print
    link = RemoteCoordinator(address, say, dialler)
    host = Host(config, link)
    await host.start()
    dialling = asyncio.create_task(_keep_dialling(link, host, say))
    ending = asyncio.create_task(_time_to_end(host, leaving or asyncio.Event()))
    try:
        await asyncio.wait((dialling, ending), return_when=asyncio.FIRST_COMPLETED)
        if not dialling.done():
            link.finish()
            await asyncio.wait((dialling,), timeout=_GOODBYE_S)
    finally:
        failures = await _whole(_end(host, dialling, ending))
    for failure in failures:
        if isinstance(failure, Exception):
            raise failure


async def _end(host: Host, *tasks: asyncio.Task[None]) -> list[BaseException | None]:
    """End these, then the host; gives how the tasks ended."""
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    await host.stop()
    return ended


async def _whole(work: Coroutine[Any, Any, T]) -> T:
    """Do this to its end, also when cancelled meanwhile: half of it would leave containers."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise


async def _keep_dialling(link: RemoteCoordinator, host: Host, say: Callable[[str], None]) -> None:
    """Dial whenever there is no stream, until the host is drained."""
    pause, last = _BACKOFF_S[0], ""
    while True:
        link.greeted = False
        reason, began, longest = "the host has ended its stream", time.monotonic(), _BACKOFF_S[1]
        try:
            await link.serve(host)
        except LinkBrokenError as error:
            reason, longest = str(error), _REFUSED_S if isinstance(error, RefusedError) else longest
        host.closed(reason)
        if host.draining:
            return
        if link.greeted or reason != last:
            say(f"no coordinator at {link.address}: {reason}; trying again")
        settled = link.greeted and time.monotonic() - began >= _SETTLED_S
        pause, last = (_BACKOFF_S[0] if settled else min(longest, 2 * pause)), reason
        await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (spreads hosts, hides nothing)


async def _time_to_end(host: Host, leaving: asyncio.Event) -> None:
    """Wait until the host is drained; or until it is to leave, and for its sessions to be moved, within limits."""
    told = asyncio.create_task(leaving.wait())
    drained = asyncio.create_task(host.drained.wait())
    try:
        await asyncio.wait((told, drained), return_when=asyncio.FIRST_COMPLETED)
        if not drained.done():
            host.leave("the host was told to end")
            await asyncio.wait((drained,), timeout=host.patience.leave_s)
    finally:
        told.cancel()
        drained.cancel()


async def _write(call: Any, outgoing: Outgoing, lease: Lease) -> None:
    while (message := await outgoing.get()) is not None:
        if message.WhichOneof("message") in _ANSWERED:
            lease.asked()
        await call.write(message)
    await call.done_writing()


async def _code(call: Any) -> str:
    """The code of ours with which the coordinator ended a call; "" for none."""
    return str(dict(await call.trailing_metadata() or ()).get("perdure-code", ""))


def _said_all(writing: asyncio.Task[None]) -> bool:
    """Has the last message gone out? gRPC lets a call that is over cancel whoever writes to it."""
    return writing.done() and not writing.cancelled() and writing.exception() is None


def _why(ended: Iterable[BaseException | None], reason: str) -> BaseException:
    """Give the most telling of what ended the two tasks of a stream: a fault, our own words, or the call's status."""
    for error in ended:
        if isinstance(error, Exception) and not isinstance(error, _CALL_IS_OVER):
            return error
    return LinkBrokenError(reason or "the stream has ended")


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

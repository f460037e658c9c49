"""The link over gRPC: a host keeps one stream to its coordinator, for ever.

A broken stream ends every runner, because their sessions go on elsewhere by replay; then the host dials again.
"""

import asyncio
import random
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any

import grpc
import grpc.aio
from perdure_proto.v1.runner_pb2 import FetchBlobRequest, FromHost, Welcome
from perdure_proto.v1.runner_pb2_grpc import HostsStub

from perdure_runner.host.config import MIB, HostConfig
from perdure_runner.host.host import Host
from perdure_runner.host.link import BlobNotFoundError
from perdure_runner.host.version import PROTOCOL_VERSION

MESSAGE_BYTES = 80 * MIB
CHANNEL_OPTIONS: tuple[tuple[str, int], ...] = (
    ("grpc.max_send_message_length", MESSAGE_BYTES),
    ("grpc.max_receive_message_length", MESSAGE_BYTES),
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 5_000),
    ("grpc.http2.ping_timeout_ms", 5_000),  # without it a stopped peer goes unnoticed
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),  # a new channel dials at once, whatever became of those before it
)
_QUEUE_BYTES = 32 * MIB  # waiting for the stream; beyond it the runners are not read
_MERGE_BYTES = MIB  # records of one session that wait together become one message, up to this size
_HEARTBEATS_MISSED = 3
_CALL_IS_OVER = (grpc.RpcError, asyncio.InvalidStateError)  # what writing to such a call raises
_EOF: Any = grpc.aio.EOF  # type: ignore[attr-defined]  # missing in the stubs only
_WELCOME_S = 10.0
_BACKOFF_S = (0.05, 1.0)  # first and longest pause between two attempts


class LinkBrokenError(ConnectionError):
    """The stream is gone. The message says why."""


class Outgoing:
    """Messages that wait for the stream: bounded in bytes by `hold`, and merged where that saves messages."""

    def __init__(self, hold: Callable[[bool], None]) -> None:
        self._messages: deque[tuple[FromHost, int]] = deque()
        self._records: dict[str, FromHost] = {}  # by session: the last message, if it is Records that may grow
        self._bytes = 0
        self._hold = hold
        self._held = False
        self._waiting: asyncio.Future[None] | None = None

    def put(self, message: FromHost) -> None:
        """Queue a message."""
        size = message.ByteSize()
        if not self._merge(message, size):
            self._messages.append((message, size))
        self._count(size)
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)

    async def get(self) -> FromHost:
        """Take the next message, waiting for one. For one task only."""
        while not self._messages:
            self._waiting = asyncio.get_running_loop().create_future()
            await self._waiting
        message, _ = self._messages.popleft()
        if message.HasField("records"):
            session = message.records.session_id
            if self._records.get(session) is message:
                del self._records[session]
        self._count(-message.ByteSize())
        return message

    def _merge(self, message: FromHost, size: int) -> bool:
        """Add records to those of the same session and epoch that still wait, if nothing of the session is between."""
        kind = message.WhichOneof("message")
        session = getattr(getattr(message, kind or "", None), "session_id", "")
        last = self._records.pop(session, None)
        if kind != "records":
            return False
        ours = message.records
        if last is None or last.records.epoch != ours.epoch or last.ByteSize() + size > _MERGE_BYTES:
            self._records[session] = message
            return False
        last.records.records.extend(ours.records)
        last.records.sync |= ours.sync
        self._records[session] = last
        return True

    def _count(self, size: int) -> None:
        self._bytes += size
        if not self._messages:
            self._bytes = 0  # a merged message is a few bytes smaller than its parts
        held = self._bytes > (_QUEUE_BYTES // 2 if self._held else _QUEUE_BYTES)
        if held != self._held:
            self._held = held
            self._hold(held)


class RemoteCoordinator:
    """The coordinator at the other end of a gRPC stream, as its host sees it. Messages between two streams are lost."""

    def __init__(self, address: str, say: Callable[[str], None]) -> None:
        self._address = address
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
            async for chunk in self._stub.FetchBlob(FetchBlobRequest(digest=digest)):
                yield chunk.data
        except grpc.aio.AioRpcError as error:
            trailing: Any = error.trailing_metadata() or ()
            if code := dict(trailing).get("perdure-code"):
                raise BlobNotFoundError(error.details() or digest, code) from None
            raise LinkBrokenError(f"{error.code().name}: {error.details()}") from None

    async def serve(self, host: Host) -> None:
        """Open a stream and relay between it and the host until it breaks.

        Raises:
            LinkBrokenError: the only way this ends, but for cancellation.
        """
        async with grpc.aio.insecure_channel(self._address, options=CHANNEL_OPTIONS) as channel:
            self._stub = HostsStub(channel)
            self._outgoing = Outgoing(host.hold)
            call: Any = self._stub.Attach()
            host.hello()
            tasks = asyncio.create_task(_write(call, self._outgoing)), asyncio.create_task(self._read(call, host))
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                reason = await call.details() if call.done() else ""
            finally:
                self._outgoing = self._stub = None
                call.cancel()
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
            raise _why(ended, reason)

    async def _read(self, call: Any, host: Host) -> None:
        """Give the host what comes, and give up when nothing does for three heartbeats."""
        loop, patience_s = asyncio.get_running_loop(), _WELCOME_S
        try:
            async with asyncio.timeout(patience_s) as deadline:
                while (message := await call.read()) is not _EOF:
                    if message.HasField("welcome"):
                        patience_s = self._greet(message.welcome)
                    host.receive(message)
                    deadline.reschedule(loop.time() + patience_s)
        except TimeoutError:
            raise LinkBrokenError(f"the coordinator said nothing for {patience_s:.1f} s") from None
        raise LinkBrokenError(await call.details() or "the coordinator has closed the stream")

    def _greet(self, welcome: Welcome) -> float:
        """Check the coordinator's version; give how many seconds of silence mean that it is gone."""
        if welcome.protocol_version != PROTOCOL_VERSION:
            theirs = welcome.protocol_version
            raise LinkBrokenError(f"P0208: the coordinator speaks protocol {theirs}, this host {PROTOCOL_VERSION}")
        self._say(f"connected to {self._address} (coordinator {welcome.coordinator_id})")
        self.greeted = True
        return _HEARTBEATS_MISSED * welcome.heartbeat_ms / 1000 or _WELCOME_S


async def run_remote(address: str, config: HostConfig, *, say: Callable[[str], None] | None = None) -> None:
    """Be a host of the coordinator at `address` ("127.0.0.1:7233", "unix:/path") until cancelled.

    `say` gets one line whenever the link comes or goes; the default prints it on stderr.

    Raises:
        OSError, InterpreterNotFoundError: this machine or the configuration will not do.
    """
    say = say or _print
    link = RemoteCoordinator(address, say)
    host = Host(config, link)
    await host.start()
    pause, last = _BACKOFF_S[0], ""
    try:
        while True:
            link.greeted = False
            reason = ""
            try:
                await link.serve(host)
            except LinkBrokenError as error:
                reason = str(error)
            host.closed(reason)
            if link.greeted or reason != last:
                say(f"no coordinator at {address}: {reason}; trying again")
            pause, last = (_BACKOFF_S[0] if link.greeted else min(_BACKOFF_S[1], 2 * pause)), reason
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 (spreads hosts, hides nothing)
    finally:
        await host.stop()


async def _write(call: Any, outgoing: Outgoing) -> None:
    while True:
        await call.write(await outgoing.get())


def _why(ended: Iterable[BaseException | None], reason: str) -> BaseException:
    """Give the most telling of what ended the two tasks of a stream: a fault, our own words, or the call's status."""
    for error in ended:
        if isinstance(error, Exception) and not isinstance(error, _CALL_IS_OVER):
            return error
    return LinkBrokenError(reason or "the stream has ended")


def _print(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

"""Those who come and say nothing (c09, c09b, c09c, c10, c17): they are shown out, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import grpc
import pytest
from coordinator_support import World
from doors_support import PATIENCE_S, Doors, Stream, bearer, control_of, hello, hosts_of, open_doors
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1.runner_pb2 import Heartbeat, ToHost
from perdure_server.rpc import guard as guard_module
from perdure_server.rpc import hosts as hosts_module
from perdure_server.rpc.channel import Patience, open_channel
from perdure_server.rpc.client import RemoteControl
from perdure_server.security import admission

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
PART_OF_HEADERS = b"\x00\x01\x00\x01\x04\x00\x00\x00\x01\x83\x86"  # 2 bytes of the 256 that it says
MANY = 40
HASTE = Patience(handshake_ms=500, idle_ms=1_000, connections=60)


@pytest.fixture(name="hasty")
async def hasty_fixture(world: World, tmp_path: Path) -> AsyncIterator[Doors]:
    """Doors that end what is slow before the test is bored; so on a slow machine clients may have to dial again."""
    async with open_doors(world, tmp_path, HASTE) as doors:
        yield doors


@contextlib.asynccontextmanager
async def dialled(address: str, count: int, say: bytes) -> AsyncIterator[list[asyncio.StreamReader]]:
    """So many connections that each say one thing, and then nothing."""
    host, _, port = address.rpartition(":")
    writers: list[asyncio.StreamWriter] = []
    readers: list[asyncio.StreamReader] = []
    try:
        for _ in range(count):
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(say)
            readers.append(reader)
            writers.append(writer)
        yield readers
    finally:
        for writer in writers:
            writer.transport.abort()


async def shown_out(readers: Iterable[asyncio.StreamReader]) -> bool:
    """Does the server end all of them?"""
    async with asyncio.timeout(PATIENCE_S):
        for reader in readers:
            with contextlib.suppress(ConnectionError):
                while await reader.read(1 << 16):
                    pass
    return True


@pytest.mark.parametrize(
    "say",
    [b"", PREFACE[:10], PREFACE + SETTINGS, PREFACE + SETTINGS + PART_OF_HEADERS],
    ids=["silent", "half", "whole", "slow"],
)
@pytest.mark.parametrize("door", ["loopback", "tls", "hosts"])
async def test_connections_without_a_call_are_ended(hasty: Doors, door: str, say: bytes) -> None:
    """c09: silent, with half an HTTP/2 preface, and with all of it; clients are served the while."""
    async with dialled(getattr(hasty, door), MANY, say) as readers:
        await served(hasty)
        assert await shown_out(readers)


async def test_there_is_room_for_so_many_connections_only(hasty: Doors) -> None:
    """Those beyond the limit are closed at once; when the others are gone, clients are served again."""
    async with dialled(hasty.loopback, HASTE.connections + MANY, PREFACE + SETTINGS) as readers:
        assert await shown_out(readers)
    await served(hasty)


async def served(doors: Doors) -> None:
    async with RemoteControl(doors.loopback, token=await doors.token("read"), connect_timeout_s=PATIENCE_S) as client:
        await client.list_hosts(cpb.ListHostsRequest())


async def test_streams_without_a_hello_are_few_and_short(
    doors: Doors, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """c10: those of one peer that say nothing are ended; of 100 at once eight may wait, and the others are refused."""
    metadata, room = bearer(await doors.token("admin")), hosts_module.SILENT_OF_ONE
    with monkeypatch.context() as hasty:
        hasty.setattr(hosts_module, "HELLO_TIMEOUT_S", 0.05)
        async with open_channel(doors.loopback) as channel:
            calls = [hosts_of(channel).Attach(metadata=metadata) for _ in range(room)]
            assert {await Stream.ended_by(call) for call in calls} == {(grpc.StatusCode.INVALID_ARGUMENT, "P0702")}
    async with Stream(open_channel(doors.loopback), metadata) as honest:
        assert (await honest.greet()).HasField("welcome")
    monkeypatch.setattr(hosts_module, "HELLO_TIMEOUT_S", 10 * PATIENCE_S)
    async with contextlib.AsyncExitStack() as stack:
        calls = []
        for _ in range(10):
            stream = await stack.enter_async_context(Stream(open_channel(doors.loopback), metadata))
            calls += [stream.call, *(hosts_of(stream.channel).Attach(metadata=metadata) for _ in range(9))]
        ends = [asyncio.create_task(Stream.ended_by(call)) for call in calls]
        await world.until(lambda: sum(end.done() for end in ends) >= 100 - room)
        refused = [end.result() for end in ends if end.done()]
    await asyncio.gather(*ends)
    assert refused == [(grpc.StatusCode.RESOURCE_EXHAUSTED, "P0221")] * (100 - room)


async def test_a_call_whose_request_does_not_come_ends(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow on purpose: strangers that begin as many calls as strangers may have do not keep others out for long."""
    async with open_channel(doors.loopback) as channel:
        ask = channel.stream_stream("/perdure_proto.v1.Control/GetVersion")
        with monkeypatch.context() as hasty:
            hasty.setattr(guard_module, "REQUEST_TIMEOUT_S", 0.05)
            slow = [ask() for _ in range(admission.CALLS_OF_STRANGERS)]
            assert {await Stream.ended_by(call) for call in slow} == {(grpc.StatusCode.INVALID_ARGUMENT, "P0702")}
        await control_of(channel).GetVersion(cpb.GetVersionRequest())


async def test_one_peer_has_so_many_calls_only(doors: Doors, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watching keeps a call open; the next one of the same token is told why it is refused, another token is served."""
    monkeypatch.setattr(admission, "CALLS_OF_ONE", 3)
    await world.start("s")
    greedy, other = await doors.token("read"), await doors.token("read")
    async with doors.client(greedy) as client, doors.client(other) as neighbour:
        watching = [client.watch_session(cpb.WatchSessionRequest(session_id="s")) for _ in range(3)]
        for each in watching:
            await anext(each)
        with pytest.raises(Exception, match="3 calls open") as caught:
            await client.list_hosts(cpb.ListHostsRequest())
        assert getattr(caught.value, "code", "") == "P0221"
        await neighbour.list_hosts(cpb.ListHostsRequest())
        await watching[0].aclose()  # type: ignore[attr-defined]  # an async generator
        async with asyncio.timeout(PATIENCE_S):
            while True:
                with contextlib.suppress(Exception):
                    await client.list_hosts(cpb.ListHostsRequest())
                    break
        for each in watching:
            await each.aclose()  # type: ignore[attr-defined]  # an async generator


async def test_a_peer_that_reads_nothing_is_bounded(doors: Doors, world: World) -> None:
    """c17: whoever never reads its answers holds one window of them; the coordinator does not wait for it."""
    metadata = bearer(await doors.token("admin"))
    async with Stream(open_channel(doors.loopback), metadata) as deaf:
        await deaf.call.write(hello("deaf", capacity=1))
        await world.until(lambda: list(world.coordinator.hosts))
        connection = next(iter(world.coordinator.hosts))
        for _ in range(60_000):
            connection.send(ToHost(heartbeat=Heartbeat(at_us=1)))
        await world.until(lambda: connection.closed)
        async with Stream.at(doors.socket) as hearing:
            assert (await hearing.greet("hearing")).HasField("welcome")


async def test_no_caller_is_counted_for_ever(doors: Doors) -> None:
    """What is counted for limits is forgotten with the call."""
    async with open_channel(doors.loopback) as channel:
        for _ in range(2 * admission.CALLS_OF_STRANGERS):
            await control_of(channel).GetVersion(cpb.GetVersionRequest())

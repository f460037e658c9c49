"""The border: a real gRPC server and client on a Unix socket, errors there and back, hosts good and bad."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import grpc
import pytest
from coordinator_support import BUILD, FakeHost, World, refused
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_proto.v1.runner_pb2 import FromHost, ToHost
from perdure_proto.v1.runner_pb2_grpc import HostsStub
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError, Problems
from perdure_server.rpc import hosts as hosts_module
from perdure_server.rpc import outbox as outbox_module
from perdure_server.rpc.channel import open_channel
from perdure_server.rpc.client import RemoteControl
from perdure_server.rpc.errors import WHOLE, status_of
from perdure_server.rpc.outbox import MAX_MESSAGES, Outbox
from perdure_server.rpc.server import GrpcServer


@pytest.fixture(name="world")
async def world_fixture(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path, [("activity", "a")], Settings(host_timeout_s=1e9))
    await world.begin()
    yield world
    await world.coordinator.close()
    world.store.close()


@pytest.fixture(name="address")
async def address_fixture(world: World, tmp_path: Path) -> AsyncIterator[str]:
    server = GrpcServer(world.coordinator, world.control, [f"unix:{tmp_path}/s", "127.0.0.1:0"])
    yield (await server.start())[0]
    await server.stop(0)


async def test_a_client_asks_and_follows(world: World, address: str) -> None:
    FakeHost(world)
    async with RemoteControl(address) as control:
        assert (await control.get_version(cpb.GetVersionRequest(protocol_version=1))).protocol_version == 1
        await control.start_session(cpb.StartSessionRequest(session_id="s", build_id=BUILD, entry_point="m.py:f"))
        updates = [u async for u in control.watch_session(cpb.WatchSessionRequest(session_id="s", until_done=True))]
        assert updates[-1].session.state == "completed"
        entries = [e async for e in control.get_history(cpb.GetHistoryRequest(session_id="s", with_data=True))]
        assert [e.outcome.data for e in entries] == [b"", b"1"]
        with refused("P0204"):
            await control.get_session(cpb.GetSessionRequest(session_id="x"))
        with refused("P0204"):
            await anext(control.get_logs(cpb.GetLogsRequest(session_id="x", follow=True)))


async def test_nobody_there_is_p0207_and_names_the_address() -> None:
    async with RemoteControl("127.0.0.1:1", connect_timeout_s=0.2) as control:
        with pytest.raises(PerdureError, match=r"127\.0\.0\.1:1") as caught:
            await control.list_hosts(cpb.ListHostsRequest())
    assert caught.value.code == "P0207"


async def test_an_error_arrives_whole(world: World, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = PerdureError(
        "P0103", "no such thing: ünïcode", help="try “this”", file="a.yaml", line=3, column=7, source="x: y"
    )

    async def deploy(_parts: Any) -> Any:
        raise Problems([error, PerdureError("P0104", "a second one" * 1000)])

    monkeypatch.setattr(world.control, "deploy", deploy)

    async def parts() -> AsyncIterator[cpb.DeployRequest]:
        yield cpb.DeployRequest(header=cpb.DeployHeader(project="p"))

    async with RemoteControl(address) as control:
        with pytest.raises(Problems) as caught:
            await control.deploy(parts())
    first, second = caught.value.problems
    assert first.render() == error.render()
    assert second.code == "P0104"


def test_foreign_clients_can_read_code_and_help() -> None:
    status, details, metadata = status_of(PerdureError("P0204", "unknown session 'é'", help="look\nhere"))
    assert (status, details) == (grpc.StatusCode.NOT_FOUND, "unknown session 'é'")
    assert dict(metadata)["perdure-code"] == "P0204"
    assert dict(metadata)["perdure-help"] == "look here"


class Stream:
    """A host's stream, driven by hand."""

    def __init__(self, address: str) -> None:
        self.channel = open_channel(address)
        self.call: Any = HostsStub(self.channel).Attach()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.call.cancel()
        await self.channel.close()

    async def send(self, **message: Any) -> None:
        await self.call.write(FromHost(**message))

    async def read(self) -> ToHost:
        message = await asyncio.wait_for(self.call.read(), 60)
        assert isinstance(message, ToHost), await self.call.details()
        return message


HELLO = rpb.HostHello(protocol_version=1, host_id="h", capacity=3, pythons=["3.11"])


async def test_a_session_over_a_stream_and_its_end(world: World, address: str) -> None:
    async with Stream(address) as stream:
        await stream.send(hello=HELLO)
        assert (await stream.read()).welcome.coordinator_id == world.store.coordinator_id
        await world.start("s")
        assert (await stream.read()).start.session_id == "s"
        assert (await stream.read()).history.last
        name = {"session_id": "s", "epoch": 1}
        await stream.send(attached=rpb.Attached(pid=1, **name))
        entry = jpb.Entry(ordinal=1, kind=jpb.ENTRY_KIND_MARKER)
        await stream.send(records=rpb.Records(records=[rpb.Record(no=1, entry=entry)], sync=True, **name))
        committed = (await stream.read()).committed
        assert (committed.no, committed.seq) == (1, 1)
        await stream.send(heartbeat=rpb.Heartbeat(at_us=1))
        assert (await stream.read()).HasField("heartbeat")
    await world.until(lambda: world.state("s") == "starting")
    assert not list(world.coordinator.hosts)


async def test_of_two_processes_with_one_name_the_first_keeps_it(world: World, address: str) -> None:
    async with Stream(address) as first:
        await first.send(hello=rpb.HostHello(protocol_version=1, host_id="h", capacity=3, pid=7))
        assert (await first.read()).HasField("welcome")
        async with Stream(address) as second:
            await second.send(hello=rpb.HostHello(protocol_version=1, host_id="h", capacity=3, pid=8))
            assert "there is a host h already: " in await second.call.details()
            assert "process 7" in await second.call.details()
        async with Stream(address) as again:
            await again.send(hello=rpb.HostHello(protocol_version=1, host_id="h", capacity=3, pid=7))
            assert (await again.read()).HasField("welcome")
            assert await first.call.code() is grpc.StatusCode.UNAVAILABLE
            assert await first.call.details() == "the host has dialled in again"
            assert len(world.coordinator.hosts) == 1


async def test_a_host_has_to_say_hello_in_time(world: World, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosts_module, "HELLO_TIMEOUT_S", 0.05)
    async with Stream(address) as stream:
        assert await stream.call.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "hello" in await stream.call.details()


@pytest.mark.parametrize(
    ("first", "code"),
    [
        ({"heartbeat": rpb.Heartbeat()}, "P0702"),
        ({"hello": rpb.HostHello(protocol_version=2, host_id="h", capacity=1)}, "P0208"),
        ({"hello": rpb.HostHello(protocol_version=1)}, "P0702"),
    ],
)
async def test_hosts_that_make_no_sense_are_told_why(
    world: World, address: str, first: dict[str, Any], code: str
) -> None:
    async with Stream(address) as stream:
        await stream.send(**first)
        assert await stream.call.code() is not grpc.StatusCode.OK
        assert dict(await stream.call.trailing_metadata())["perdure-code"] == code


async def test_blobs_come_in_pieces_and_unknown_ones_have_a_code(world: World, address: str) -> None:
    data = bytes(range(256)) * 4000
    digest = world.blobs.put(data)
    async with open_channel(address) as channel:
        fetch: Any = HostsStub(channel).FetchBlob
        chunks = [chunk.data async for chunk in fetch(rpb.FetchBlobRequest(digest=digest))]
        assert b"".join(chunks) == data
        assert len(chunks) > 1
        for name, code in (("0" * 64, "P0209"), ("../../etc/passwd", "P0212")):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                async for _ in fetch(rpb.FetchBlobRequest(digest=name)):
                    pass
            assert dict(caught.value.trailing_metadata() or ())["perdure-code"] == code


async def test_an_address_in_use_is_p0203(world: World, address: str, tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda _r, _w: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    for where in (f"127.0.0.1:{port}", address):
        with refused("P0203"):
            await GrpcServer(world.coordinator, world.control, [where]).start()
    taken.close()


async def test_an_outbox_melts_acknowledgements_and_cuts_a_host_that_does_not_read() -> None:
    outbox = Outbox()
    written: list[ToHost] = []
    for no in (1, 2, 3):
        outbox.receive(ToHost(committed=rpb.Committed(session_id="s", epoch=1, no=no, seq=no)))
    outbox.receive(ToHost(committed=rpb.Committed(session_id="t", epoch=1, no=1)))

    async def write(message: ToHost) -> None:
        written.append(message)

    task = asyncio.create_task(outbox.write_all(write))
    while len(written) < 2:
        await asyncio.sleep(0)
    outbox.receive(ToHost(committed=rpb.Committed(session_id="s", epoch=1, no=4)))
    while len(written) < 3:
        await asyncio.sleep(0)
    assert [(m.committed.session_id, m.committed.no) for m in written] == [("s", 3), ("t", 1), ("s", 4)]
    task.cancel()
    for _ in range(MAX_MESSAGES + 1):
        outbox.receive(ToHost(heartbeat=rpb.Heartbeat()))
    assert outbox.closed_because == "the host reads too slowly"


@pytest.mark.parametrize("slow", [False, True])
async def test_a_write_that_waits_for_ever_ends_with_the_outbox(slow: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that reads nothing was never cut once its window was full: what it was told then was lost."""
    monkeypatch.setattr(outbox_module, "LAST_WORDS_S", 60.0 if slow else 0.01)
    outbox, began = Outbox(), asyncio.Event()

    async def write(_message: ToHost) -> None:
        began.set()
        await asyncio.Event().wait()

    writing = asyncio.create_task(outbox.write_all(write))
    outbox.receive(ToHost(heartbeat=rpb.Heartbeat()))
    await began.wait()
    if slow:
        for _ in range(MAX_MESSAGES + 1):
            outbox.receive(ToHost(heartbeat=rpb.Heartbeat()))
    else:
        outbox.closed("it was revoked")
    async with asyncio.timeout(30):
        await asyncio.wait([writing])
    assert outbox.closed_because == ("the host reads too slowly" if slow else "it was revoked")


async def test_history_waits_for_room() -> None:
    outbox = Outbox()
    large = jpb.Entry(outcome=jpb.Payload(data=b"x" * 20_000_000))
    for _ in range(2):
        outbox.receive(ToHost(history=rpb.HistoryPage(entries=[large])))
    draining = asyncio.create_task(outbox.drain())
    await asyncio.sleep(0)
    assert not draining.done()

    async def write(_message: ToHost) -> None:
        await asyncio.sleep(0)

    writer = asyncio.create_task(outbox.write_all(write))
    await asyncio.wait_for(draining, 60)
    writer.cancel()


def test_of_very_many_problems_those_are_packed_that_fit_and_no_others() -> None:
    """20,000 of a manifest held the coordinator's loop up for minutes."""
    asked: list[int] = []

    class One(PerdureError):
        def __init__(self, number: int) -> None:
            super().__init__("P0102", f"unknown key {number}")
            self.number = number

        def __getattribute__(self, name: str) -> object:
            if name == "source":
                asked.append(super().__getattribute__("number"))
            return super().__getattribute__(name)

    problems = Problems(One(number) for number in range(20_000))
    asked.clear()
    told = dict(status_of(problems)[2])[WHOLE]
    assert 5_000 < len(told) < 6_100
    assert [each["message"] for each in json.loads(told)[:2]] == ["unknown key 0", "unknown key 1"]
    assert len(set(asked)) == len(json.loads(told)) + 1

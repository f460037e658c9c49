"""What a host says (c01 again, c11, c15, c16, c18): only of its own sessions, in order, once, and within limits."""

from __future__ import annotations

from typing import Any

import grpc
import pytest
from coordinator_support import World
from doors_support import Doors, Stream
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.rpc.client import RemoteControl


def marker(no: int, ordinal: int) -> rpb.Record:
    return rpb.Record(no=no, entry=jpb.Entry(ordinal=ordinal, kind=jpb.ENTRY_KIND_MARKER))


async def begun(world: World, stream: Stream, session_id: str = "s") -> dict[str, Any]:
    """A session that runs on this stream: what every message of it begins with."""
    await world.start(session_id)
    name = {"session_id": session_id, "epoch": (await stream.until("start")).epoch}
    await stream.send(attached=rpb.Attached(pid=1, **name))
    return name


async def recorded(stream: Stream, name: dict[str, Any], no: int) -> None:
    await stream.send(records=rpb.Records(records=[marker(no, no)], sync=True, **name))
    assert (await stream.until("committed")).no == no


@pytest.mark.parametrize("no", [0, 1, 3, 2**63], ids=["none", "replayed", "skipped", "far"])
async def test_records_out_of_order_end_the_runner_and_change_nothing(doors: Doors, world: World, no: int) -> None:
    """c15: the number of a record is the next one, or the runner is killed and the session goes on elsewhere."""
    async with Stream.at(doors.socket) as stream:
        await stream.greet()
        name = await begun(world, stream)
        await recorded(stream, name, 1)
        await stream.send(records=rpb.Records(records=[marker(no, 2)], sync=True, **name))
        stop = await stream.until("stop")
        assert (stop.session_id, stop.kind, stop.epoch) == ("s", rpb.STOP_KIND_KILL, name["epoch"])
        assert world.kinds("s") == "M"


async def test_done_twice_is_done_once(doors: Doors, world: World) -> None:
    """c16: the second end, with another result, reaches nobody."""
    async with Stream.at(doors.socket) as stream:
        await stream.greet()
        name = await begun(world, stream)
        for result in (b"1", b"2"):
            payload = jpb.Payload(encoding=jpb.ENCODING_JSON, data=result)
            await stream.send(done=rpb.Done(no=1, state=rpb.DONE_STATE_COMPLETED, result=payload, **name))
        await stream.until("committed")
        await stream.send(heartbeat=rpb.Heartbeat(at_us=1))
        await stream.until("heartbeat")
    assert (await world.session("s")).result.data == b"1"


@pytest.mark.parametrize("epochs", [0, 1, -1, 2**60], ids=["same epoch", "next", "last", "far"])
async def test_a_host_cannot_speak_for_anothers_session(doors: Doors, world: World, epochs: int) -> None:
    """c01, c02: it knows the id, and even the epoch; its words are not heard, and the session's own are."""
    async with Stream.at(doors.socket) as owner, Stream.at(doors.socket) as thief:
        await owner.greet("owner")
        name = await begun(world, owner)
        await recorded(owner, name, 1)
        await thief.greet("thief", capacity=1)
        forged = name | {"epoch": max(0, name["epoch"] + epochs)}
        await thief.send(attached=rpb.Attached(pid=6, **forged))
        await thief.send(records=rpb.Records(records=[marker(2, 2)], sync=True, **forged))
        await thief.send(waiting=rpb.Waiting(**forged))
        await thief.send(suspended=rpb.Suspended(**forged))
        await thief.send(lost=rpb.Lost(reason="forged", code="P0603", fatal=True, **forged))
        await thief.send(done=rpb.Done(no=2, state=rpb.DONE_STATE_FAILED, **forged))
        await thief.send(heartbeat=rpb.Heartbeat(at_us=1))
        await thief.until("heartbeat")
        assert (world.state("s"), world.kinds("s")) == ("running", "M")
        await recorded(owner, name, 2)
        await owner.send(done=rpb.Done(no=3, state=rpb.DONE_STATE_COMPLETED, **name))
        assert (await world.completed("s")).state == "completed"


async def test_a_session_that_is_not_here_has_no_runner(doors: Doors, world: World) -> None:
    """c03: guessed ids are answered with a kill of that runner, nothing else."""
    async with Stream.at(doors.socket) as stream:
        await stream.greet()
        for guess in ("ses_1", "s", "", "../x", "\x00"):
            await stream.send(records=rpb.Records(session_id=guess, epoch=1, records=[marker(1, 1)], sync=True))
            stop = await stream.until("stop")
            assert (stop.session_id, stop.kind) == (guess, rpb.STOP_KIND_KILL)
    assert not world.coordinator.actors


async def test_a_flood_of_output_ends_at_the_sessions_limit(doors: Doors, world: World) -> None:
    """c11: 8 MiB of lines from a host, of which the session's limit (1000 bytes here) is kept."""
    async with Stream.at(doors.socket) as stream:
        await stream.greet()
        name = await begun(world, stream)
        lines = [jpb.LogLine(ordinal=1, index=n, stream=jpb.STREAM_STDOUT, text="x" * 1000) for n in range(8000)]
        for first in range(0, len(lines), 1000):
            records = [rpb.Record(no=n + 1, log=lines[n]) for n in range(first, first + 1000)]
            await stream.send(records=rpb.Records(records=records, sync=True, **name))
        await stream.until("stop")
    assert world.store.log_bytes("s") < 3000


async def test_frames_that_are_not_known_change_nothing(doors: Doors, world: World) -> None:
    """c18: an empty message, a field of the future, a second hello with another name."""
    async with Stream.at(doors.socket) as stream:
        await stream.greet()
        name = await begun(world, stream)
        await stream.send()
        future = rpb.FromHost.FromString(b"\xfa\x07\x03abc")
        await stream.call.write(future)
        await recorded(stream, name, 1)
        await stream.send(records=rpb.Records(records=[rpb.Record(no=2)], sync=True, **name))
        assert (await stream.until("stop")).session_id == "s"


async def test_a_host_cannot_change_its_name(doors: Doors, world: World) -> None:
    async with Stream.at(doors.socket) as stream:
        await stream.greet("one")
        await stream.send(hello=rpb.HostHello(protocol_version=1, host_id="two", capacity=9))
        assert await stream.ended() == (grpc.StatusCode.INVALID_ARGUMENT, "P0702")
    await world.until(lambda: not list(world.coordinator.hosts))


async def test_a_client_that_reads_nothing_costs_little(doors: Doors, world: World) -> None:
    """c17: what a watcher does not read is bounded by flow control, and the coordinator goes on."""
    async with Stream.at(doors.socket) as stream, RemoteControl(doors.socket) as client:
        await stream.greet()
        name = await begun(world, stream)
        watching = client.watch_session(cpb.WatchSessionRequest(session_id="s"))
        await anext(watching)
        for no in range(1, 51):
            await recorded(stream, name, no)
        await stream.send(done=rpb.Done(no=51, state=rpb.DONE_STATE_COMPLETED, **name))
        assert (await world.completed("s")).entries == 50

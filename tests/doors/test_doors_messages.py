"""What is sent (c04 to c08, c12 to c14, c19): never unpickled, bounded before it is parsed, harmless when shown."""

from __future__ import annotations

import json
import pickle
from typing import Any

import grpc
import pytest
from coordinator_support import FakeHost, World
from doors_support import Doors, Stream, bearer, control_of, hello, hosts_of, status
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.core import jsontext
from perdure_server.rpc.channel import open_channel
from perdure_server.rpc.client import RemoteControl
from perdure_server.security.needs import MIB, NEEDS

START = "/perdure_proto.v1.Control/StartSession"
UNPICKLED: list[str] = []


class Bomb:
    """Tells when it is unpickled."""

    def __reduce__(self) -> Any:
        return UNPICKLED.append, ("here",)


async def alive(doors: Doors) -> bool:
    """Does the coordinator still answer, by every door of clients?"""
    token = await doors.token("read")
    for address, authority in ((doors.socket, b""), (doors.loopback, b""), (doors.tls, doors.authority)):
        async with RemoteControl(address, token=token, authority=authority) as client:
            await client.list_hosts(cpb.ListHostsRequest())
    return True


async def test_a_pickle_stays_bytes(doors: Doors, world: World) -> None:
    """c04: a result that would run code when unpickled is stored and shown by its preview."""
    payload = jpb.Payload(encoding=jpb.ENCODING_PICKLE, data=pickle.dumps(Bomb()), preview="a bomb")
    async with Stream.at(doors.socket) as stream:
        await stream.greet()
        await world.start("s")
        name = {"session_id": "s", "epoch": (await stream.until("start")).epoch}
        await stream.send(attached=rpb.Attached(pid=1, **name))
        entry = jpb.Entry(ordinal=1, kind=jpb.ENTRY_KIND_MARKER, outcome=payload)
        await stream.send(records=rpb.Records(records=[rpb.Record(no=1, entry=entry)], sync=True, **name))
        await stream.send(done=rpb.Done(no=2, state=rpb.DONE_STATE_COMPLETED, result=payload, **name))
        await stream.until("committed")
    session = await world.completed("s")
    async with RemoteControl(doors.socket) as client:
        assert (await client.get_session(cpb.GetSessionRequest(session_id="s"))).result.preview == "a bomb"
        request = cpb.GetHistoryRequest(session_id="s", with_data=True)
        assert [e.outcome.data async for e in client.get_history(request)] == [payload.data]
    assert session.state == "completed"
    assert UNPICKLED == []


async def test_a_compression_bomb_is_refused_small(doors: Doors) -> None:
    """c05: nothing compressed is taken at all, so what is small on the wire stays small."""
    bomb = cpb.StartSessionRequest(event=b'"' + b"x" * (300 * MIB) + b'"').SerializeToString()
    async with open_channel(doors.loopback) as channel:
        call = channel.unary_unary(START)(
            bomb, metadata=bearer(await doors.token("deploy")), compression=grpc.Compression.Gzip
        )
        assert (await status(call))[0] in {grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.UNIMPLEMENTED}
    assert await alive(doors)


@pytest.mark.parametrize("path", sorted(path for path, need in NEEDS.items() if need.request_bytes <= MIB))
async def test_a_large_message_is_refused_where_small_ones_belong(doors: Doors, path: str) -> None:
    """c06: by the limit of the very rpc, and by whoever may call it."""
    need = NEEDS[path]
    raw = b"\x0a" + b"\xff" * need.request_bytes  # a field that goes on for ever: it is not even parsed
    if path.endswith(("Join", "Renew")):
        address, authority = doors.tls, doors.authority
    else:
        address, authority = doors.socket, b""
    async with open_channel(address, authority) as channel:
        code, told = await status(channel.unary_stream(path)(raw))
    if path.endswith("Renew"):
        assert code is grpc.StatusCode.UNIMPLEMENTED
    else:
        assert (code, told) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "P0221")


async def test_strangers_are_refused_before_their_message_is_read(doors: Doors) -> None:
    """c06 again: 70 MiB from somebody without a token are not waited for."""
    async with open_channel(doors.loopback) as channel:
        for path in (START, "/perdure_proto.v1.Hosts/Attach", "/perdure_proto.v1.Hosts/FetchBlob"):
            call = channel.unary_stream(path)(b"\x00" * (70 * MIB))
            assert await status(call) == (grpc.StatusCode.PERMISSION_DENIED, "P0215")


async def test_more_than_any_message_is_cut_by_grpc(doors: Doors) -> None:
    async with open_channel(doors.tls, doors.authority) as channel:
        raw = b"\x00" * (9 * MIB)
        code, _ = await status(channel.unary_unary(START)(raw, metadata=bearer(await doors.token("deploy"))))
        assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert await alive(doors)


NESTED = b"".join(b"\x0a\x02" for _ in range(2000))


@pytest.mark.parametrize(
    "raw",
    [b"\xff" * 100, b"\x0a\xff\xff\xff\xff\x0f", b"\x0b" * 10_000, b"\x00", NESTED, b"\x0a\x05\xff\xfe\xfd\xfc\xfb"],
    ids=["noise", "cut", "groups", "zero", "nested", "no UTF-8"],
)
async def test_what_is_no_protobuf_gets_an_answer(doors: Doors, raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """c07, c08: malformed and deeply nested, to a unary call, to a stream of requests, and from a host."""
    async with open_channel(doors.socket) as channel:
        for path in (START, "/perdure_proto.v1.Control/Deploy", "/perdure_proto.v1.Control/WatchSession"):
            code, _ = await status(channel.unary_stream(path)(raw))
            assert code in {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND}, path
        attach = channel.stream_stream("/perdure_proto.v1.Hosts/Attach")()
        await attach.write(hello().SerializeToString())
        await attach.read()
        await attach.write(raw)
        assert await attach.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert not [record for record in caplog.records if record.exc_info], "no traceback in the server's log"
    assert await alive(doors)


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 100_000,
        b"[" * 201 + b"]" * 201,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b"[" + b",".join(b"9" * 4000 for _ in range(200)) + b"]",
        b"-" + b"1" * 1001,
        b"NaN",
        b'"' * 1_000_001,
    ],
    ids=["open", "deep", "objects", "huge integers", "long integer", "constant", "quotes"],
)
async def test_json_that_would_choke_a_parser_is_refused(doors: Doors, world: World, text: bytes) -> None:
    """c13, c14: in events and in signals; the session that waits for the signal does not notice."""
    FakeHost(world)
    await world.start("s", [("signal", "go")])
    await world.until(lambda: world.state("s") == "waiting")
    async with doors.client(await doors.token("deploy")) as client:
        for call in (
            client.start_session(cpb.StartSessionRequest(build_id="b" * 64, entry_point="m.py:f", event=text)),
            client.signal_session(cpb.SignalSessionRequest(session_id="s", name="go", payload=text)),
        ):
            with pytest.raises(Exception, match="no JSON") as caught:
                await call
            assert getattr(caught.value, "code", "") == "P0201"
    assert world.state("s") == "waiting"


@pytest.mark.parametrize("depth", [1, 4, 5, 199, 200])
def test_json_up_to_the_limits_is_taken(depth: int) -> None:
    deep = b"[" * depth + b"]" * depth
    assert json.dumps(jsontext.parse(deep)).encode() == deep
    wide = json.dumps([{"a]": ["[" * 300, '"', "\\"]}] * 300).encode()
    assert jsontext.parse(wide) == json.loads(wide)
    assert jsontext.parse(b"9" * 1000) == int("9" * 1000)
    digits = b'"' + b"1" * 5000 + b'"'
    assert jsontext.parse(digits) == "1" * 5000


async def test_a_name_that_would_forge_a_log_line_is_refused(doors: Doors, world: World) -> None:
    """c12: nothing that a host says of itself can end a line, or drive a terminal."""
    for name in ("h\nhost other has dialled in", "h\x1b[2J", "h\r", "x" * 200, "ho\u2028st", " "):
        async with Stream.at(doors.socket) as stream:
            await stream.call.write(hello(name))
            assert (await stream.ended())[1] == "P0702"
    for spoiled in (
        {"perdure_version": "1\n2"},
        {"isolation": "\x1b]0;x\x07"},
        {"pythons": ["3\n"]},
        {"labels": {"a\n": ""}},
    ):
        async with Stream.at(doors.socket) as stream:
            message = hello()
            message.hello.MergeFrom(rpb.HostHello(**spoiled))  # type: ignore[arg-type]
            await stream.call.write(message)
            assert (await stream.ended())[1] == "P0702"
    assert not list(world.coordinator.hosts)


async def test_metadata_is_bounded(doors: Doors) -> None:
    """c19: one large value, and many small ones."""
    large = (("x-bomb", "x" * 1_000_000),)
    many = tuple((f"x-{n}", "x" * 100) for n in range(2000))
    for metadata in (large, many):
        async with open_channel(doors.loopback) as channel:
            call = control_of(channel).GetVersion(cpb.GetVersionRequest(), metadata=metadata)
            assert (await status(call))[0] is not grpc.StatusCode.OK
    async with open_channel(doors.hosts) as channel:
        call = hosts_of(channel).FetchBlob(rpb.FetchBlobRequest(), metadata=large)
        assert (await status(call))[0] is not grpc.StatusCode.OK
    assert await alive(doors)

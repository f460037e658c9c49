"""Markers that are kept back: their rows are those that each would have been written as, and nothing overtakes them."""

import json
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner import marks
from perdure_runner.child import kept
from perdure_runner.child.callers import Callers
from perdure_runner.child.link import SYNC_EVERY, Link
from perdure_runner.child.patching.sites import SiteInfo
from perdure_runner.child.values import plain
from perdure_runner.child.values.codec import Codec
from perdure_runner.frames import Frame, FrameError, Parser
from perdure_runner.host import convert
from perdure_runner.host.config import HostLimits
from perdure_runner.host.fields import ProtocolError
from perdure_runner.host.outbox import MESSAGE_BYTES, Outbox

CODEC = Codec(b"k" * 32, 1 << 20)
DIGEST = bytes(range(16))
SITES = [SiteInfo("main.py", 3, 7, "time"), SiteInfo("main.py", 4, 0, None), None]
ATOMS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
TIMES = st.integers(0, 2**62)
MARKS = st.tuples(
    st.sampled_from(["main", "main.1"]),
    st.sampled_from(["time.time", "random.random"]),
    st.sampled_from(SITES),
    st.integers(1, 2**60),
    st.binary(min_size=16, max_size=16),
    TIMES,
    TIMES,
    ATOMS.filter(plain.is_short),
)


def mark(value: plain.Atom, ordinal: int = 1) -> kept.Mark:
    return "main", "time.time", SITES[0], ordinal, DIGEST, 5_000_000, 7_500_000, value


def taken_apart(frame: bytes) -> list[Frame]:
    ((header, payload),) = Parser().feed(frame)
    return list(marks.unpack(header, payload))


@given(st.lists(MARKS, min_size=1, max_size=20), st.booleans())
def test_each_row_is_what_it_would_have_been_alone(made: list[kept.Mark], sync: bool) -> None:
    records = taken_apart(kept.frame(7, made, CODEC.macs, sync=sync))
    assert [header["no"] for header, _ in records] == [*range(7, 7 + len(made))]
    assert [bool(header["sync"]) for header, _ in records] == [False] * (len(made) - 1) + [sync]
    for (header, data), (lane, function, site, ordinal, digest, began_ns, ended_ns, value) in zip(
        records, made, strict=True
    ):
        alone = CODEC.encode(value)
        place = {"file": site.file, "line": site.line, "col": site.column, "src": ""} if site else {}
        assert data == alone.data
        assert header["e"] == place | {
            "lane": lane, "fn": function, "ord": ordinal, "kind": 4, "dig": digest.hex(),
            "at": ended_ns // 1000, "dur": max(0, ended_ns - began_ns) // 1000,
            "enc": alone.encoding, "mac": alone.mac.hex(), "pv": alone.preview, "size": len(alone.data),
        }  # fmt: skip


@given(ATOMS)
@example("\\" * 48)
@example('"' * 48)
@example(-0.0)
@example(2**63)
def test_short_is_what_json_carries_in_few_bytes(value: plain.Atom) -> None:
    if plain.is_short(value):
        alone = CODEC.encode(value)
        assert (alone.encoding, len(alone.data) <= 100) == (1, True)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**63, "x" * 49, "é", "\n", b"", (), 1j])
def test_what_is_not_short_is_not_kept(value: Any) -> None:
    assert not plain.is_short(value)


@given(st.data())
def test_a_spoilt_frame_is_refused_or_says_what_a_record_may_say(data: st.DataObject) -> None:
    ((header, payload),) = Parser().feed(kept.frame(1, [mark(1.5), mark("a", 2)], CODEC.macs, sync=False))
    start = data.draw(st.integers(0, len(payload)))
    spoilt = payload[:start] + data.draw(st.binary(max_size=4)) + payload[start + data.draw(st.integers(0, 4)) :]
    key = data.draw(st.sampled_from(["n", "no", "e", "t"]))
    wrong = st.none() | st.integers(-1, 3) | st.just([]) | st.just([{}]) | st.just([{"lane": 1}, {"kind": 6}])
    changed = header | {key: data.draw(wrong)} if data.draw(st.booleans()) else header
    try:
        for record, value in marks.unpack(changed, spoilt):
            convert.add_record(runner.Records(), 1, record, value)
    except (FrameError, ProtocolError):
        pass


@pytest.mark.parametrize(
    ("value", "says"),
    [
        *((b"[1]", "no atom"), (b"{", "no JSON"), (b"\xff", "no JSON"), (b"[" * 200, "no JSON"), (b"1" * 250, "")),
        *(("1".encode(f"utf-{kind}"), "no JSON") for kind in ("16", "16-le", "16-be", "32", "8-sig")),
    ],
)
def test_a_value_that_no_runner_keeps(value: bytes, says: str) -> None:
    frame = marks.pack(1, ["{}"], [0], [1], [1], [1], [DIGEST], [DIGEST], [value], sync=False)
    if says:
        with pytest.raises(FrameError, match=says):
            taken_apart(frame)
    else:
        assert taken_apart(frame)[0][0]["e"]["pv"] == value.decode()


def test_a_marker_of_nobody_s() -> None:
    frame = marks.pack(1, ["{}"], [1], [1], [1], [1], [DIGEST], [DIGEST], [b"1"], sync=False)
    with pytest.raises(FrameError, match="do not fit"):
        taken_apart(frame)


def test_a_value_is_never_longer_than_its_column_can_say() -> None:
    with pytest.raises(struct.error):
        marks.pack(1, ["{}"], [0], [1], [1], [1], [DIGEST], [DIGEST], [b"1" * (marks.MAX_VALUE + 1)], sync=False)


def alike(count: int, head: dict[str, Any]) -> bytes:
    """A frame of that many markers of one site."""
    numbers = range(1, count + 1)
    heads, digests = [json.dumps(head)], [DIGEST] * count
    return marks.pack(1, heads, [0] * count, numbers, numbers, numbers, digests, digests, [b"1"] * count, sync=False)


def test_a_small_frame_makes_no_huge_message() -> None:
    longest = marks.MAX_COMMON // marks.MOST
    assert len(taken_apart(alike(marks.MOST, {"lane": "m", "src": "x" * (longest - 1)}))) == marks.MOST
    with pytest.raises(FrameError, match="in common"):
        taken_apart(alike(marks.MOST, {"lane": "m", "src": "x" * longest}))


@pytest.mark.parametrize("key", ["args", "dga", "names", "pv", "surprise"])
def test_markers_have_nothing_else_in_common(key: str) -> None:
    with pytest.raises(FrameError, match="no list of objects"):
        taken_apart(alike(1, {"lane": "m", key: []}))


def test_many_markers_make_several_messages() -> None:
    sent: list[runner.FromHost] = []
    outbox = Outbox("s", 1, HostLimits(), sent.append, lambda: 0.0)
    records = taken_apart(alike(marks.MOST, {"lane": "m", "src": "x" * 4000}))
    for number, (record, value) in enumerate(records * 2, 1):
        outbox.record(record | {"no": number}, value)
        outbox.weigh_last()
    outbox.flush()
    assert [record.no for message in sent for record in message.records.records] == [*range(1, 2 * marks.MOST + 1)]
    assert max(message.ByteSize() for message in sent) < 2 * MESSAGE_BYTES


# ---- the link


@pytest.fixture
def ends() -> Iterator[tuple[Link, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        link = Link(ours)
        link.macs = CODEC.macs
        yield link, theirs


def said(theirs: socket.socket) -> list[tuple[str, Any]]:
    """The frames that have come, markers taken apart: (type, number)."""
    frames = marks.expanded(Parser().feed(theirs.recv(1 << 20)))
    return [(header["t"], header.get("no")) for header, _ in frames]


SENDERS = {
    "rec": lambda link: link.record({"kind": 1}),
    "log": lambda link: link.log({"x": "a line"}),
    "wait": lambda link: link.say("wait"),
    "done": lambda link: link.done({"state": "completed"}),
}


@pytest.mark.parametrize("kind", SENDERS)
def test_nothing_overtakes_what_is_kept(ends: tuple[Link, socket.socket], kind: str) -> None:
    link, theirs = ends
    link.kept += [mark(1), mark(2, 2)]
    SENDERS[kind](link)
    assert said(theirs) == [("rec", 1), ("rec", 2), (kind, None if kind == "wait" else 3)]


def test_what_is_kept_is_owed_before_anything_outside_begins(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    assert not link.owes()
    link.kept.append(mark(1))
    assert link.owes()
    assert (link.sent, link.must_no, link.synced) == (1, 1, 0)
    link.record({"kind": 1}, sync=True)
    assert said(theirs) == [("rec", 1), ("rec", 2)]


def test_the_commit_of_many_is_asked_for_now_and_then(ends: tuple[Link, socket.socket]) -> None:
    link, theirs = ends
    asked = []
    for _ in range(2 * SYNC_EVERY // 100 + 1):
        link.kept += [mark(1)] * 100
        link.write_kept()
        asked += [header["no"] for header, _ in marks.expanded(Parser().feed(theirs.recv(1 << 20))) if header["sync"]]
    assert asked == [1100, 2100]


# ---- where a marker stands


LIBRARY = compile("def through(f, *args):\n    return f(*args)\n", "/library.py", "exec")


def test_a_place_in_user_code_is_found_from_library_code_and_remembered_for_its_own_calls() -> None:
    names: dict[str, Any] = {}
    exec(LIBRARY, names)
    callers = Callers(lambda path: path == __file__, lambda path: "main.py")
    here = callers.site(sys._getframe())
    frame = names["through"](sys._getframe, 1)
    assert here == SiteInfo("main.py", here.line, 0, None)
    assert [code for code, _ in callers.known.values()] == [frame.f_code]
    from_library = names["through"](lambda: callers.site(sys._getframe(1)))
    assert from_library.line > here.line
    assert len(callers.known) == 1


def test_there_may_be_no_user_code_around() -> None:
    assert Callers(lambda path: False, str).site(sys._getframe()) is None


def test_not_more_places_are_remembered_than_fit() -> None:
    callers = Callers(lambda path: True, str)
    for _ in range(5000):
        names: dict[str, Any] = {"sys": sys, "callers": callers}
        exec("callers.site(sys._getframe())", names)
    assert 0 < len(callers.known) < 5000

"""Frames: the same ones come out however the bytes are cut, and nothing else does any harm."""

import contextlib
import itertools
import json
import socket
import struct
import threading

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_runner.frames import MAX_FRAME, FrameError, Parser, Stream, encode

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
HEADERS = st.dictionaries(st.text(), VALUES, max_size=5)
FRAMES = st.lists(st.tuples(HEADERS, st.binary(max_size=50)), max_size=6)


def feed(parser: Parser, data: bytes, cuts: list[int]) -> list[tuple[dict, bytes]]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [frame for start, end in itertools.pairwise(edges) for frame in parser.feed(data[start:end])]


@given(FRAMES, st.lists(st.integers(min_value=0), max_size=10))
def test_any_cut_gives_the_same_frames(frames: list, cuts: list[int]) -> None:
    data = b"".join(encode(header, payload) for header, payload in frames)
    assert feed(Parser(), data, cuts) == frames


@given(FRAMES, st.lists(st.tuples(st.integers(min_value=0), st.binary(min_size=1, max_size=4))), st.binary(max_size=9))
def test_any_corruption_gives_frames_or_a_frame_error(frames: list, changes: list, more: bytes) -> None:
    data = bytearray(b"".join(encode(header, payload) for header, payload in frames) + more)
    for where, what in changes:
        where %= len(data) + 1
        data[where : where + len(what)] = what
    parser = Parser(max_frame=500, max_header=300)
    with contextlib.suppress(FrameError):
        for start in range(0, len(data), 7):
            for header, payload in parser.feed(bytes(data[start : start + 7])):
                assert type(header) is dict
                assert type(payload) is bytes
            assert len(parser._buffer) <= 500 + 4 + 7


@given(st.binary(max_size=200))
def test_noise_is_no_frame_or_an_error(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        Parser(max_frame=100).feed(data)


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"[]",
        b"1",
        b"null",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1} x',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 50_000,
        b'{"a":' + b"9" * 10_000 + b"}",
        '{"a":1}'.encode("utf-16"),
    ],
    ids=repr,
)
def test_a_header_that_is_no_object(header: bytes) -> None:
    with pytest.raises(FrameError):
        Parser().feed(struct.pack(">II", 4 + len(header), len(header)) + header)


@pytest.mark.parametrize(("rest", "head"), [(0, 0), (3, 0), (4, 1), (101, 0), (50, 47), (60, 51), (2**32 - 1, 0)])
def test_lengths_beyond_the_limits_are_refused_at_once(rest: int, head: int) -> None:
    with pytest.raises(FrameError):
        Parser(max_frame=100, max_header=50).feed(struct.pack(">II", rest, head))


def test_a_parser_begins_anew_after_an_error() -> None:
    parser = Parser()
    with pytest.raises(FrameError):
        parser.feed(b"\xff" * 8)
    assert parser.feed(encode({"t": "x"}, b"y")) == [({"t": "x"}, b"y")]


def test_what_utf_8_cannot_hold_becomes_a_question_mark() -> None:
    assert Parser().feed(encode({"x": "a\ud800b"})) == [({"x": "a?b"}, b"")]


def test_a_frame_too_long_is_not_made() -> None:
    with pytest.raises(FrameError):
        encode({}, bytes(MAX_FRAME))


@pytest.mark.parametrize("header", [{"a": float("nan")}, {"a": b"bytes"}, {"a": object()}])
def test_a_header_that_is_not_json_is_the_caller_s_mistake(header: dict) -> None:
    with pytest.raises((TypeError, ValueError)):
        encode(header)


def test_a_large_frame_in_many_pieces() -> None:
    payload = bytes(range(256)) * 20_000
    data = encode({"t": "rec"}, payload) + encode({"t": "next"})
    parser, frames = Parser(), []
    for start in range(0, len(data), 1 << 16):
        frames += parser.feed(data[start : start + (1 << 16)])
    assert frames == [({"t": "rec"}, payload), ({"t": "next"}, b"")]
    assert not parser._buffer


@pytest.fixture
def ends():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield Stream(ours), theirs


def test_a_stream_sends_and_receives(ends: tuple[Stream, socket.socket]) -> None:
    stream, other = ends
    stream.send({"t": "a"}, b"1")
    stream.write(encode({"t": "b"}) + encode({"t": "c"}, b"3"))
    assert Parser().feed(other.recv(1000)) == [({"t": "a"}, b"1"), ({"t": "b"}, b""), ({"t": "c"}, b"3")]
    other.sendall(encode({"t": "x"}) + encode({"t": "y"}, b"2"))
    assert stream.recv() == ({"t": "x"}, b"")
    assert stream.pending()
    assert stream.recv(timeout=0) == ({"t": "y"}, b"2")
    assert not stream.pending()


def test_a_stream_keeps_half_a_frame_over_a_timeout(ends: tuple[Stream, socket.socket]) -> None:
    stream, other = ends
    data = encode({"t": "x"}, b"payload")
    other.sendall(data[:9])
    with pytest.raises(TimeoutError):
        stream.recv(timeout=0.001)
    assert not stream.pending()
    other.sendall(data[9:])
    assert stream.recv(timeout=1) == ({"t": "x"}, b"payload")


def test_a_stream_gives_what_came_before_the_end(ends: tuple[Stream, socket.socket]) -> None:
    stream, other = ends
    other.sendall(encode({"t": "x"}))
    other.close()
    assert stream.recv() == ({"t": "x"}, b"")
    assert stream.pending()
    for _ in range(2):
        with pytest.raises(EOFError):
            stream.recv()


def test_a_stream_waits_for_a_frame_larger_than_the_socket_takes(ends: tuple[Stream, socket.socket]) -> None:
    stream, other = ends
    payload = bytes(5_000_000)
    thread = threading.Thread(target=other.sendall, args=(encode({"t": "x"}, payload),))
    thread.start()
    assert stream.recv() == ({"t": "x"}, payload)
    thread.join()


@settings(max_examples=20)
@given(HEADERS)
def test_headers_are_plain_json(header: dict) -> None:
    data = encode(header)
    _, size = struct.unpack(">II", data[:8])
    assert json.loads(data[8 : 8 + size]) == header

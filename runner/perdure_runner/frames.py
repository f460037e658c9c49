"""The frames that a runner and its host exchange on the socket between them.

A frame is `u32 length of the rest | u32 length of the header | header | payload`, big-endian; the header is a JSON
object in UTF-8 with nothing around it, the payload raw bytes. Standard library only, and pure but for `Stream`: both
ends use this module, and the host trusts nothing that arrives.
"""

import json
import json.encoder
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

MAX_FRAME = 72 << 20  # bytes after the first length: the largest value (64 MiB) and its header
MAX_HEADER = 4 << 20  # bytes of a header from a runner
MAX_HISTORY_HEADER = 32 << 20  # bytes of a header from a host: a page of history, or a start with its event

Header = dict[str, Any]
Frame = tuple[Header, bytes]

_LENGTHS = struct.Struct(">II")
_READ_BYTES = 1 << 16


class FrameError(Exception):
    """The bytes are no frame, or one beyond the limits. Nothing after them can be trusted."""


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _dumper() -> Callable[[object], str]:
    """Compact JSON with the characters themselves, not escapes, so that "replace" makes "?" of a lone surrogate."""
    encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False, allow_nan=False)
    make = getattr(json.encoder, "c_make_encoder", None)  # not in every implementation
    if make is None:
        return encoder.encode
    # What `encode` does, but it makes another of these each time, which takes longer than the frame of a record.
    chunks = make(None, encoder.default, json.encoder.encode_basestring, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


dump = _dumper()
"""A header, a part of one, or any plain data as text. Raises TypeError, ValueError: it is not JSON."""
_scan = json.JSONDecoder(parse_constant=_no_constant).scan_once  # type: ignore[attr-defined]


def encode(header: Header, payload: bytes = b"") -> bytes:
    """Give one frame's bytes.

    Text that UTF-8 cannot hold (lone surrogates) becomes "?".

    Raises:
        FrameError: the frame would be longer than `MAX_FRAME`.
        TypeError, ValueError: the header is not JSON; the caller's mistake.
    """
    return pack(dump(header), payload)


def pack(header: str, payload: bytes) -> bytes:
    """As `encode`, of a header that is JSON already."""
    head = header.encode("utf-8", "replace")
    rest = 4 + len(head) + len(payload)
    if rest > MAX_FRAME:
        raise FrameError(f"a frame of {rest} bytes is longer than {MAX_FRAME}")
    return b"".join((_LENGTHS.pack(rest, len(head)), head, payload))


class Parser:
    """Cuts a stream of bytes into frames, whatever pieces it arrives in.

    Keeps at most one unfinished frame, hence at most `max_frame` bytes and the last piece fed.
    """

    __slots__ = ("_buffer", "_max_frame", "_max_header", "_need")

    def __init__(self, max_frame: int = MAX_FRAME, max_header: int = MAX_HISTORY_HEADER) -> None:
        self._max_frame = max_frame
        self._max_header = max_header
        self._buffer = bytearray()
        self._need = 0  # bytes that the buffer must hold before it is worth looking at

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next piece and give the frames that are complete with it, in order.

        Raises:
            FrameError: not a frame; the parser starts anew, but the stream is lost.
        """
        buffer = self._buffer
        if not buffer:
            frames, used = self._cut(data)
            buffer += data[used:]
            return frames
        buffer += data
        if len(buffer) < self._need:
            return []
        try:
            frames, used = self._cut(buffer)
        except FrameError:
            self._buffer = bytearray()  # the old one cannot shrink while the traceback looks into it
            raise
        del buffer[:used]
        return frames

    def _cut(self, data: bytes | bytearray) -> tuple[list[Frame], int]:
        """Give the complete frames at the start of `data` and how many bytes they take."""
        frames: list[Frame] = []
        position, end = 0, len(data)
        self._need = 8
        with memoryview(data) as view:
            while end - position >= 8:
                rest, head = _LENGTHS.unpack_from(view, position)
                if rest > self._max_frame or head > self._max_header or head + 4 > rest:
                    raise FrameError(f"a frame of {rest} bytes with a header of {head}")
                start = position + 8
                stop = position + 4 + rest
                if stop > end:
                    self._need = stop - position
                    break
                frames.append((_header(view[start : start + head]), bytes(view[start + head : stop])))
                position = stop
        return frames, position


def _header(raw: memoryview) -> Header:
    try:
        text = str(raw, "utf-8")
        header, end = _scan(text, 0)
    except (ValueError, RecursionError, StopIteration) as error:
        raise FrameError(f"a frame's header is not JSON: {error}") from None
    if end != len(text):
        raise FrameError("a frame's header has text after its JSON")
    if type(header) is not dict:
        raise FrameError("a frame's header is not an object")
    return header


class Stream:
    """Frames on a blocking socket: the child's end.

    Not for several threads. A signal's handler must not raise while `send`, `write` or `recv` runs, or bytes are lost.
    """

    def __init__(self, sock: socket.socket, max_frame: int = MAX_FRAME, max_header: int = MAX_HISTORY_HEADER) -> None:
        self._socket = sock
        self._parser = Parser(max_frame, max_header)
        self._frames: deque[Frame] = deque()
        self._ended = False
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def send(self, header: Header, payload: bytes = b"") -> None:
        """Send one frame; blocks while the host reads nothing. Raises what `encode` does, and `OSError`."""
        self._socket.sendall(encode(header, payload))

    def write(self, encoded: bytes) -> None:
        """Send frames that are encoded already, many in one system call. Raises `OSError`."""
        self._socket.sendall(encoded)

    def recv(self, timeout: float | None = None) -> Frame:
        """Give the next frame, waiting for it `timeout` seconds at most (None: for ever).

        Raises:
            EOFError: the host is gone.
            TimeoutError: no whole frame in time; what came of it is kept.
            FrameError, OSError: the connection is of no use any more.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._frames:
            if self._ended:
                raise EOFError("the host has closed the connection")
            if deadline is not None and not self._readable(deadline - time.monotonic()):
                raise TimeoutError("no frame in time")
            self._fill()
        return self._frames.popleft()

    def pending(self) -> bool:
        """Tell whether `recv` would return, or raise `EOFError`, without waiting."""
        while not self._frames and not self._ended and self._readable(0):
            self._fill()
        return bool(self._frames) or self._ended

    def _readable(self, seconds: float) -> bool:
        return bool(self._poll.poll(max(0.0, seconds * 1000)))

    def _fill(self) -> None:
        data = self._socket.recv(_READ_BYTES)
        self._ended = not data
        self._frames.extend(self._parser.feed(data))

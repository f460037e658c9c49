"""The runner's end of its socket: the only file of the child half that talks to the host.

Everything is blocking and happens in the thread that asks: user code owns the process, so nothing reads ahead in the
background. Any thread may send; of those that wait for what the host says one reads for all (`reading`). Records are
numbered here; small ones that nobody waits for are kept back and travel with the next that must go out (see "Output
commit" in docs/explanation/architecture.md), most markers even unwritten (`kept`).
"""

from __future__ import annotations

import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable
from time import CLOCK_BOOTTIME, clock_gettime  # the functions: user code gets others from the module
from typing import Any, Final, NoReturn

from perdure_runner import frames
from perdure_runner.child import kept
from perdure_runner.child.reading import Guard, Reading
from perdure_runner.child.replay import Row

KEEP_BACK_BYTES = 32 * 1024
"""Markers are kept back until something must be sent, or until there are so many bytes of them."""
SYNC_EVERY = 1024
"""Every so many records the commit of all is asked for, even if nobody waits for it."""
READ_BYTES = 64 * 1024
"""Read at once, at most. From 128 KiB on, malloc maps and unmaps each buffer: 13 us and a page fault a read."""
UNACKED_RECORDS = 4096
"""Records on their way to the journal at which a runner stops to wait: bounds every queue behind it."""
READ_EVERY = 64
"""After so many records the socket is looked at even if nobody waits, so that acknowledgements do not fill it."""
TRUST_S = 4.0
"""An acknowledged record says that the session was this runner's when it was sent. For so long it is taken to be so
still: no coordinator gives the sessions of a silent host to others so soon (`host_timeout_s`, `Lease`)."""

Answer = tuple[dict[str, Any], bytes]
"""An `answer` frame, and its payload."""

FRAME_VERSION = 1
_ORPHANED = 69  # EX_UNAVAILABLE of sysexits.h: the host is gone


class Link:
    """A numbered, acknowledged stream of records to the host, and what the host says back."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._parser = frames.Parser()
        self._inbox: deque[tuple[dict[str, Any], bytes]] = deque()
        self._out = bytearray()
        self.resolutions: dict[tuple[str, int], Row] = {}
        """How waits ended that nobody has asked for yet, by call."""
        self.wake = -1
        """A descriptor that ends `listen`, too, when it can be read; -1: none."""
        self.sent = 0
        """Number of the last record made."""
        self._read_at = 0
        self.acked = 0
        """Number of the last record known to be durable."""
        self.synced = 0
        """Number of the last record whose commit was asked for."""
        self.must_no = 0
        """The last record that must be durable before something outside begins."""
        self.kept: Final[list[kept.Mark]] = []
        """Markers that are not numbered yet; `write_kept` is to be called when there are `kept.MOST`."""
        self.macs: kept.Macs | None = None
        """What their values are signed with, from the first of them on."""
        self._asked = 0
        """Number of the record that is to show that the session is this runner's; 0: none is on its way."""
        self._asked_at = self._ours_until = 0.0
        self.stop_reason: str | None = None
        """Why the session was asked to stop; None while nobody has said."""
        self.stop_asked = False
        """The session was asked to stop, by a frame or, which may be faster, by a signal."""
        self.guard = Guard()
        """Of frames: a signal must not cut one, or the rest of the stream were garbage."""
        self.may_read: Callable[[], bool] = lambda: True
        """Whether the thread that asks may take what has arrived though it waits for nothing."""
        self._reading = Reading(lambda: self._dispatch(*self._receive()), self.guard)
        self._asks = 0
        self._answers: dict[int, Answer | None] = {}
        """To what threads ask now, by number; None: it has not come."""
        self._sending = threading.RLock()
        self._muted = False
        self.on_suspend: Callable[[], None] = lambda: None
        """Called before the process leaves because the session is being suspended."""

    @property
    def sure(self) -> bool:
        """Is the session this runner's still? If not sure, have a record committed: another runner's are refused."""
        return _now() < self._ours_until

    def trust(self, seconds: float) -> None:
        """Be sure for so many seconds, `TRUST_S` at most."""
        self._ours_until = _now() + min(seconds, TRUST_S)

    def mute(self) -> None:
        """Say nothing any more: this process is a copy of the one whose conversation it is."""
        self._muted = True
        self._sending = threading.RLock()  # a thread that is not here may have held it

    # ---- to the host

    def hello(self) -> None:
        """Say that this process is ready for a session."""
        self._transmit(frames.encode({"t": "hello", "v": FRAME_VERSION}))

    def say(self, kind: str, **fields: object) -> None:
        """Send a frame that is no record, after everything kept back."""
        with self._sending:
            self._settle()
            self._transmit(frames.encode({"t": kind, **fields}))

    def record(
        self, row: Row, payload: bytes = b"", *, standing: str = "", sync: bool = False, keep_back: bool = False
    ) -> int:
        """Number a journal row and send it; `sync`: ask for its commit now. Returns its number.

        standing: more keys of the row, encoded already by `kept.standing`.
        """
        with self._sending:
            self._settle()
            self.sent += 1
            sync = sync or self.sent % SYNC_EVERY == 0
            text = f'{{"t":"rec","no":{self.sent},"sync":{sync:d},"e":{{{standing}{frames.dump(row)[1:]}}}'
            number = self._put(frames.pack(text, payload), sync=sync, keep_back=keep_back)
        self._read_now_and_then()
        return number

    def log(self, line: dict[str, Any]) -> int:
        """Number a line of output and send it. Returns its number."""
        self.guard.close()
        try:
            with self._sending:
                self._settle()
                self.sent += 1
                number = self._put(frames.encode({"t": "log", "no": self.sent, **line}), sync=False, keep_back=False)
            self._read_now_and_then()
        finally:
            self.guard.open()
        return number

    def done(self, fields: dict[str, Any], payload: bytes = b"") -> None:
        """Send the end of the session."""
        with self._sending:
            self._settle()
            self.sent += 1
            self._transmit(frames.encode({"t": "done", "no": self.sent, **fields}, payload))

    def write_kept(self) -> None:
        """Send the markers that are kept."""
        with self._sending:
            self._settle(keep_back=False)
        self._read_now_and_then()

    def owes(self) -> bool:
        """Must something become durable before anything outside may begin?"""
        self.settle()
        return self.acked < self.must_no

    def settle(self) -> None:
        """Number the markers that are kept."""
        if self.kept:
            with self._sending:
                self._settle()

    def _settle(self, *, keep_back: bool = True) -> None:
        if not self.kept:
            return
        assert self.macs is not None
        marks = [*self.kept]
        del self.kept[: len(marks)]  # and no more: one thread may print while another makes markers
        number = self.sent + 1
        self.sent = self.must_no = self.sent + len(marks)
        sync = (number - 1) // SYNC_EVERY < self.sent // SYNC_EVERY
        self._put(kept.frame(number, marks, self.macs, sync=sync), sync=sync, keep_back=keep_back)

    def _put(self, frame: bytes, *, sync: bool, keep_back: bool) -> int:
        if sync:
            self.synced = self.sent
            if not self._asked:
                self._asked, self._asked_at = self.sent, _now()
        if keep_back and not sync and len(self._out) + len(frame) < KEEP_BACK_BYTES:
            self._out += frame
        else:
            self._transmit(frame)
        return self.sent

    def _read_now_and_then(self) -> None:
        if self.sent - self._read_at < READ_EVERY or self._muted or not self.may_read():
            return
        self._read_at = self.sent
        self.poll()
        if self.synced - self.acked > UNACKED_RECORDS:
            self.wait_acked(self.synced - UNACKED_RECORDS // 2)

    def _transmit(self, frame: bytes) -> None:
        if self._muted:
            return
        with self._sending:
            data = bytes(self._out) + frame if self._out else frame
            self._out.clear()
            try:
                self._sock.sendall(data)
            except OSError:
                self._orphaned()

    # ---- from the host

    def wait_acked(self, no: int) -> None:
        """Return when record number `no` is durable; it, or one after it, must have asked for the commit."""
        self._reading.until(lambda: self.acked >= no)

    def wait_resolved(self, lane: str, ordinal: int, unless: Callable[[], bool], *, busy: bool = False) -> Row | None:
        """Say that the session waits for this call, and return the RESOLVED row when it comes; None if `unless` first.

        `busy`: something runs outside meanwhile, so the session must not be suspended.
        """
        key = (lane, ordinal)
        self.say("wait", waits=[key], busy=int(busy))
        self._reading.until(lambda: key in self.resolutions or unless())
        return self.resolutions.pop(key, None)

    def ask(self, operation: str, body: bytes) -> Answer:
        """Have something done that is not recorded, and wait for the answer. Any thread may, and signals may raise."""
        number = 0
        try:
            self.guard.close()
            try:
                with self._sending:
                    self._settle()
                    self._asks = number = self._asks + 1
                    self._answers[number] = None
                    self._transmit(frames.encode({"t": "ask", "id": number, "op": operation}, body))
            finally:
                self.guard.open()
            self._reading.until_interrupted(lambda: self._answers[number] is not None, self._await_readable)
        finally:
            answer = self._answers.pop(number, None)
        assert answer is not None
        return answer

    def expect(self, kind: str) -> tuple[dict[str, Any], bytes]:
        """The next frame, which must be of type `kind` (a stop may come before it)."""
        while True:
            header, payload = self._receive()
            if header["t"] == kind:
                return header, payload
            self._dispatch(header, payload)

    def poll(self) -> None:
        """Take what has arrived, without waiting."""
        self._reading.while_there_is(lambda: self._inbox or select.select([self._sock], [], [], 0)[0])

    def listen(self, timeout_s: float | None) -> None:
        """Wait for a frame, or until `wake` can be read; then take what has arrived."""
        if (
            not self._inbox
            and self._sock.fileno() not in select.select([self._sock.fileno(), self.wake], [], [], timeout_s)[0]
        ):
            return
        self.poll()

    def _await_readable(self) -> None:
        if not self._inbox:
            select.select([self._sock], [], [])

    def _receive(self) -> tuple[dict[str, Any], bytes]:
        while not self._inbox:
            try:
                data = self._sock.recv(READ_BYTES)
            except OSError:
                data = b""
            if not data:
                self._orphaned()
            self._inbox.extend(self._parser.feed(data))
        return self._inbox.popleft()

    def _dispatch(self, header: dict[str, Any], payload: bytes) -> None:
        match header["t"]:
            case "answer":
                if header["id"] in self._answers:
                    self._answers[header["id"]] = header, payload
                return
            case "ack":
                self.acked = max(self.acked, header["no"])
                if 0 < self._asked <= self.acked:
                    self._asked, self._ours_until = 0, self._asked_at + TRUST_S
            case "res":
                row: Row = header["e"]
                row["data"] = payload
                self.resolutions[row["lane"], row["ord"]] = row
            case "stop" if header["kind"] == "suspend":
                self.on_suspend()
                self.say("suspended")
                os._exit(0)
            case "stop":
                self.stop_asked, self.stop_reason = True, header.get("reason") or "stopped"
            case other:
                raise frames.FrameError(f"unexpected frame {other!r} from the host")
        if self._answers and self.wake >= 0:
            os.eventfd_write(self.wake, 1)  # the thread that asks may have read this in place of the one that listens

    def _orphaned(self) -> NoReturn:
        """The host is gone; whatever this process did since its last acknowledgement, it must do nothing more."""
        os._exit(_ORPHANED)


def _now() -> float:
    """Seconds of a clock that runs on while this process, or this machine, is stopped."""
    return clock_gettime(CLOCK_BOOTTIME)

"""What the session prints and logs: lines with a place, sent as they come, never twice.

A line's place is (ordinal, index): how many calls had begun in all lanes, and which line since then it is. Replay makes
the same lines of user code again; those up to the last place that the coordinator has stored are dropped here. What an
activity prints has a place among its own lines, that of the activity's call; the coordinator knows those it has.
"""

from __future__ import annotations

import enum
import io
import logging
import sys
import time
from collections.abc import Callable

from perdure_runner.child.blame import speaks_for_others
from perdure_runner.child.link import Link
from perdure_runner.child.place import PER_STAGE, Place

_time_ns = time.time_ns
_CUT = " ...[cut]"


class StreamKind(enum.IntEnum):
    """Where a line came from; the numbers of `Stream` in journal.proto."""

    STDOUT = 1
    STDERR = 2
    LOG = 3


class Output:
    """Numbers lines and sends those that are new."""

    def __init__(
        self,
        link: Link,
        progress: Callable[[], Place],
        logged: tuple[int, int],
        line_bytes: int,
        several: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Args:
            progress: says where user code is.
            logged: place of the last line that the coordinator has.
            line_bytes: characters of a line that are kept.
            several: whether more than one lane has made calls: then an activity may print after later calls began.
        """
        self._several = several
        self._link = link
        self._progress = progress
        self._logged = logged
        self.line_bytes = line_bytes
        self._at = (0, 0)
        self._index = -1
        self._of_activities: dict[tuple[int, int], int] = {}

    def line(self, stream: StreamKind, text: str, level: str = "") -> None:
        """One line of output, without its newline."""
        ordinal, stage, activity = self._progress()
        index = self._next_index(ordinal, stage, activity)
        if (ordinal, index) <= self._logged and not (activity and self._several()):
            return
        if len(text) > self.line_bytes:
            text = text[: self.line_bytes] + _CUT
        fields = {"o": ordinal, "i": index, "s": int(stream), "at": _time_ns() // 1000, "x": text}
        if level:
            fields["l"] = level
        if activity:
            fields["a"] = activity
        self._link.log(fields)

    def _next_index(self, ordinal: int, stage: int, activity: str) -> int:
        if activity:
            index = self._of_activities.get((ordinal, stage), stage * PER_STAGE - 1) + 1
            self._of_activities[ordinal, stage] = index
            return index
        if (ordinal, stage) != self._at:
            self._at, self._index = (ordinal, stage), stage * PER_STAGE - 1
        self._index += 1
        return self._index

    def writer(self) -> int:
        """Who writes now: the call of an activity, or 0 for user code."""
        place = self._progress()
        return place.ordinal if place.activity else 0


class SessionStream(io.TextIOBase):
    """`sys.stdout` or `sys.stderr` of a session: text in, lines out."""

    encoding = "utf-8"
    errors = "replace"
    newlines = None
    line_buffering = True
    write_through = False

    def __init__(self, output: Output, kind: StreamKind) -> None:
        self._output = output
        self._kind = kind
        self._partials: dict[int, str] = {}
        self.name = f"<{kind.name.lower()}>"
        self.buffer = _Bytes(self)

    def writable(self) -> bool:
        """Always."""
        return True

    @speaks_for_others
    def write(self, text: str) -> int:
        """Take text; every complete line is sent."""
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        writer = self._output.writer()
        *lines, partial = (self._partials.pop(writer, "") + text).split("\n")
        if partial:
            self._partials[writer] = partial
        for line in lines:
            self._output.line(self._kind, line)
        if len(partial) > self._output.line_bytes:
            self.finish()
        return len(text)

    def reconfigure(self, **_options: object) -> None:
        """Taken, as by a `TextIOWrapper`, and without effect: text comes in, lines of UTF-8 go out."""

    def finish(self) -> None:
        """Send an incomplete last line."""
        if self._partials and (partial := self._partials.pop(self._output.writer(), "")):
            self._output.line(self._kind, partial)

    def log(self, record: logging.LogRecord, text: str) -> None:
        """A record of the `logging` module that a handler writes to this stream."""
        self.finish()
        for line in text.split("\n"):
            self._output.line(StreamKind.LOG, line, record.levelname)


class _Bytes(io.RawIOBase):
    """`sys.stdout.buffer`: bytes are decoded and go the same way."""

    def __init__(self, stream: SessionStream) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    @speaks_for_others
    def write(self, data: object, /) -> int:
        raw = bytes(data)  # type: ignore[call-overload]  # any buffer
        self._stream.write(raw.decode("utf-8", "replace"))
        return len(raw)


def install(output: Output) -> tuple[SessionStream, SessionStream]:
    """Take the place of stdout and stderr, for `print` and for the handlers of `logging`. Returns both streams."""
    out, err = SessionStream(output, StreamKind.STDOUT), SessionStream(output, StreamKind.STDERR)
    sys.stdout = sys.__stdout__ = out  # type: ignore[assignment,misc]
    sys.stderr = sys.__stderr__ = err  # type: ignore[assignment,misc]
    plain_emit = logging.StreamHandler.emit

    def emit(self: logging.StreamHandler[SessionStream], record: logging.LogRecord) -> None:
        if not isinstance(self.stream, SessionStream):
            plain_emit(self, record)
            return
        try:
            self.stream.log(record, self.format(record))
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 - user code's __str__ runs here; logging's own rule is to report and go on
            self.handleError(record)

    logging.StreamHandler.emit = emit  # type: ignore[method-assign,assignment]
    return out, err

"""Waits as rows of the journal: what a row waits for, and the row that ends it."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable
from typing import Final

from perdure_proto.v1 import journal_pb2 as pb

from perdure_server.core.state import Ending, WaitPoint
from perdure_server.store import SignalRow

WAITING_KINDS: Final = frozenset({pb.ENTRY_KIND_WAIT, pb.ENTRY_KIND_RETRY})

Call = tuple[str, int]  # (lane, ordinal)
_CROSSING: Final = 1024  # ended waits that a runner may not have heard of


class OpenWaits:
    """The waits of a session that nothing has ended yet, by call."""

    def __init__(self, entries: Iterable[pb.Entry] = ()) -> None:
        self._open: dict[Call, pb.Entry] = {}
        self._ended: deque[Call] = deque(maxlen=_CROSSING)
        for entry in entries:
            self.note(entry)

    def note(self, entry: pb.Entry) -> None:
        """The next row of the journal."""
        if entry.kind in WAITING_KINDS:
            self._open[entry.lane, entry.ordinal] = entry
        elif self._open:
            self._open.pop((entry.lane, entry.ordinal), None)

    def ended(self, entry: pb.Entry) -> None:
        """`entry` ends a wait; the runner may not know of it yet."""
        self._ended.append((entry.lane, entry.ordinal))
        self.note(entry)

    def has_ended(self, lane: str, ordinal: int) -> bool:
        """Has it ended lately? What the runner says of it has crossed the news."""
        return (lane, ordinal) in self._ended

    def get(self, lane: str, ordinal: int) -> pb.Entry | None:
        return self._open.get((lane, ordinal))


def wait_point(entry: pb.Entry) -> WaitPoint:
    """What an entry of kind WAIT or RETRY waits for."""
    signals = tuple(entry.wait.names) if entry.wait.kind == pb.WAIT_KIND_SIGNAL else None
    return WaitPoint(entry.lane, entry.ordinal, entry.wait.fires_at_us, signals)


def pack(waits: Iterable[pb.Entry]) -> bytes:
    """What a suspended session waits for, for its row; why an attempt has failed is told by the journal alone."""
    packed = pb.Waits(entries=waits)
    for entry in packed.entries:
        entry.ClearField("outcome")
    return packed.SerializeToString()


def unpack(waiting: bytes) -> list[pb.Entry]:
    """What `pack` has packed; before it there was a single entry."""
    return list(pb.Waits.FromString(waiting).entries) or [pb.Entry.FromString(waiting)]


def next_of(waits: Iterable[pb.Entry]) -> pb.Entry:
    """The one of several waits that people are told: the first to end by itself, if one does."""
    return min(waits, key=lambda entry: entry.wait.fires_at_us or float("inf"))


def resolution(
    waited: pb.Entry, ending: Ending, seq: int, at_us: int, signal: SignalRow | None, reason: str = ""
) -> pb.Entry:
    """The row that ends the wait of `waited`; with the signal or the reason of the stop that ended it."""
    how = pb.Resolution(kind=ending.value)  # type: ignore[arg-type]  # the values are those of ResolutionKind
    if signal is not None:
        how.name = signal.name
        how.payload.CopyFrom(json_payload(signal.payload))
    elif reason:
        how.payload.CopyFrom(json_payload(json.dumps(reason).encode()))
    return pb.Entry(
        seq=seq,
        lane=waited.lane,
        ordinal=waited.ordinal,
        kind=pb.ENTRY_KIND_RESOLVED,
        function=waited.function,
        site=waited.site,
        attempt=waited.attempt,
        at_us=at_us,
        duration_us=max(0, at_us - waited.at_us),
        resolution=how,
    )


def json_payload(data: bytes) -> pb.Payload:
    """A payload that somebody outside made: JSON, without a digest of a runner."""
    preview = data[:200].decode("utf-8", "replace")
    return pb.Payload(encoding=pb.ENCODING_JSON, data=data, size=len(data), preview=preview)

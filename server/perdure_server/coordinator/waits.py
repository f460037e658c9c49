"""Waits as rows of the journal: what a row waits for, and the row that ends it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from perdure_proto.v1 import journal_pb2 as pb

from perdure_server.core.state import Ending, WaitPoint
from perdure_server.store import SignalRow

WAITING_KINDS: Final = frozenset({pb.ENTRY_KIND_WAIT, pb.ENTRY_KIND_RETRY})

Call = tuple[str, int]  # (lane, ordinal)


class OpenWaits:
    """The waits of a session that nothing has ended yet, by call."""

    def __init__(self, entries: Iterable[pb.Entry] = ()) -> None:
        self._open: dict[Call, pb.Entry] = {}
        for entry in entries:
            self.note(entry)

    def note(self, entry: pb.Entry) -> None:
        """The next row of the journal."""
        if entry.kind in WAITING_KINDS:
            self._open[entry.lane, entry.ordinal] = entry
        elif self._open:
            self._open.pop((entry.lane, entry.ordinal), None)

    def get(self, lane: str, ordinal: int) -> pb.Entry | None:
        return self._open.get((lane, ordinal))


def wait_point(entry: pb.Entry) -> WaitPoint:
    """What an entry of kind WAIT or RETRY waits for."""
    signals = tuple(entry.wait.names) if entry.wait.kind == pb.WAIT_KIND_SIGNAL else None
    return WaitPoint(entry.lane, entry.ordinal, entry.wait.fires_at_us, signals)


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

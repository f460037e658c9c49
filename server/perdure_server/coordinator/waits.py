"""Waits as rows of the journal: what a row waits for, and the row that ends it."""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from perdure_proto.v1 import journal_pb2 as pb

from perdure_server.core.state import Ending, WaitPoint

WAITING_KINDS: Final = frozenset({pb.ENTRY_KIND_WAIT, pb.ENTRY_KIND_RETRY})

Call = tuple[str, int]  # (lane, ordinal)
_CROSSING: Final = 1024  # ended waits that a runner may not have heard of
_GIVEN: Final = 64  # of those, ended by a signal or an event
_GIVES: Final = frozenset({pb.RESOLUTION_KIND_SIGNALLED, pb.RESOLUTION_KIND_EVENT})


@dataclass(frozen=True, slots=True)
class Given:
    """What ends a wait: a signal or an event. `payload` is JSON; `blob` is where it is, too, if it is large.

    signal: its number, if it is to be taken from those that are stored. cursor: a subscription, and the place up to
    which it has had the events now. refused: nothing can end the wait, and the payload says why.
    """

    name: str
    payload: bytes
    blob: str = ""
    signal: int | None = None
    cursor: tuple[str, int] | None = None
    refused: bool = False


class OpenWaits:
    """The waits of a session that nothing has ended yet, by call; and what ended one whose task was cancelled first."""

    def __init__(self, entries: Iterable[pb.Entry] = ()) -> None:
        self._open: dict[Call, pb.Entry] = {}
        self._ended: deque[Call] = deque(maxlen=_CROSSING)
        self._given: OrderedDict[Call, pb.Entry] = OrderedDict()
        self._left: list[pb.Entry] = []
        for entry in entries:
            self.note(entry)

    def note(self, entry: pb.Entry) -> None:
        """The next row of the journal."""
        if entry.kind in WAITING_KINDS:
            self._open[entry.lane, entry.ordinal] = entry
            return
        if self._open:
            self._open.pop((entry.lane, entry.ordinal), None)
        if entry.kind == pb.ENTRY_KIND_RESOLVED:
            self._note_given(entry)
        elif self._given and entry.kind == pb.ENTRY_KIND_SYSTEM:
            self._note_left(entry)

    def _note_given(self, entry: pb.Entry) -> None:
        if entry.resolution.kind not in _GIVES:
            return
        again = next((left for left in self._left if _same(left.resolution, entry.resolution)), None)
        if again is not None:
            self._left.remove(again)
        self._given[entry.lane, entry.ordinal] = entry
        if len(self._given) > _GIVEN:
            self._given.popitem(last=False)

    def _note_left(self, entry: pb.Entry) -> None:
        """User code has not got what ended the wait, for its task was cancelled: it is for the next that waits."""
        given = self._given.pop((entry.lane, entry.ordinal), None)
        if given is not None:
            self._left.append(given)

    def left_for(self, wait: WaitPoint) -> pb.Entry | None:
        """The row of what another task did not get, and this wait is for, too."""
        for entry in self._left:
            how = entry.resolution
            event = how.kind == pb.RESOLUTION_KIND_EVENT
            if how.name in wait.subscriptions if event else wait.takes(how.name):
                return entry
        return None

    def ended(self, entry: pb.Entry) -> None:
        """`entry` ends a wait; the runner may not know of it yet."""
        self._ended.append((entry.lane, entry.ordinal))
        self.note(entry)

    def has_ended(self, lane: str, ordinal: int) -> bool:
        """Has it ended lately? What the runner says of it has crossed the news."""
        return (lane, ordinal) in self._ended

    def get(self, lane: str, ordinal: int) -> pb.Entry | None:
        return self._open.get((lane, ordinal))


def _same(one: pb.Resolution, other: pb.Resolution) -> bool:
    return one.kind == other.kind and one.name == other.name and _value(one.payload) == _value(other.payload)


def _value(payload: pb.Payload) -> tuple[str, bytes]:
    return payload.blob, b"" if payload.blob else payload.data


def wait_point(entry: pb.Entry) -> WaitPoint:
    """What an entry of kind WAIT or RETRY waits for."""
    wait = entry.wait
    names = tuple(wait.names)
    return WaitPoint(
        entry.lane,
        entry.ordinal,
        wait.fires_at_us,
        signals=names if wait.kind == pb.WAIT_KIND_SIGNAL else None,
        subscriptions=names if wait.kind == pb.WAIT_KIND_EVENT else (),
        request=wait.kind == pb.WAIT_KIND_REQUEST,
    )


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
    waited: pb.Entry, ending: Ending, seq: int, at_us: int, given: Given | None = None, reason: str = ""
) -> pb.Entry:
    """The row that ends the wait of `waited`; with what ended it, or the reason of the stop that did."""
    how = pb.Resolution(kind=ending.value)  # type: ignore[arg-type]  # the values are those of ResolutionKind
    if given is not None:
        how.name = given.name
        how.payload.CopyFrom(json_payload(given.payload))
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

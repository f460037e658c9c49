"""The form of an exported session: a tar archive, whose members are named here.

session.json      format, who exported it, the row of the session, its build's digest
journal           entries, each as its length (4 bytes, big-endian) and a serialised Entry
output            lines, likewise, each a serialised LogLine
build.tar.gz      the build
blobs/DIGEST      large payloads, and the lock of the build's requirements
key               the key of its journal, 32 bytes; only if that was asked for
"""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from perdure_proto.v1 import runner_pb2 as rpb

from perdure_server.core.errors import PerdureError
from perdure_server.store import SessionRecord

FORMAT: Final = 1
HEAD: Final = "session.json"
JOURNAL: Final = "journal"
OUTPUT: Final = "output"
BUILD: Final = "build.tar.gz"
BLOBS: Final = "blobs"
KEY: Final = "key"
KEY_BYTES: Final = 32

LAST_US: Final = 253_402_300_799_000_000  # the end of the year 9999

_LENGTH: Final = struct.Struct(">I")
_TEXTS: Final = ("session_id", "project", "entry_point", "state", "forked_from")
_DATA: Final = ("event", "result", "error", "divergence", "status")
_NUMBERS: Final = ("created_us", "ended_us", "hash_seed", "event_form")


@dataclass(frozen=True, slots=True)
class Head:
    """`session.json`. `row` has the fields of a SessionRecord that travel."""

    coordinator_id: str
    version: str
    origin_id: str  # of the key of the journal, in the home of the coordinator
    sealed: bool  # some recorded values can be opened by that home only
    row: Mapping[str, Any]
    build_id: str
    python: str  # that its requirements were locked for, or that its manifest names
    environment: str  # digest of that lock; "": it has none

    def to_json(self) -> bytes:
        row = dict(self.row)
        for name in _DATA:
            row[name] = None if row[name] is None else base64.b64encode(row[name]).decode()
        document = {
            "format": FORMAT,
            "perdure": self.version,
            "coordinator_id": self.coordinator_id,
            "origin_id": self.origin_id,
            "sealed": self.sealed,
            "session": row,
            "build": {"digest": self.build_id, "python": self.python, "environment": self.environment},
        }
        return json.dumps(document, ensure_ascii=False, indent=1).encode()

    @classmethod
    def of_json(cls, data: bytes) -> Head:
        """P0229 when it is none. The values of `row` have the right types; that they make sense is not checked."""
        try:
            document = json.loads(data)
            told = _checked(document, {"format": int, "session": dict, "build": dict, "coordinator_id": str})
            if told["format"] != FORMAT:
                raise bad(f"it has format {told['format']}, and this perdure knows {FORMAT}")
            _checked(told, {"perdure": str, "origin_id": str, "sealed": bool})
            build = _checked(told["build"], {"digest": str, "python": str, "environment": str})
            return cls(
                coordinator_id=told["coordinator_id"],
                version=told["perdure"],
                origin_id=told["origin_id"],
                sealed=told["sealed"],
                row=_row(told["session"]),
                build_id=build["digest"],
                python=build["python"],
                environment=build["environment"],
            )
        except (ValueError, RecursionError) as error:
            raise bad(f"{HEAD} is no JSON of ours: {error}") from None


def row_of(record: SessionRecord) -> dict[str, Any]:
    """What travels of a SessionRecord."""
    names = (*_TEXTS, *_DATA, *_NUMBERS, "durable", "memo")
    return {name: getattr(record, name) for name in names} | {"ended_us": record.ended_us or 0}


def _row(told: Mapping[str, Any]) -> dict[str, Any]:
    _checked(told, dict.fromkeys(_TEXTS, str) | dict.fromkeys(_NUMBERS, int) | {"durable": bool})
    row: dict[str, Any] = {name: told[name] for name in (*_TEXTS, *_NUMBERS, "durable")}
    most = dict.fromkeys(_NUMBERS, LAST_US) | {"hash_seed": 1 << 32, "event_form": max(rpb.EventForm.values()) + 1}
    if not all(0 <= row[name] < most[name] for name in _NUMBERS):
        raise ValueError("a number is out of range")
    for name in _DATA:
        row[name] = None if told.get(name) is None else base64.b64decode(told[name], validate=True)
    memo = told.get("memo")
    if memo is not None and not (isinstance(memo, dict) and all(isinstance(text, str) for text in memo.values())):
        raise ValueError("memo is none")
    return row | {"memo": memo}


def _checked(document: Any, types: Mapping[str, type]) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        raise ValueError("an object is missing")  # noqa: TRY004 - one kind of error for all that is wrong in it
    for name, kind in types.items():
        value = document.get(name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise ValueError(f"{name!r} is no {kind.__name__}")
    return document


def framed(messages: Iterable[bytes]) -> Iterator[bytes]:
    """Each with its length before it."""
    for message in messages:
        yield _LENGTH.pack(len(message)) + message


def messages(data: bytes) -> Iterator[bytes]:
    """The other way round; P0229 when it is cut short."""
    place = 0
    while place < len(data):
        if place + _LENGTH.size > len(data):
            raise bad("it is cut short")
        (size,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        if place + size > len(data):
            raise bad("it is cut short")
        yield data[place : place + size]
        place += size


def bad(why: str) -> PerdureError:
    return PerdureError("P0229", f"this is no export of a session that can be read: {why}")

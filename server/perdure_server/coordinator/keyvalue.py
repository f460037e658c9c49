"""A project's key-value store: what can be done to it inside a transaction, for sessions and for clients alike."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from perdure import _values

from perdure_server.core import jsontext
from perdure_server.core.errors import PerdureError
from perdure_server.store import Reads, StoredRow, Transaction


@dataclass(frozen=True, slots=True)
class Shelf:
    """The store of one project, its limits, and the time: Unix time in microseconds."""

    project: str
    now_us: int
    value_bytes: int
    keys: int


def check_key(key: Any) -> str:
    """The key; P0224 if it is none."""
    try:
        return _values.check_key(key)
    except (TypeError, ValueError) as error:
        raise PerdureError("P0224", str(error)) from None


def decode(row: StoredRow | None) -> Any:
    """The value; None for a row that is not there."""
    return None if row is None else json.loads(row.value)


def version_of(row: StoredRow | None) -> int:
    """0: there is none."""
    return row.version if row else 0


def known(reads: Reads, project: str, key: Any) -> StoredRow:
    """What is stored under `key`; P0235 if nothing is."""
    row = reads.stored_value(project, check_key(key))
    if row is None:
        raise PerdureError("P0235", f"there is no {key!r} in the store", help="`perdure store list` shows all keys")
    return row


def put(tx: Transaction, shelf: Shelf, key: str, value: Any, *, version: int | None = None) -> int:
    """Store `value`; None deletes. The new version, 0 when it was deleted.

    `version`: only while the stored value has this one. Raises P0224, P0226, P0227.
    """
    before = tx.stored_value(shelf.project, check_key(key))
    check_version(before, key, version)
    return _replace(tx, shelf, key, before, value)


def check_version(row: StoredRow | None, key: str, version: int | None) -> None:
    """Is it the version that was expected? Else P0227."""
    if version is not None and version != version_of(row):
        raise PerdureError("P0227", f"{key!r} has version {version_of(row)}, not {version}")


def add(tx: Transaction, shelf: Shelf, key: str, operand: Any) -> int | float:
    """Add to the number that is stored, or store it where there is none; the sum. Raises P0224, P0226."""
    before = tx.stored_value(shelf.project, check_key(key))
    try:
        total = _values.added(decode(before), operand)
    except (TypeError, OverflowError) as error:
        raise PerdureError("P0224", f"{key!r}: {error}") from None
    _replace(tx, shelf, key, before, total)
    return total


def check_and_set(tx: Transaction, shelf: Shelf, key: str, expected: Any, value: Any) -> bool:
    """Store `value` if what is stored equals `expected` (None: if nothing is). Raises P0224, P0226."""
    before = tx.stored_value(shelf.project, check_key(key))
    if not _values.same(decode(before), expected):
        return False
    _replace(tx, shelf, key, before, value)
    return True


def publish(tx: Transaction, shelf: Shelf, key: str, *, published: bool) -> StoredRow:
    """Let anyone read it, or nobody any more. P0235 when nothing is stored there."""
    row = replace(known(tx, shelf.project, key), published=published)
    tx.put_value(row)
    return row


def _replace(tx: Transaction, shelf: Shelf, key: str, before: StoredRow | None, value: Any) -> int:
    if value is None:
        tx.delete_value(shelf.project, key)
        return 0
    data = _encode(key, value, shelf.value_bytes)
    if before is None:
        if tx.stored_count(shelf.project) >= shelf.keys:
            raise PerdureError("P0226", f"project {shelf.project!r} has {shelf.keys} values, as many as it may have")
        before = StoredRow(shelf.project, key, tx.retired_version(shelf.project), published=False, set_us=0)
    row = replace(before, version=before.version + 1, set_us=shelf.now_us, value=data)
    tx.put_value(row)
    return row.version


def _encode(key: str, value: Any, limit: int) -> bytes:
    """As JSON that the next one can read; P0224 when it is none, or too large."""
    try:
        data = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
        jsontext.check(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise PerdureError("P0224", f"the value for {key!r} is no JSON: {error}") from None
    if len(data) > limit:
        raise PerdureError(
            "P0224",
            f"the value for {key!r} has {len(data)} bytes as JSON, more than {limit}",
            help="store where the data is, not the data",
        )
    return data

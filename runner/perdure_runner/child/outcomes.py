"""The outcome of one call: recorded with the changes that belong to it, and given to user code, live and in replay."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import perdure

from perdure_runner.child.calls import Calls, payload_keys
from perdure_runner.child.effects import given as effects
from perdure_runner.child.effects.given import Given
from perdure_runner.child.replay import Call, Kind, Row
from perdure_runner.child.values.codec import JSON, Encoded
from perdure_runner.child.values.errors_codec import take_over
from perdure_runner.child.values.fingerprint import ATOMS
from perdure_runner.child.values.references import References

Called = tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class Outcomes:
    """Of one call, an activity or a marker. given: what it can reach. called: its function and arguments."""

    def __init__(self, calls: Calls, call: Call, kind: Kind, given: Given, called: Called) -> None:
        self._calls = calls
        self.call = call
        self._kind = kind
        self._given = given
        self._called = called
        self._asked: References | None = None

    def _refs(self) -> References | None:
        """Who else names objects. Asked where there may be some: not for plain data."""
        if self._asked is None:
            self._asked = self._calls.referring(self.call, *self._called)
        return self._asked

    def replayed(self, row: Row) -> Any:
        """Return or raise what is recorded."""
        if row["enc"] == JSON:  # no code of its own, and no names
            return self._calls.outcome(row)
        with self._calls.lanes.free():  # values are taken apart and rebuilt by their own code, which is not recorded
            return self._calls.outcome(row, self._given.references(self._refs()))

    def resumed(self, row: Row) -> None:
        """Apply what the failed attempts of the recorded RETRY had changed."""
        if effects.may_change(row.get("data", b"")):
            with self._calls.lanes.free():
                refs = self._given.references(self._refs())
                effects.settle(self._calls.values.decode(row["enc"], row["data"], bytes.fromhex(row["mac"]), refs))

    def returned(self, value: Any, began_ns: int, **more: int) -> Any:
        """Record the value. Returns what user code gets: the value as replay will give it.

        Raises:
            perdure.UnrecordableValue, perdure.ValueTooLarge, perdure.InPlaceChange: recorded as the outcome instead.
        """
        try:
            encoded = self._encoded_value(value)
        except perdure.Error as error:
            self.raised(error, began_ns, **more)
            raise
        self._calls.put_outcome(self.call, self._kind, encoded, began_ns, **more)
        if type(value) in ATOMS and not self._given.changed:
            return value
        return self._settled(encoded)

    def _encoded_value(self, value: Any) -> Encoded:
        if type(value) in ATOMS and self._given.is_nothing():
            return self._calls.values.encode(value)
        with self._calls.lanes.free():
            return self._given.encode(self._calls.values, value, self._refs())

    def raised(self, error: BaseException, began_ns: int, **more: int) -> None:
        """Record an exception; the caller raises it.

        Raises:
            perdure.InPlaceChange: recorded instead.
        """
        encoded, refused = self._encoded(error)
        self._calls.put_outcome(self.call, self._kind, encoded, began_ns, err=1, **more)
        if refused:
            raise refused from error

    def failed(self, error: BaseException, began_ns: int, more: Row) -> None:
        """Record an attempt that failed and will be followed by another; `more` says when.

        Raises:
            perdure.InPlaceChange: recorded as the outcome instead.
        """
        encoded, refused = self._encoded(error)
        if refused:
            self._calls.put_outcome(self.call, self._kind, encoded, began_ns, err=1, att=more["att"])
            raise refused from error
        self._calls.put(self.call, Kind.RETRY, more | payload_keys(encoded), encoded.data, sync=True)

    def _encoded(self, error: BaseException) -> tuple[Encoded, perdure.InPlaceChange | None]:
        try:
            with self._calls.lanes.free():
                encoded = self._given.encode_error(self._calls.values, error, self._refs())
        except perdure.InPlaceChange as refused:
            return self._calls.values.encode_error(refused, self._refs()), refused
        if self._given.changed or not encoded.whole:
            take_over(error, self._settled(encoded))
        return encoded, None

    def _settled(self, encoded: Encoded) -> Any:
        if encoded.encoding == JSON:
            return self._calls.values.rebuild(JSON, encoded.data)
        with self._calls.lanes.free():
            refs = self._given.references(self._refs())
            return effects.settle(self._calls.values.rebuild(encoded.encoding, encoded.data, refs))

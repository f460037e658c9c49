"""By which id a session knows itself that is a fork: calls that others have recorded are made under their ids.

A fork has the beginning of another session's journal. Until the last call of it is made again, its code is that other
session: it gets that one's id, as it did when the journal was written. From then on it is itself. What code has put
into variables stays, as it does with all that was before.
"""

from __future__ import annotations

from collections.abc import Iterable


class Ancestry:
    """Told of the calls in the history, and of those that are made again."""

    def __init__(self, session_id: str, shared: Iterable[tuple[str, int]] = ()) -> None:
        """`shared`: ids of other sessions, and up to which row each has recorded the journal; the oldest first."""
        self._own = session_id
        self._shared = list(shared)
        self.shares = bool(self._shared)
        self._left = [0] * len(self._shared)
        self._last: list[dict[str, int]] = [{} for _ in self._shared]  # by lane: the last ordinal of each

    def add(self, lane: str, ordinal: int, seq: int) -> None:
        """A call in the history, whose first row stands at `seq`."""
        for n, (_, upto) in enumerate(self._shared):
            if seq <= upto:
                self._left[n] += 1
                self._last[n][lane] = ordinal
                return

    def taken(self, lane: str, ordinal: int) -> None:
        """A call of the history is made again."""
        if (n := self._recorder(lane, ordinal)) is not None:
            self._left[n] -= 1

    def now(self) -> str:
        """The session's id for code that makes no call."""
        return next((name for (name, _), left in zip(self._shared, self._left, strict=True) if left), self._own)

    def during(self, lane: str, ordinal: int) -> str:
        """The session's id in a call: of the session that began it first."""
        n = self._recorder(lane, ordinal)
        return self._own if n is None else self._shared[n][0]

    def _recorder(self, lane: str, ordinal: int) -> int | None:
        return next((n for n, last in enumerate(self._last) if ordinal <= last.get(lane, 0)), None)

"""How much one of many may have open at once, so that the others find room. Pure."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator

from perdure_server.core.errors import PerdureError


class AtOnce:
    """What is open, by whose it is."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()

    @contextlib.contextmanager
    def counted(self, whose: str, limit: int, reached: str) -> Iterator[None]:
        """One more, while the context lasts. Raises P0221, told by `reached`, when there are `limit` already."""
        if self._open[whose] >= limit:
            raise PerdureError("P0221", reached)
        self._open[whose] += 1
        try:
            yield
        finally:
            self._open[whose] -= 1
            if not self._open[whose]:
                del self._open[whose]

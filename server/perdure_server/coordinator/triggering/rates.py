"""How often triggers start sessions: the latest starts of each key, as many as its limit."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable

from perdure_server.coordinator.clock import Clock
from perdure_server.manifest.triggers import Rate

_FORGET_EVERY: int = 1_000


class Rates:
    """In memory: a restart begins a new count."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._starts: dict[Hashable, deque[int]] = {}
        self._over_us: dict[Hashable, int] = {}  # when none of them counts any more
        self._until_forgetting = _FORGET_EVERY

    def free_at(self, key: Hashable, rate: Rate) -> int:
        """When another one may start (Unix time in microseconds); 0: now."""
        starts = self._starts.get(key)
        if starts is None or len(starts) < rate.limit:
            return 0
        free_us = starts[-rate.limit] + int(rate.per_s * 1e6)
        return free_us if free_us > self._clock.now_us() else 0

    def note(self, key: Hashable, rate: Rate) -> None:
        """One starts now."""
        now_us = self._clock.now_us()
        starts = self._starts.get(key)
        if starts is None or starts.maxlen != rate.limit:
            starts = self._starts[key] = deque(starts or (), maxlen=rate.limit)
        starts.append(now_us)
        self._over_us[key] = now_us + int(rate.per_s * 1e6)
        self._until_forgetting -= 1
        if not self._until_forgetting:
            self._forget(now_us)

    def _forget(self, now_us: int) -> None:
        """Keys are texts of strangers: those that count no more are not kept. Half of the work at most is this."""
        for key in [key for key, over_us in self._over_us.items() if over_us <= now_us]:
            del self._over_us[key], self._starts[key]
        self._until_forgetting = max(_FORGET_EVERY, len(self._starts))

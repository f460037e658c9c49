"""What sessions answer to an event, as it comes."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final

from perdure_server.coordinator.subscriptions import Heard
from perdure_server.store import OutcomeRow

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_LOOK_S: Final = 1.0  # how often to see whether anybody is left to answer, where nothing is told
_PAGE: Final = 4  # that are in memory for each who follows, who may be slow: each may have a MiB


class Outcomes:
    """Who waits for answers is woken when one is durable; what it gets are rows."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)

    def told(self, event_id: str) -> None:
        """An outcome of the event is durable, or a session that it started has ended."""
        for wake in self._waiting.get(event_id, ()):
            wake.set()

    async def follow(self, event_id: str, after_n: int = 0) -> AsyncIterator[Any]:
        """The values of outcomes number `after_n` + 1 and on, as they come.

        Ends after one that does not say that there are more, or when nobody is left to answer: the sessions that the
        event has started have ended, so have those that had it by a subscription, and nobody else is still to have it.
        """
        wake, heard, deserted = asyncio.Event(), Heard(), False
        self._waiting[event_id].add(wake)
        try:
            while True:
                wake.clear()
                rows, may_come = await asyncio.to_thread(self._look, event_id, after_n)
                for row in rows:
                    after_n, value = row.n, json.loads(row.value)
                    yield value
                    if not announces_more(value):
                        return
                if rows:
                    continue
                if not may_come:
                    if deserted:
                        return
                    if not await self._c.subscriptions.listened(event_id, heard):
                        deserted = True  # who listened until now has answered before: one more look
                        continue
                deserted = False
                await _woken(wake)
        finally:
            self._waiting[event_id].discard(wake)
            if not self._waiting[event_id]:
                del self._waiting[event_id]

    def _look(self, event_id: str, after_n: int) -> tuple[list[OutcomeRow], bool]:
        may_come = self._c.store.answers_open(event_id)  # first: who ends in between has answered before
        return self._c.store.outcomes(event_id, after_n, _PAGE), may_come


def announces_more(value: Any) -> bool:
    """Does this outcome say that another one follows?"""
    return isinstance(value, dict) and value.get("more") is True


async def _woken(wake: asyncio.Event) -> None:
    try:
        await asyncio.wait_for(wake.wait(), _LOOK_S)
    except TimeoutError:
        return

"""Events that were promised, and that the coordinator refuses: it has no room for them now, most often."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Incoming
from perdure_server.gateway.upstream import Asked

log: Final = logging.getLogger("perdure.gateway")

_AGAIN_S: Final = (0.5, 30.0)  # first and longest pause before what was refused is sent again
_TELL_S: Final = 30.0  # a project's are not told of more often


class Refused:
    """They are sent again, one project's one after the other, in their order, until they are taken.

    A project that has very many of them costs the coordinator one question at a time, and the log a line now and then.
    """

    def __init__(self, ask: Callable[[Incoming], Asked], taken: Callable[[Incoming], object]) -> None:
        self._ask = ask
        self._taken = taken
        self._waiting: dict[str, list[Incoming]] = {}  # by project
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def add(self, incoming: Incoming, error: BaseException) -> None:
        project = incoming.project
        self._waiting.setdefault(project, []).append(incoming)
        if project not in self._tasks:
            self._tasks[project] = asyncio.create_task(self._until_taken(project, error))

    async def close(self) -> None:
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _until_taken(self, project: str, why: BaseException) -> None:
        pause_s, tell_at = _AGAIN_S[0], 0.0
        now = asyncio.get_running_loop().time
        while waiting := self._waiting.pop(project, None):
            if now() >= tell_at:
                log.warning("%d events of %s stay in the inbox for now: %s", len(waiting), project, why)
                tell_at = now() + _TELL_S
            await asyncio.sleep(pause_s)
            still = []
            for incoming in waiting:
                try:
                    await self._ask(incoming).answer
                except PerdureError as error:
                    why = error
                    still.append(incoming)
                else:
                    self._taken(incoming)
            pause_s = min(2 * pause_s, _AGAIN_S[1]) if len(still) == len(waiting) else _AGAIN_S[0]
            if still:
                self._waiting[project] = still + self._waiting.get(project, [])
        del self._tasks[project]

"""How much each project has stored of what others send and its sessions pass on: its share of the disk."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from perdure_server.coordinator.turns import Turns
from perdure_server.core import limits
from perdure_server.core.errors import PerdureError

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.coordinator")

_HELP: Final = "delete old ones (`perdure gc`, `serve --event-retention`, `--session-retention`)"


class Usage:
    """Bytes of events, of what sessions were started with, and of outcomes. All of it is on the loop.

    The store is asked once for each project, and again when something was deleted; until it has answered, anything
    goes. In between, what becomes durable is added.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._turns = Turns(1, "perdure-usage")  # nobody waits for it
        self._bytes: dict[str, int] = {}
        self._counting: dict[str, int] = {}  # what came since the count began, which may have seen it

    def check(self, project: str, size: int = 0) -> None:
        """Raises P0614 when the project would have more than it may."""
        most = self._c.settings.project_bytes
        if not most:
            return
        used = self._bytes.get(project)
        if used is None:
            self._count(project)
        elif used + size > most:
            told = limits.reached("project_bytes", limits.size(most), limits.size(used))
            raise PerdureError("P0614", f"project {project!r} stores too much: {told}", help=_HELP)

    def add(self, project: str, size: int) -> None:
        """So much more of it is durable."""
        if project in self._counting:
            self._counting[project] += size
        if project in self._bytes:
            self._bytes[project] += size

    def deleted(self) -> None:
        """There may be less of any project."""
        for project in self._bytes:
            self._count(project)

    def _count(self, project: str) -> None:
        if project not in self._counting:
            self._counting[project] = 0
            self._c.spawn(self._counted(project))

    async def _counted(self, project: str) -> None:
        try:
            stored = await self._turns.run(project, self._c.store.project_bytes, project)
            self._bytes[project] = stored + self._counting[project]
        except PerdureError as error:
            log.error("what project %s stores is not counted: %s", project, error)  # noqa: TRY400
        finally:
            del self._counting[project]

"""Hosts get ready for a deployment before its first session: environment, build, and what runners are forked from.

Nobody waits for it, and nothing hangs on it: what is not there when a session comes is made then.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from perdure_proto.v1.runner_pb2 import Prepare, Prepared, ToHost

from perdure_server.coordinator.choosing import Need
from perdure_server.coordinator.hosts import Connection
from perdure_server.core.errors import PerdureError

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.coordinator")

HOSTS: Final = 8  # that get ready for a deployment: those that its sessions would be placed on first
PROJECTS: Final = 16  # that a host gets ready for when it dials in: those deployed last
WAITING: Final = 100  # projects, for one host; beyond it the one that has waited for longest is left to its sessions
_CODE_CHARS: Final = 8
_MESSAGE_CHARS: Final = 2_000


@dataclass(slots=True)
class _Line:
    """Of one host: what it is at, and the projects that are to follow, each with its newest deployment only.

    So a project that is deployed again and again has one turn in each round of all.
    """

    at: Prepare | None = None
    project: str = ""  # of `at`
    waiting: dict[str, Prepare] = field(default_factory=dict)


class Preparing:
    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._lines: dict[Connection, _Line] = {}
        self._joined: list[Connection] = []  # and nobody has looked yet what for

    def deployed(self, project: str) -> None:
        """It has another active deployment."""
        if self._lines:
            self._c.spawn(self._deployed(project))

    def joined(self, connection: Connection) -> None:
        """The host has dialled in."""
        if self._c.settings.prepare and not connection.closed:
            self._lines[connection] = _Line()
            self._joined.append(connection)
            if len(self._joined) == 1:
                self._c.spawn(self._welcome())

    def host_gone(self, connection: Connection) -> None:
        self._lines.pop(connection, None)

    def answered(self, connection: Connection, prepared: Prepared) -> None:
        """The host has done what it was told, or could not."""
        line = self._lines.get(connection)
        if line is None or line.at is None or line.at.deployment_id != prepared.deployment_id:
            return
        line.at = None
        if prepared.message:
            said = f"{prepared.code[:_CODE_CHARS]} {prepared.message[:_MESSAGE_CHARS]}".lstrip()
            log.warning("host %s cannot get ready for project %s: %s", connection.host_id, line.project, said)
        self._next(connection, line)

    async def _deployed(self, project: str) -> None:
        if (wanted := await self._wanted(project)) is not None:
            need, prepare = wanted
            for connection in self._c.hosts.rank(need, self._c.hosts)[:HOSTS]:
                self._add(connection, project, prepare)

    async def _welcome(self) -> None:
        try:
            projects = await asyncio.to_thread(self._c.store.projects_deployed_last, PROJECTS)
        finally:
            joined, self._joined = self._joined, []
        for project in projects:
            if (wanted := await self._wanted(project)) is not None:
                need, prepare = wanted
                for connection in self._c.hosts.rank(need, joined):
                    self._add(connection, project, prepare)

    async def _wanted(self, project: str) -> tuple[Need, Prepare] | None:
        """What the newest deployment asks for; None if there is none, or if there will be another one at once."""
        builds = self._c.builds
        deployment = await builds.active(project)
        if deployment is None:
            return None
        try:
            build = await builds.of(deployment.build_id)
        except PerdureError:  # who starts a session hears of it
            return None
        if await builds.active(project) != deployment:
            return None
        environment = str(deployment.settings.get("environment", ""))
        return replace(builds.need(deployment.build_id), environment=environment), Prepare(
            deployment_id=deployment.deployment_id,
            build=deployment.build_id,
            python=build.python,
            environment=environment,
            hash_seed=self._c.hash_seed,
        )

    def _add(self, connection: Connection, project: str, prepare: Prepare) -> None:
        line = self._lines[connection]
        line.waiting[project] = prepare
        if len(line.waiting) > WAITING:
            del line.waiting[next(iter(line.waiting))]
        self._next(connection, line)

    def _next(self, connection: Connection, line: _Line) -> None:
        if line.at is None and line.waiting and not connection.draining:
            line.project, line.at = next(iter(line.waiting.items()))
            del line.waiting[line.project]
            connection.send(ToHost(prepare=line.at))

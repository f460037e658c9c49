"""Rows of what there is, and the removal of what nobody needs any more."""

from __future__ import annotations

import json
import re
import sqlite3
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from perdure_server.store import statements as base_sql
from perdure_server.store import statements_events as events_sql
from perdure_server.store import statements_lifecycle as sql
from perdure_server.store.events import delete_events

# `blob` of a Payload, as protobuf writes it: field 3, 64 bytes. Nothing refers to a blob without these bytes.
_MARK: Final = b"\x1a\x40"
_BLOB: Final = re.compile(_MARK + rb"([0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class ProjectTold:
    """`alive`: sessions that have not ended."""

    name: str
    created_us: int
    alive: int


@dataclass(frozen=True, slots=True)
class BuildTold:
    """A build, the projects that have deployed it, and how many sessions it has."""

    digest: str
    size: int
    created_us: int
    exports: Sequence[Mapping[str, Any]]
    projects: tuple[str, ...]
    sessions: int


@dataclass(frozen=True, slots=True)
class DeploymentTold:
    """`alive`: sessions of it that have not ended."""

    deployment_id: str
    project: str
    build_id: str
    state: str
    created_us: int
    alive: int


class Position(NamedTuple):
    """A session's place among all, in order of their start. The default is before the first one."""

    created_us: int = -1
    session_id: str = ""


@dataclass(frozen=True, slots=True)
class Unused:
    """Digests of builds, and the builds of deployments by their ids."""

    builds: tuple[str, ...]
    deployments: Mapping[str, str]


class LifecycleReads:
    """The part of `base.Reads`."""

    @abstractmethod
    def _rows(self, statement: str, parameters: dict[str, Any]) -> list[sqlite3.Row]: ...

    def projects_told(self) -> list[ProjectTold]:
        return [ProjectTold(*row) for row in self._rows(sql.PROJECT_ROWS, {})]

    def builds_told(self) -> list[BuildTold]:
        projects: dict[str, list[str]] = {}
        for digest, project in self._rows(sql.BUILD_PROJECTS, {}):
            projects.setdefault(digest, []).append(project)
        sessions = {row[0]: row[1] for row in self._rows(sql.BUILD_SESSIONS, {})}
        return [
            BuildTold(
                row["digest"],
                row["size"],
                row["created_us"],
                json.loads(row["exports"]),
                tuple(projects.get(row["digest"], ())),
                sessions.get(row["digest"], 0),
            )
            for row in self._rows(sql.BUILDS_TOLD, {})
        ]

    def deployments_told(self, project: str = "") -> list[DeploymentTold]:
        return [DeploymentTold(*row) for row in self._rows(sql.DEPLOYMENTS_TOLD, {"project": project})]

    def projects_deployed_last(self, limit: int) -> list[str]:
        return [row[0] for row in self._rows(sql.PROJECTS_DEPLOYED_LAST, {"limit": limit})]

    def alive_in_project(self, project: str, limit: int = 1000) -> list[str]:
        return [row[0] for row in self._rows(sql.ALIVE_IN_PROJECT, {"project": project, "limit": limit})]

    def ended_in_project(self, project: str, limit: int) -> list[str]:
        return [row[0] for row in self._rows(sql.ENDED_IN_PROJECT, {"project": project, "limit": limit})]

    def sessions_over(self, before_us: int, after: Position = Position(), limit: int = 100) -> list[Position]:  # noqa: B008 - frozen
        page = {"before_us": before_us, "after_us": after.created_us, "after_id": after.session_id, "limit": limit}
        return [Position(row["created_us"], row["session_id"]) for row in self._rows(sql.SESSIONS_OVER, page)]

    def events_over(self, before_us: int) -> int:
        return len(self._rows(events_sql.OLD_EVENTS, {"before_us": before_us, "limit": -1}))

    def unused(self, before_us: int, newest: int) -> Unused:
        builds = tuple(row[0] for row in self._rows(sql.BUILDS_UNUSED, {"before_us": before_us}))
        rows = self._rows(sql.DEPLOYMENTS_UNUSED, {"before_us": before_us, "newest": newest})
        return Unused(builds, {row["deployment_id"]: row["build_id"] for row in rows})

    def blobs_named(self) -> set[str]:
        return {row[0] for row in self._rows(sql.BLOBS_NAMED, {}) if row[0]}

    def blobs_in_journals(self, after: tuple[str, int], limit: int) -> tuple[set[str], tuple[str, int] | None]:
        place = {"mark": _MARK, "after_id": after[0], "after_seq": after[1], "limit": limit}
        rows = self._rows(sql.ENTRIES_WITH, place)
        found = _blobs(row[2] for row in rows if row[2] is not None)
        return found, (rows[-1][0], rows[-1][1]) if len(rows) == limit else None

    def blobs_in_results(self) -> set[str]:
        return _blobs(row[0] for row in self._rows(sql.RESULTS_WITH, {"mark": _MARK}))

    def origins_imported(self) -> set[str]:
        return {row[0] for row in self._rows(sql.ORIGINS_IMPORTED, {})}


class LifecycleWrites(LifecycleReads):
    """The part of `base.Transaction`."""

    _connection: sqlite3.Connection

    @abstractmethod
    def delete_session(self, session_id: str) -> None: ...

    @abstractmethod
    def retire_deployments(self) -> int: ...

    def deactivate(self, project: str) -> str:
        rows = self._rows(base_sql.ACTIVE_DEPLOYMENT, {"project": project})
        self._connection.execute(base_sql.DRAIN, {"of_project": project})
        self.retire_deployments()
        return rows[0]["deployment_id"] if rows else ""

    def remove_session(self, session_id: str, rows: int, over_before_us: int | None = None) -> int:
        one = {"session_id": session_id}
        if over_before_us is not None and not self._rows(sql.SESSION_IS_OVER, one | {"before_us": over_before_us}):
            return rows
        for statement in (sql.TRIM_LOGS, sql.TRIM_ENTRIES):
            rows -= self._connection.execute(statement, one | {"limit": rows}).rowcount
            if rows <= 0:
                return -1
        self._connection.execute(sql.DELETE_ANSWERS, one)
        self.delete_session(session_id)
        return rows

    def drop_deployment(self, deployment_id: str) -> bool:
        return self._connection.execute(sql.DROP_DEPLOYMENT, {"deployment_id": deployment_id}).rowcount == 1

    def drop_build(self, digest: str) -> bool:
        return self._connection.execute(sql.DROP_BUILD, {"digest": digest}).rowcount == 1

    def delete_events_of(self, project: str, limit: int) -> int:
        rows = self._rows(sql.EVENTS_OF, {"project": project, "limit": limit})
        delete_events(self._connection, rows)
        return len(rows)

    def delete_project(self, project: str) -> None:
        for statement in (sql.DELETE_TRIGGERS, sql.DELETE_VALUES, sql.DELETE_CONNECTIONS, sql.DELETE_VARS):
            self._connection.execute(statement, {"project": project})
        for statement in (sql.DELETE_DEPLOYMENTS, sql.DELETE_PROJECT):
            self._connection.execute(statement, {"project": project})


def _blobs(rows: Any) -> set[str]:
    """Digests of blobs that serialised messages refer to; perhaps more, which only keeps a blob."""
    return {digest.decode() for row in rows for digest in _BLOB.findall(row)}

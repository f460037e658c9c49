"""What the coordinator knows of builds and deployments, kept at hand: rows of both never change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from perdure_proto.v1.runner_pb2 import ActivityRule, RetryPolicy

from perdure_server.core.errors import PerdureError
from perdure_server.store import Build, Deployment, Mutation, Store

_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What a runner has to know of its build's manifest."""

    activities: tuple[ActivityRule, ...]
    limits: Mapping[str, int]
    python: str


class Builds:
    """A cache over the store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._builds: dict[str, BuildInfo] = {}
        self._vars: dict[str, Mapping[str, str]] = {}
        self._active: dict[str, Deployment] = {}

    async def of(self, build_id: str) -> BuildInfo:
        """P0212 when there is no such build."""
        if (known := self._builds.get(build_id)) is not None:
            return known
        row = await asyncio.to_thread(self._store.build, build_id)
        if row is None:
            raise PerdureError("P0212", f"unknown build {build_id!r}")
        if len(self._builds) >= _KEPT:
            self._builds.clear()
        info = self._builds[build_id] = _info(row)
        return info

    def python(self, build_id: str) -> str:
        """The interpreter that a build's runners need; empty: any."""
        known = self._builds.get(build_id)
        return known.python if known else ""

    async def vars_of(self, deployment_id: str) -> Mapping[str, str]:
        """The variables that were snapshotted with a deployment; none for sessions without one."""
        if not deployment_id:
            return {}
        if (known := self._vars.get(deployment_id)) is not None:
            return known
        row = await asyncio.to_thread(self._store.deployment, deployment_id)
        if len(self._vars) >= _KEPT:
            self._vars.clear()
        values = self._vars[deployment_id] = row.vars if row else {}
        return values

    async def active(self, project: str) -> Deployment | None:
        """What new sessions of a project run. Only `deployed` changes it: this coordinator alone has the home."""
        if (known := self._active.get(project)) is not None:
            return known
        row = await asyncio.to_thread(self._store.active_deployment, project)
        if row is not None:
            self._active[project] = row
        return row

    def deployed(self, deployment: Deployment) -> None:
        """It is active now."""
        self._active[deployment.project] = deployment

    def session_ended(self, project: str, deployment_id: str) -> None:
        """A draining deployment ends with its last session."""
        active = self._active.get(project)
        if deployment_id and (active is None or active.deployment_id != deployment_id):
            self._store.submit(Mutation(lambda transaction: transaction.retire_deployments(), lazy=True), _ignore)


def _ignore(_result: object) -> None:
    """Tried again with the next end of a session."""


def _info(row: Build) -> BuildInfo:
    manifest = row.manifest
    rules = tuple(_rule(rule) for rule in manifest.get("activities", ()))
    return BuildInfo(rules, dict(manifest.get("limits", {})), str(manifest.get("python", "")))


def _rule(rule: Mapping[str, Any]) -> ActivityRule:
    """From the JSON of a build's row; keys are the fields' names."""
    retry = rule.get("retry")
    return ActivityRule(
        pattern=rule["pattern"],
        retry=RetryPolicy(**retry) if retry else None,
        timeout_s=rule.get("timeout_s", 0.0),
        at_most_once=rule.get("at_most_once", False),
        no_activity=rule.get("no_activity", False),
    )

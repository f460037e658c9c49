"""What the coordinator knows of builds and deployments, kept at hand: rows of both never change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from perdure_proto.v1.runner_pb2 import ActivityRule, Limits, RetryPolicy

from perdure_server.coordinator.choosing import Need
from perdure_server.core.errors import PerdureError
from perdure_server.manifest.limits import Limits as ManifestLimits
from perdure_server.manifest.network import Mode, Network
from perdure_server.store import Build, Deployment, Mutation, Store

MAX_PAYLOAD_BYTES: Final = 64 * 1024 * 1024  # a message holds one, and more does not fit into 80 MiB

_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class BuildInfo:
    """What a runner has to know of its build's manifest."""

    activities: tuple[ActivityRule, ...]
    limits: Limits
    python: str
    runs_on: frozenset[tuple[str, str]]  # labels that a host must have
    network: Network
    sessions: int  # of a deployment that have a runner at once; 0: no limit
    queue: int  # of a deployment that wait for a runner; 0: no limit
    environment: str = ""  # digest of the lock of its requirements, as it was when the build was first deployed


UNKNOWN: Final = BuildInfo(
    activities=(),
    limits=Limits(payload_bytes=MAX_PAYLOAD_BYTES),
    python="",
    runs_on=frozenset(),
    network=Network(),
    sessions=0,
    queue=0,
)


class Builds:
    """A cache over the store."""

    def __init__(
        self,
        store: Store,
        ceiling: ManifestLimits | None = None,
        default_network: Mode = "none",
        now_us: Callable[[], int] = lambda: 0,
    ) -> None:
        self._store = store
        self._now_us = now_us
        self._asked_us: dict[str, int] = {}
        self._changes = 0  # of what is active
        self._default_network = default_network
        self._ceiling = ceiling
        self._builds: dict[str, BuildInfo] = {}
        self._deployments: dict[str, Deployment] = {}
        self._active: dict[str, Deployment] = {}
        self.changed: Callable[[str], None] = _ignore  # told the project whose active deployment is another one

    async def of(self, build_id: str) -> BuildInfo:
        """P0212 when there is no such build."""
        self._asked_us[build_id] = self._now_us()
        if (known := self._builds.get(build_id)) is not None:
            return known
        row = await asyncio.to_thread(self._store.build, build_id)
        if row is None:
            self._asked_us.pop(build_id, None)
            raise PerdureError("P0212", f"unknown build {build_id!r}")
        if len(self._builds) >= _KEPT:
            self._builds.clear()
        info = self._builds[build_id] = _info(row, self._ceiling)
        return info

    def knows(self, build_id: str) -> bool:
        """Was it asked for before?"""
        return build_id in self._builds

    def asked_us(self, build_id: str) -> int:
        """When somebody wanted to run it last; 0: not since the start."""
        return self._asked_us.get(build_id, 0)

    def forget(self, builds: Iterable[str], deployments: Iterable[str]) -> None:
        """Their rows are gone."""
        for build_id in builds:
            self._builds.pop(build_id, None)
            self._asked_us.pop(build_id, None)
        for deployment_id in deployments:
            self._deployments.pop(deployment_id, None)

    def at_hand(self, build_id: str) -> BuildInfo:
        """What is known of a build that was asked for before; of any other, nothing that limits it."""
        return self._builds.get(build_id, UNKNOWN)

    def need(self, build_id: str) -> Need:
        """What runners of a build that was asked for before need of their host."""
        known = self._builds.get(build_id)
        if known is None:
            return Need(build=build_id)
        network = known.network.mode or self._default_network
        return Need(known.python, known.runs_on, build_id, known.environment, network)

    async def deployment(self, deployment_id: str) -> Deployment | None:
        """A deployment as it was made, with its snapshot of variables; None for sessions without one."""
        if not deployment_id:
            return None
        if (known := self._deployments.get(deployment_id)) is not None:
            return known
        row = await asyncio.to_thread(self._store.deployment, deployment_id)
        if len(self._deployments) >= _KEPT:
            self._deployments.clear()
        if row is not None:
            self._deployments[deployment_id] = row
        return row

    async def environment(self, build_id: str, deployment_id: str) -> str:
        """Digest of the lock of a session's requirements: its deployment's, if that is one of this build."""
        deployment = await self.deployment(deployment_id)
        if deployment is not None and deployment.build_id == build_id:
            return str(deployment.settings.get("environment", ""))
        return (await self.of(build_id)).environment

    async def active(self, project: str) -> Deployment | None:
        """What new sessions of a project run. Only what is below changes it: this coordinator alone has the home."""
        while project not in self._active:
            changes = self._changes
            row = await asyncio.to_thread(self._store.active_deployment, project)
            if changes == self._changes:  # else the thread may have read what was before
                if row is not None:
                    self._active[project] = row
                return row
        return self._active[project]

    async def deployment_of(self, project: str, build_id: str) -> Deployment | None:
        """The newest deployment of a project that runs this build."""
        active = await self.active(project)
        if active is not None and active.build_id == build_id:
            return active
        rows = await asyncio.to_thread(self._store.deployments, project)
        return next((row for row in rows if row.build_id == build_id), None)

    def deployed(self, deployment: Deployment) -> None:
        """It is active now."""
        self._changes += 1
        self._active[deployment.project] = deployment
        self.changed(deployment.project)

    def deactivated(self, project: str) -> None:
        """It has no active deployment any more."""
        self._changes += 1
        self._active.pop(project, None)
        self.changed(project)

    def session_ended(self, project: str, deployment_id: str) -> None:
        """A draining deployment ends with its last session."""
        active = self._active.get(project)
        if deployment_id and (active is None or active.deployment_id != deployment_id):
            self._store.submit(Mutation(lambda transaction: transaction.retire_deployments(), lazy=True), _ignore)


def _ignore(_result: object) -> None:
    """Tried again with the next end of a session."""


def _info(row: Build, ceiling: ManifestLimits | None) -> BuildInfo:
    """From the JSON of a build's row, which is that of `Manifest.to_json`."""
    manifest = row.manifest
    told = ManifestLimits(**manifest.get("limits", {}))
    told = told.within(ceiling) if ceiling else told
    limits = told.to_proto()
    limits.payload_bytes = min(limits.payload_bytes or MAX_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES)
    return BuildInfo(
        activities=tuple(map(_rule, manifest.get("activities", ()))),
        limits=limits,
        python=str(manifest.get("python", "")),
        runs_on=frozenset(manifest.get("runs_on", {}).items()),
        network=Network.of_json(manifest.get("network", {})),
        sessions=told.sessions,
        queue=told.queue,
        environment=str(manifest.get("environment", "")),
    )


def _rule(policy: Mapping[str, Any]) -> ActivityRule:
    retry = policy.get("retry")
    return ActivityRule(
        pattern=policy["pattern"],
        retry=_retry(retry) if retry else None,
        timeout_s=policy["timeout_s"],
        at_most_once=policy["at_most_once"],
        no_activity=not policy["record"],
    )


def _retry(retry: Mapping[str, Any]) -> RetryPolicy:
    return RetryPolicy(
        max_attempts=retry["attempts"],
        initial_delay_s=retry["initial_delay_s"],
        factor=retry["factor"],
        max_delay_s=retry["max_delay_s"],
        jitter=retry["jitter"],
        retry_on=retry["on"],
    )

"""Which webhook a URL means: `SLUG[/SUFFIX]`, or also `PROJECT/PATH[/SUFFIX]` of one with a path."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from perdure_server.core.errors import PerdureError
from perdure_server.manifest.triggers import Trigger, Webhook

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator
    from perdure_server.store import Deployment

_KEPT: Final = 1_000
_PROJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


@dataclass(frozen=True, slots=True)
class Found:
    """A webhook of an active deployment. `suffix`: what follows its own path, without a slash before it."""

    project: str
    deployment_id: str
    trigger: Trigger
    webhook: Webhook
    suffix: str


class Webhooks:
    """A cache: slugs never change what they mean, and neither do deployments."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._slugs: dict[str, tuple[str, str]] = {}
        self._triggers: dict[str, dict[str, Trigger]] = {}

    async def find(self, path: str) -> Found:
        """Raises P0223: no such webhook, or none that is active; who asks is not told which."""
        first, _, rest = path.partition("/")
        if _SLUG.fullmatch(first) and (named := await self._of_slug(first)) is not None:
            project, name = named
            deployment = await self._c.builds.active(project)
            trigger = self._of(deployment).get(name) if deployment else None
            if deployment and trigger and trigger.webhook:
                return Found(project, deployment.deployment_id, trigger, trigger.webhook, rest)
        elif rest and _PROJECT.fullmatch(first):
            deployment = await self._c.builds.active(first)
            if deployment and (found := _longest(deployment, self._of(deployment), rest)) is not None:
                return found
        raise PerdureError("P0223", "nothing receives webhooks at this address")

    async def _of_slug(self, slug: str) -> tuple[str, str] | None:
        if (known := self._slugs.get(slug)) is not None:
            return known
        row = await asyncio.to_thread(self._c.store.trigger_of_slug, slug)
        if row is None or row.type != "webhook":
            return None
        if len(self._slugs) >= _KEPT:
            self._slugs.clear()
        self._slugs[slug] = (row.project, row.name)
        return row.project, row.name

    def _of(self, deployment: Deployment) -> dict[str, Trigger]:
        known = self._triggers.get(deployment.deployment_id)
        if known is None:
            if len(self._triggers) >= _KEPT:
                self._triggers.clear()
            made = map(Trigger.of_json, deployment.settings.get("triggers", ()))
            known = self._triggers[deployment.deployment_id] = {each.name: each for each in made}
        return known


def _longest(deployment: Deployment, triggers: dict[str, Trigger], path: str) -> Found | None:
    """The webhook with the longest path that `path` is, or begins with."""
    best: Found | None = None
    for trigger in triggers.values():
        webhook = trigger.webhook
        own = webhook.path.strip("/") if webhook else ""
        if webhook is None or not own or not f"{path}/".startswith(f"{own}/"):
            continue
        if best is None or len(own) > len(best.webhook.path.strip("/")):
            suffix = path[len(own) + 1 :]
            best = Found(deployment.project, deployment.deployment_id, trigger, webhook, suffix)
    return best

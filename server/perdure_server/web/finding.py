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
    from perdure_server.coordinator.triggering.live import Live

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
    """Looks in memory first: the journal is read for what nobody has asked for before, and for what there is not."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._slugs: dict[str, tuple[str, str, str]] = {}  # project, trigger and deployment

    async def find(self, path: str) -> Found:
        """Raises P0223: no such webhook, or none that is active; who asks is not told which."""
        first, _, rest = path.partition("/")
        known = self._c.dispatcher.live.at_hand(first) is not None
        found = await self._by_path(first, rest) if known else None
        found = found or await self._by_slug(first, rest)
        if found is None and not known:
            found = await self._by_path(first, rest)
        if found is None:
            raise PerdureError("P0223", "nothing receives webhooks at this address")
        return found

    async def _by_path(self, project: str, path: str) -> Found | None:
        if not path or not _PROJECT.fullmatch(project):
            return None
        live = await self._c.dispatcher.live.of(project)
        return _longest(live, path) if live is not None else None

    async def _by_slug(self, slug: str, suffix: str) -> Found | None:
        """What a slug means is read once for each deployment: a project may be deleted, and made again with others."""
        if not _SLUG.fullmatch(slug):
            return None
        project, name, deployment_id = self._slugs.get(slug, ("", "", ""))
        live = await self._c.dispatcher.live.of(project) if project else None
        if live is None or live.deployment.deployment_id != deployment_id:
            self._slugs.pop(slug, None)
            row = await asyncio.to_thread(self._c.store.trigger_of_slug, slug)
            live = await self._c.dispatcher.live.of(row.project) if row is not None else None
            if row is None or live is None:
                return None
            if len(self._slugs) >= _KEPT:
                self._slugs.clear()
            name = row.name
            self._slugs[slug] = (row.project, name, live.deployment.deployment_id)
        armed = live.by_name.get(name)
        if armed is None or armed.trigger.webhook is None:
            return None
        project, deployment_id = live.deployment.project, live.deployment.deployment_id
        return Found(project, deployment_id, armed.trigger, armed.trigger.webhook, suffix)


def _longest(live: Live, path: str) -> Found | None:
    """The webhook with the longest path that `path` is, or begins with."""
    best: Found | None = None
    longest = 0
    for armed in live.by_name.values():
        webhook = armed.trigger.webhook
        own = webhook.path.strip("/") if webhook else ""
        if webhook is not None and len(own) > longest and f"{path}/".startswith(f"{own}/"):
            longest, suffix = len(own), path[len(own) + 1 :]
            deployment = live.deployment
            best = Found(deployment.project, deployment.deployment_id, armed.trigger, webhook, suffix)
    return best

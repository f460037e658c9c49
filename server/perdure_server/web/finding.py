"""Which webhook a URL means: `SLUG[/SUFFIX]`, or also `PROJECT/PATH[/SUFFIX]` of one with a path; which connection."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final

from perdure_server.core import integrations
from perdure_server.core.errors import PerdureError
from perdure_server.web.receivers import Connected, Found, Receiver, Receivers, longest

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_KEPT: Final = 1_000
_PROJECT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_SLUG: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")


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
        if live is None:
            return None
        trigger, suffix = longest((armed.trigger for armed in live.by_name.values()), path)
        if trigger is None or trigger.webhook is None:
            return None
        return Found(project, live.deployment.deployment_id, trigger, trigger.webhook, suffix)

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

    async def connection(self, slug: str) -> Connected:
        """Raises P0223: none receives events there."""
        found = await self._c.connections.endpoint(slug)
        row = found.row
        live = await self._c.dispatcher.live.of(row.project)
        theirs = live is not None and live.deployment.settings.get("form") == "autokitteh"
        how = found.signing, found.secret, found.header
        return Connected(row.project, row.name, row.integration, row.slug, *how, theirs=theirs)

    async def tables(self, first: str) -> list[Receivers]:
        """Of the projects that the first part of a path may mean: one of this name, and those with this slug."""
        named = {first} if _PROJECT.fullmatch(first) else set()
        if _SLUG.fullmatch(first):
            named |= await asyncio.to_thread(self._with_slug, first)
        found = [await self._table(project) for project in named]
        return [table for table in found if table is not None]

    def _with_slug(self, slug: str) -> set[str]:
        rows = self._c.store.trigger_of_slug(slug), self._c.store.connection_by_slug(slug)
        return {row.project for row in rows if row is not None}

    async def _table(self, project: str) -> Receivers | None:
        rows = await self._c.connections.rows(project)
        slugs_of_connections = [row.slug for row in rows if integrations.of_manifest(row.integration).signing]
        connections = tuple([await self.connection(slug) for slug in slugs_of_connections])
        live = await self._c.dispatcher.live.of(project)
        if live is None:
            return Receivers(project, "", (), connections) if connections else None
        slugs = {row.name: row.slug for row in await asyncio.to_thread(self._c.store.triggers, project)}
        deployment_id = live.deployment.deployment_id
        values = (await self._c.variables.of(project, deployment_id)).values
        each = []
        for name, armed in live.by_name.items():
            if (webhook := armed.trigger.webhook) is not None:
                secret = values.get(webhook.signature.secret, "") if webhook.signature else ""
                each.append(Receiver(armed.trigger, slugs.get(name, ""), secret))
        return Receivers(project, deployment_id, tuple(each), connections)

"""Triggers as rows that outlive deployments, as variables of sessions, and as clients see them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator.triggering.live import Armed
from perdure_server.manifest.triggers import Trigger
from perdure_server.store import Deployment, TriggerRow

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

WEBHOOKS: Final = "/webhooks/"
SLUG_BYTES: Final = 16
_URL: Final = "__webhook_url"
_KEPT: Final = 1_000


def new_rows(deployment: Deployment) -> list[TriggerRow]:
    """A row for each trigger of a deployment, with a slug that counts if the project had no such trigger."""
    return [
        TriggerRow(
            project=deployment.project,
            name=each["name"],
            type=each["type"],
            slug=secrets.token_urlsafe(SLUG_BYTES),
            created_us=deployment.created_us,
        )
        for each in deployment.settings.get("triggers", ())
    ]


def url(c: Coordinator, project: str, trigger: Trigger, slug: str) -> str:
    """Where a webhook is; a path only, where nothing is served. "" of other triggers."""
    if trigger.webhook is None:
        return ""
    own = trigger.webhook.path.strip("/")
    return f"{c.public_url}{WEBHOOKS}" + (f"{project}/{own}" if own else slug)


async def messages(c: Coordinator, project: str) -> list[pb.Trigger]:
    """The triggers of the project's active deployment, by name."""
    live = await c.dispatcher.live.of(project)
    rows = {row.name: row for row in await asyncio.to_thread(c.store.triggers, project)}
    armed = sorted(live.by_name.items()) if live is not None else ()
    return [_message(c, project, each, rows[name]) for name, each in armed if name in rows]


def _message(c: Coordinator, project: str, armed: Armed, row: TriggerRow) -> pb.Trigger:
    trigger = armed.trigger
    schedule = trigger.schedule
    return pb.Trigger(
        name=trigger.name,
        type=trigger.type,
        url=url(c, project, trigger, row.slug),
        project=project,
        entry_point=trigger.call,
        filter=trigger.filter,
        schedule=schedule.text if schedule else "",
        timezone=schedule.timezone if schedule else "",
        next_us=c.dispatcher.schedules.next_us(project, trigger.name) if schedule else 0,
        last_us=row.last_us,
        connection=trigger.connection,
        event_type=trigger.event_type,
        sync=trigger.sync,
        durable=trigger.durable,
    )


class WebhookUrls:
    """The variables NAME__webhook_url of sessions. A slug lives as long as its project, so they are read once."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._slugs: dict[str, Mapping[str, str]] = {}  # by project and trigger
        self._webhooks: dict[str, Sequence[Trigger]] = {}  # by deployment

    def forget(self, project: str) -> None:
        """The project is deleted; another of its name has other slugs."""
        self._slugs.pop(project, None)

    async def of(self, project: str, deployment_id: str) -> dict[str, str]:
        """What a session of the deployment gets."""
        webhooks = self._webhooks.get(deployment_id)
        if webhooks is None:
            webhooks = await self._of_deployment(deployment_id)
        if not webhooks:
            return {}
        slugs = await self._of_project(project, webhooks)
        return {
            f"{each.name}{_URL}": url(self._c, project, each, slugs[each.name])
            for each in webhooks
            if each.name in slugs
        }

    async def _of_deployment(self, deployment_id: str) -> Sequence[Trigger]:
        deployment = await self._c.builds.deployment(deployment_id)
        triggers = deployment.settings.get("triggers", ()) if deployment is not None else ()
        if len(self._webhooks) >= _KEPT:
            self._webhooks.clear()
        found = [Trigger.of_json(each) for each in triggers if each["type"] == "webhook"]
        return self._webhooks.setdefault(deployment_id, found)

    async def _of_project(self, project: str, webhooks: Iterable[Trigger]) -> Mapping[str, str]:
        known = self._slugs.get(project, {})
        if not all(each.name in known for each in webhooks):
            rows = await asyncio.to_thread(self._c.store.triggers, project)
            if len(self._slugs) >= _KEPT:
                self._slugs.clear()
            known = self._slugs[project] = {row.name: row.slug for row in rows}
        return known

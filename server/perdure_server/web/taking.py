"""Webhooks that the coordinator of this process takes itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from perdure_server.core.incoming import Accepted, Incoming
from perdure_server.web.finding import Webhooks
from perdure_server.web.receivers import Connected, Found

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator


class Direct:
    """A `hooks.Taker`: a webhook costs a commit that it shares, and no hop."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._webhooks = Webhooks(coordinator)

    @property
    def event_bytes(self) -> int:
        return self._c.settings.event_bytes

    def now_us(self) -> int:
        return self._c.clock.now_us()

    async def find(self, path: str) -> Found:
        return await self._webhooks.find(path)

    async def connection(self, slug: str) -> Connected:
        return await self._webhooks.connection(slug)

    async def secret(self, found: Found) -> str:
        assert found.webhook.signature is not None
        given = await self._c.variables.of(found.project, found.deployment_id)
        return given.values.get(found.webhook.signature.secret, "")

    async def accept(self, incoming: Incoming) -> Accepted:
        return await self._c.dispatcher.accept(incoming)

"""The gateway's parts, put together."""

from __future__ import annotations

from pathlib import Path

from perdure_server.gateway.application import application
from perdure_server.gateway.forwarding import Forwarding
from perdure_server.gateway.inbox import Inbox
from perdure_server.gateway.tables import Tables
from perdure_server.gateway.taking import Taking
from perdure_server.gateway.upstream import Upstream


class Gateway:
    """`app` is what it serves. `upstream` is to be attached to each coordinator."""

    def __init__(self, inbox: Path, coordinator_socket: str) -> None:
        """Raises `PerdureError` P0209, P0211: what is wrong with the inbox."""
        self.upstream = Upstream()
        self._tables = Tables(self.upstream)
        self.upstream.arrived, self.upstream.changed = self._tables.arrived, self._tables.changed
        self._inbox = Inbox(inbox)
        self._others = Forwarding(coordinator_socket, self.upstream.there)
        self._taking = Taking(self.upstream, self._tables, self._inbox)
        self.app = application(self._taking, self.upstream, self._others)

    def start(self) -> None:
        """Take up what a gateway before has promised. Raises `PerdureError` P0209."""
        self._taking.take_up()

    async def close(self) -> None:
        self.upstream.close()
        await self._tables.close()
        await self._taking.close()
        await self._others.close()
        await self._inbox.close()

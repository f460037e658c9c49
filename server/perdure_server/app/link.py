"""The in-process link: a host and a coordinator on one loop, joined by function calls."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from perdure_proto.v1.runner_pb2 import FromHost, ToHost
from perdure_runner.host.config import HostConfig
from perdure_runner.host.host import Host
from perdure_runner.host.link import BlobNotFoundError

from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.hosts import Connection
from perdure_server.core.errors import PerdureError


class InProcessLink:
    """Both ends: what the host sees of the coordinator, and what the coordinator sees of the host.

    A link that the coordinator closes (fault injection does) is joined anew, as a host would dial again.
    """

    def __init__(self, coordinator: Coordinator, config: HostConfig) -> None:
        self.host = Host(config, self)
        self._coordinator = coordinator
        self._connection: Connection | None = None
        self._ending = False

    async def start(self) -> None:
        """Start the host; its greeting opens the link."""
        self._connection = self._coordinator.connect(_End(self))
        await self.host.start()

    async def stop(self) -> None:
        """End the host and all its runners. The link goes first: that they die now is no fault of their sessions."""
        self._ending = True
        if self._connection is not None:
            self._connection.close("the engine is closing")
        await self.host.stop()

    def receive(self, message: FromHost) -> None:
        """From the host to the coordinator."""
        if self._connection is not None:
            self._connection.receive(message)

    async def fetch_blob(self, digest: str) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._coordinator.fetch_blob(digest):
                yield chunk
        except PerdureError as error:
            raise BlobNotFoundError(str(error), error.code) from None

    def closed(self, reason: str) -> None:
        """The coordinator has cut the link."""
        self._connection = None
        self.host.closed(reason)
        if not self._ending:
            asyncio.get_running_loop().call_soon(self._join)

    def _join(self) -> None:
        if not self._ending:
            self._connection = self._coordinator.connect(_End(self))
            self.host.hello()


class _End:
    """The coordinator's view of the host."""

    def __init__(self, link: InProcessLink) -> None:
        self._link = link

    def receive(self, message: ToHost) -> None:
        self._link.host.receive(message)

    def closed(self, reason: str) -> None:
        self._link.closed(reason)

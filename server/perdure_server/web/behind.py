"""A coordinator's end of the wire to its gateway: says what receives webhooks, and takes their events."""

from __future__ import annotations

import asyncio
import logging
import socket
from typing import TYPE_CHECKING, Final

from perdure_runner import frames

from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Incoming
from perdure_server.web import wire
from perdure_server.web.finding import Webhooks

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.web")

_FAULT: Final = PerdureError("P0703", "a fault of perdure; its server's log says more")


class GatewayEnd:
    """`open` it when events are taken."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._webhooks = Webhooks(coordinator)
        self._wire = wire.Wire(self._heard, lambda: None)
        self._told_of = ""

    async def open(self, descriptor: int) -> None:
        await self._wire.open(socket.socket(fileno=descriptor))
        here = {"t": "here", "bytes": self._c.settings.event_bytes, "projects": self._c.dispatcher.live.projects()}
        self._wire.say(here)
        self._c.receivers_changed = self._changed

    def close(self) -> None:
        self._wire.close()

    def _changed(self, project: str) -> None:
        self._wire.say({"t": "changed", "project": project})

    def _heard(self, header: frames.Header, payload: bytes) -> None:
        self._c.spawn(self._answer(header, payload))

    async def _answer(self, header: frames.Header, payload: bytes) -> None:
        """Every question gets an answer; a fault of ours the coordinator logs, as that of any of its tasks."""
        answer: frames.Header | None = wire.refusal(_FAULT)
        try:
            answer = await (self._found(header) if header["t"] == "find" else self._taken(header, payload))
        except PerdureError as error:
            answer = wire.refusal(error)
        except asyncio.CancelledError:
            answer = None  # this coordinator ends: the next one is asked
            raise
        finally:
            if answer is not None:
                self._wire.say(answer | {"id": header["id"]})

    async def _found(self, header: frames.Header) -> frames.Header:
        tables = await self._webhooks.tables(header["first"])
        return {"t": "found", "tables": [table.to_json() for table in tables]}

    async def _taken(self, header: frames.Header, payload: bytes) -> frames.Header:
        incoming = wire.incoming_of(header, payload)
        if incoming.promised and await self._c.dispatcher.live.of(incoming.project) is None:
            async with self._c.garbage.busy:  # nobody deletes the project meanwhile
                if incoming.project not in await asyncio.to_thread(self._c.store.projects):
                    self._tell_of(incoming.project)
                    return {"t": "taken", "event_id": incoming.event_id, "new": False}
                return await self._accepted(incoming)
        return await self._accepted(incoming)

    def _tell_of(self, project: str) -> None:
        """Not of each of its events."""
        if project != self._told_of:
            self._told_of = project
            log.warning("events of %s in the gateway's inbox are dropped: the project was deleted", project)

    async def _accepted(self, incoming: Incoming) -> frames.Header:
        accepted = await self._c.dispatcher.accept(incoming)
        return {"t": "taken", "event_id": accepted.event_id, "new": accepted.new}

"""Events that a gateway takes: the coordinator's answer if it comes in time, else the inbox's promise."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import replace
from typing import Any, Final

from perdure_server.core import ids
from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Accepted, Incoming
from perdure_server.gateway.inbox import Inbox
from perdure_server.gateway.refused import Refused
from perdure_server.gateway.tables import Tables
from perdure_server.gateway.upstream import Asked, Upstream
from perdure_server.web import wire
from perdure_server.web.receivers import Connected, Found

PATIENCE_S: Final = 0.030
"""How long the coordinator may take to answer, before the event goes into the inbox. Alone it takes about 3 ms."""


class Taking:
    """A `hooks.Taker`."""

    def __init__(self, upstream: Upstream, tables: Tables, inbox: Inbox) -> None:
        self._upstream = upstream
        self._tables = tables
        self._inbox = inbox
        self._coming: dict[str, asyncio.Task[Accepted]] = {}  # by event id, of those that may come twice
        self._refused = Refused(self._ask, inbox.drop)

    @property
    def event_bytes(self) -> int:
        return self._upstream.event_bytes

    def now_us(self) -> int:
        return time.time_ns() // 1000

    async def find(self, path: str) -> Found:
        return await self._tables.find(path)

    async def connection(self, slug: str) -> Connected:
        return await self._tables.connection(slug)

    async def secret(self, found: Found) -> str:
        return found.secret or ""

    async def accept(self, incoming: Incoming) -> Accepted:
        """Durable when it returns: with the coordinator, or, if that takes too long, here.

        The coordinator refuses what it refuses, if it says so in time; what was promised here it is asked to take until
        it does. Raises `PerdureError`, also P0207: the inbox is full.
        """
        if len(incoming.data) > self.event_bytes:
            raise PerdureError("P0231", f"the event has {len(incoming.data)} bytes, more than {self.event_bytes}")
        incoming = incoming.stamped(self.now_us(), secrets.token_bytes(ids.RANDOM_BYTES))
        return await (self._take_once(incoming) if incoming.dedup else self._take(incoming))

    def take_up(self) -> None:
        """What is in the inbox, was promised by a gateway before."""
        for incoming in self._inbox.read():
            self._deliver(incoming, self._ask(incoming))

    async def close(self) -> None:
        """What is not delivered, stays in the inbox."""
        await self._refused.close()

    async def _take_once(self, incoming: Incoming) -> Accepted:
        """One that is the same as one which is on its way is told what that one is told."""
        event_id = incoming.event_id
        if (first := self._coming.get(event_id)) is not None:
            return replace(await asyncio.shield(first), new=False)
        if event_id in self._inbox:
            return Accepted(event_id, 0, new=False)
        first = self._coming[event_id] = asyncio.create_task(self._take(incoming))
        first.add_done_callback(lambda _: self._coming.pop(event_id))
        return await asyncio.shield(first)

    async def _take(self, incoming: Incoming) -> Accepted:
        asked = self._ask(incoming)
        await asyncio.wait({asked.answer}, timeout=PATIENCE_S)
        if not asked.answer.done() and await self._kept(incoming, asked):
            return Accepted(incoming.event_id, 0, new=True)
        told = await asked.answer
        return Accepted(told["event_id"], 0, told["new"])

    async def _kept(self, incoming: Incoming, asked: Asked) -> bool:
        """In the inbox, and promised. False: the coordinator's answer counts, which has come, or has to be waited for.

        Raises P0207, P0209, P0211: no room for it; no coordinator has it, nor will.
        """
        try:
            await self._inbox.keep(incoming)
        except PerdureError:
            if asked.answer.done() or self._upstream.was_told(asked):
                return False
            asked.answer.cancel()
            raise
        if not asked.answer.done():
            self._deliver(incoming, asked)
            return True
        self._inbox.drop(incoming)  # it may have been refused: what was told is what holds
        return False

    def _ask(self, incoming: Incoming) -> Asked:
        return self._upstream.ask(wire.event_header(incoming), incoming.data)

    def _deliver(self, incoming: Incoming, asked: Asked) -> None:
        """Until it is taken, and then out of the inbox."""

        def answered(answer: asyncio.Future[Any]) -> None:
            if answer.cancelled():
                return
            if (error := answer.exception()) is None:
                self._inbox.drop(incoming)
            else:
                self._refused.add(replace(incoming, promised=True), error)

        asked.answer.add_done_callback(answered)

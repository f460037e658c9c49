"""A coordinator that is only the other end of a wire: it says what the test says."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from pathlib import Path
from typing import Any

from perdure_server.core.incoming import Incoming
from perdure_server.gateway.inbox import Inbox
from perdure_server.gateway.tables import Tables
from perdure_server.gateway.taking import Taking
from perdure_server.gateway.upstream import Upstream
from perdure_server.web import wire

TRIGGER = {"name": "in", "type": "webhook", "call": "", "webhook": {"path": "in"}}


class FakeCoordinator:
    """`heard`: frames that nobody has answered yet. It answers by itself what `taken` and `tables` say."""

    def __init__(self) -> None:
        self.heard: deque[tuple[dict[str, Any], bytes]] = deque()
        self.more = asyncio.Event()
        self.wire = wire.Wire(self._frame, lambda: None)

    async def begin(self, upstream: Upstream, projects: tuple[str, ...] = (), event_bytes: int = 1 << 20) -> None:
        ours, theirs = socket.socketpair()
        await self.wire.open(theirs)
        await upstream.attach(ours)
        self.wire.say({"t": "here", "bytes": event_bytes, "projects": projects})
        await upstream.there()

    def _frame(self, header: dict[str, Any], payload: bytes) -> None:
        self.heard.append((header, payload))
        self.more.set()

    async def next(self, kind: str = "event") -> tuple[dict[str, Any], bytes]:
        """The oldest frame of this kind."""
        while True:
            for each in self.heard:
                if each[0]["t"] == kind:
                    self.heard.remove(each)
                    return each
            self.more.clear()
            await asyncio.wait_for(self.more.wait(), 30)

    def take(self, header: dict[str, Any]) -> None:
        self.wire.say({"t": "taken", "id": header["id"], "event_id": header["event_id"], "new": True})

    def refuse(self, header: dict[str, Any], code: str = "P0614") -> None:
        self.wire.say({"t": "refused", "id": header["id"], "code": code, "message": "no room", "help": None})

    def found(
        self, header: dict[str, Any], project: str = "p", slug: str = "slug", connections: tuple[str, ...] = ()
    ) -> None:
        kind = {"project": project, "integration": "github", "signing": "github", "secret": "s", "header": ""}
        connected = [kind | {"name": f"of {each}", "slug": each} for each in connections]
        each = [{"trigger": TRIGGER, "slug": slug, "secret": ""}]
        tables = [{"project": project, "deployment_id": "d", "each": each, "connections": connected}]
        self.wire.say({"t": "found", "id": header["id"], "tables": tables})


class Gateway:
    """Its parts, without HTTP."""

    def __init__(self, path: Path) -> None:
        self.upstream = Upstream()
        self.tables = Tables(self.upstream)
        self.upstream.arrived, self.upstream.changed = self.tables.arrived, self.tables.changed
        self.inbox = Inbox(path)
        self.taking = Taking(self.upstream, self.tables, self.inbox)

    async def close(self) -> None:
        self.upstream.close()
        await self.tables.close()
        await self.taking.close()
        await self.inbox.close()


def event(body: str | bytes = b"{}", project: str = "p", **more: Any) -> Incoming:
    data = body.encode() if isinstance(body, str) else body
    return Incoming(project=project, source="in", source_type="webhook", event_type="post", data=data, **more)

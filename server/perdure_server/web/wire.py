"""What a gateway and its coordinator say to each other: frames (`perdure_runner.frames`) on a pair of sockets.

    coordinator  {"t": "here", "bytes": n, "projects": [text]}      first; the largest event it takes, what is deployed
    gateway      {"t": "find", "id": n, "first": text}              what a path begins with: a project's name, or a slug
    coordinator  {"t": "found", "id": n, "tables": [...]}           `Receivers` of what that may name
    gateway      {"t": "event", "id": n, "project": ..., ...}       `Incoming`; payload = its data
    coordinator  {"t": "taken", "id": n, "event_id": text, "new": bool}
                 {"t": "refused", "id": n, "code": .., "message": .., "help": ..}
                 {"t": "changed", "project": text}                  what its webhooks are may be something else now

Both are one user's processes on one machine; neither is a stranger to the other.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from perdure_runner import frames

from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Incoming

BEHIND: Final = "PERDURE_BEHIND"
"""The environment variable that tells a coordinator that it is behind a gateway; it is removed when it is read."""


@dataclass(frozen=True, slots=True)
class Behind:
    """What a coordinator has from its gateway: two sockets, and how others reach the gateway.

    `wire`: an end of the pair. `http`: one that listens for requests that the gateway passes on. `at`: HOST:PORT with
    the port that it got. `plain`: without TLS, on loopback. `gateway`: the process.
    """

    wire: int
    http: int
    at: str
    plain: bool
    gateway: int

    def environment(self) -> dict[str, str]:
        """The variable that says so."""
        return {BEHIND: f"{self.wire} {self.http} {int(self.plain)} {self.gateway} {self.at}"}

    @classmethod
    def taken(cls) -> Self | None:
        """What this process was told; None: it is behind no gateway. Its own children will not be told."""
        told = os.environ.pop(BEHIND, "")
        if not told:
            return None
        wire, http, plain, gateway, at = told.split(" ", 4)
        for descriptor in (int(wire), int(http)):
            os.set_inheritable(descriptor, False)
        return cls(int(wire), int(http), at, plain == "1", int(gateway))


class Wire(asyncio.Protocol):
    """One end. `heard` gets each frame, `cut` is called when there will be no more; both on the loop.

    `full`: the other end has not read what it was told; `room` is called when it has.
    """

    def __init__(
        self,
        heard: Callable[[frames.Header, bytes], None],
        cut: Callable[[], None],
        room: Callable[[], None] = lambda: None,
    ) -> None:
        self._heard = heard
        self._cut = cut
        self._room = room
        self.full = False
        self._parser = frames.Parser()
        self._transport: asyncio.Transport | None = None

    async def open(self, sock: socket.socket) -> None:
        """Before all else."""
        await asyncio.get_running_loop().create_connection(lambda: self, sock=sock)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for header, payload in self._parser.feed(data):
            self._heard(header, payload)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # asyncio says so
        self._transport = None
        self._cut()

    def pause_writing(self) -> None:
        self.full = True

    def resume_writing(self) -> None:
        self.full = False
        self._room()

    def say(self, header: frames.Header, payload: bytes = b"") -> None:
        """Nothing happens when the other end is gone: `cut` tells."""
        if self._transport is not None:
            self._transport.write(frames.encode(header, payload))

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


def event_header(incoming: Incoming) -> frames.Header:
    """All of it but the data."""
    return {
        "t": "event",
        "project": incoming.project,
        "source": incoming.source,
        "source_type": incoming.source_type,
        "event_type": incoming.event_type,
        "memo": dict(incoming.memo),
        "dedup": incoming.dedup,
        "event_id": incoming.event_id,
        "created_us": incoming.created_us,
        "promised": incoming.promised,
    }


def incoming_of(header: Mapping[str, Any], data: bytes) -> Incoming:
    """From what `event_header` made."""
    told = {name: value for name, value in header.items() if name not in {"t", "id"}}
    return Incoming(data=data, **told)


def refusal(error: PerdureError) -> frames.Header:
    return {"t": "refused", "code": error.code, "message": error.message, "help": error.help}


def refused(header: Mapping[str, Any]) -> PerdureError:
    return PerdureError(header["code"], header["message"], help=header["help"])

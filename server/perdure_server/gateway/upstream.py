"""The coordinator, as its gateway knows it: one after the other, each on a wire of its own."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from perdure_runner import frames

from perdure_server.web import wire

AT_ONCE: Final = 256  # questions that the coordinator has before it; more wait for their turn


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """`answer` is cancelled to ask it no more, or fails with what the coordinator refuses."""

    header: frames.Header
    payload: bytes
    answer: asyncio.Future[frames.Header]


class Upstream:
    """`arrived` is called with the projects of each new coordinator, `changed` with one that it says is, on the loop.

    A coordinator that dies before it has answered has done what was asked, or not: the next one is asked again, all in
    the order in which they were asked first.
    """

    def __init__(self) -> None:
        self.arrived: Callable[[Sequence[str]], None] = lambda _: None
        self.changed: Callable[[str], None] = lambda _: None
        self._there = asyncio.Event()
        self._wire: wire.Wire | None = None
        self._asked: dict[int, Asked] = {}  # and not answered, by number
        self._line = OrderedDict[int, Asked]()  # those that this coordinator was not told yet
        self._told: set[int] = set()  # those that it was
        self._ever_told: set[int] = set()  # those that it was, or one before it
        self._numbers = itertools.count(1)
        self.event_bytes = 0
        self.came = False  # the newest coordinator did come

    @property
    def is_there(self) -> bool:
        return self._there.is_set()

    async def attach(self, sock: socket.socket) -> None:
        """Our end of the wire to the next coordinator; the one before is dead."""
        self.close()
        self.came = False
        self._wire = opened = wire.Wire(self._heard, lambda: self._cut(opened), self._say)
        await opened.open(sock)

    async def there(self) -> None:
        """Returns when there is one."""
        await self._there.wait()

    def ask(self, header: frames.Header, payload: bytes = b"", *, first: bool = False) -> Asked:
        """As soon as there is a coordinator that has time for it. `first`: before all that wait."""
        number = next(self._numbers)
        asked = Asked(header | {"id": number}, payload, asyncio.get_running_loop().create_future())
        self._asked[number] = asked
        asked.answer.add_done_callback(lambda _: self._over(number))
        self._line[number] = asked
        if first:
            self._line.move_to_end(number, last=False)
        self._say()
        return asked

    def was_told(self, asked: Asked) -> bool:
        """May a coordinator have done it?"""
        return asked.header["id"] in self._ever_told

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._cut(self._wire)

    def _say(self) -> None:
        """What there is room for."""
        while self._line and self._wire is not None and self.is_there:
            if self._wire.full or len(self._told) >= AT_ONCE:
                return
            number, asked = self._line.popitem(last=False)
            if not asked.answer.done():
                self._told.add(number)
                self._ever_told.add(number)
                self._wire.say(asked.header, asked.payload)

    def _over(self, number: int) -> None:
        del self._asked[number]
        self._line.pop(number, None)
        self._told.discard(number)
        self._ever_told.discard(number)
        self._say()

    def _heard(self, header: frames.Header, _payload: bytes) -> None:
        match header["t"]:
            case "here":
                self.event_bytes = header["bytes"]
                self.came = True
                self._there.set()
                self._line = OrderedDict(self._asked)
                self.arrived(header["projects"])
                self._say()
            case "changed":
                self.changed(header["project"])
            case kind:
                asked = self._asked.get(header["id"])
                if asked is None or asked.answer.done():
                    return
                if kind == "refused":
                    asked.answer.set_exception(wire.refused(header))
                else:
                    asked.answer.set_result(header)

    def _cut(self, cut: wire.Wire) -> None:
        if cut is self._wire:
            self._wire = None
            self._there.clear()
            self._told.clear()

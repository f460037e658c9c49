"""What receives requests of others, as the coordinator said it last: known while it is away, too."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence
from typing import Final

from perdure_server.core.errors import PerdureError
from perdure_server.gateway.upstream import Upstream
from perdure_server.web.receivers import Connected, Found, Receivers, connection_of, resolve

_KEPT: Final = 10_000
_WAIT_S: Final = 30.0  # for a coordinator, where only it knows
_WAITING: Final = 500  # names that requests wait for so: strangers may ask for anything, and the others want room
_AT_ONCE: Final = 32  # of them that are asked for: questions go before events, and must leave these time


class Tables:
    """By the first part of a path: a project's name, or a slug. What was said to have changed is asked for again."""

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._known: dict[str, Sequence[Receivers]] = {}
        self._names: dict[str, set[str]] = {}  # by project: which of those may mean something of it
        self._changes = 0
        self._changed: dict[str, int] = {}  # the number of each project's last change
        self._needed: dict[tuple[str, int], asyncio.Task[Sequence[Receivers]]] = {}  # by name, and changes when needed
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._asking: set[asyncio.Task[None]] = set()

    async def find(self, path: str) -> Found:
        """Raises P0223: nothing receives webhooks there; P0207: it is not known yet, and there is no coordinator."""
        found = resolve(await self._of(path.partition("/")[0]), path)
        if found is None:
            raise PerdureError("P0223", "nothing receives webhooks at this address")
        return found

    async def connection(self, slug: str) -> Connected:
        """Raises P0223: no connection receives events there; P0207 as `find`."""
        found = connection_of(await self._of(slug), slug)
        if found is None:
            raise PerdureError("P0223", "no connection receives events at this address")
        return found

    def changed(self, project: str) -> None:
        """Its webhooks may be others now: the next that is sent waits for what they are."""
        self._changes += 1
        self._changed[project] = self._changes
        self._forget(project)
        self._ask_for([project])

    def arrived(self, projects: Sequence[str]) -> None:
        """Another coordinator has come, which has these. What was known is used until it has said what there is now."""
        self._ask_for(dict.fromkeys([*self._names, *projects[:_KEPT]]))

    async def close(self) -> None:
        tasks = {*self._asking, *self._needed.values()}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _ask_for(self, names: Iterable[str]) -> None:
        task = asyncio.create_task(self._ask_each(names))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def _ask_each(self, names: Iterable[str]) -> None:
        for first in names:
            with contextlib.suppress(PerdureError):  # who needs it asks again
                await self._ask(first)

    async def _of(self, first: str) -> Sequence[Receivers]:
        tables = self._known.get(first)
        return await self._ask_soon(first) if tables is None else tables

    async def _ask_soon(self, first: str) -> Sequence[Receivers]:
        """One question for all who need this answer: each may have been sent a thousand requests."""
        key = (first, self._changes)
        asking = self._needed.get(key)
        if asking is None:
            if len(self._needed) >= _WAITING:
                raise _away()
            asking = self._needed[key] = asyncio.create_task(self._ask_in_turn(first))
            asking.add_done_callback(lambda done: self._answered(key, done))
        return await asyncio.shield(asking)

    def _answered(self, key: tuple[str, int], done: asyncio.Task[Sequence[Receivers]]) -> None:
        del self._needed[key]
        if not done.cancelled():
            done.exception()  # seen, even if nobody waits any more

    async def _ask_in_turn(self, first: str) -> Sequence[Receivers]:
        try:
            async with asyncio.timeout(_WAIT_S), self._turns:
                return await self._ask(first)
        except TimeoutError:
            raise _away() from None

    async def _ask(self, first: str) -> Sequence[Receivers]:
        """What there is nothing for is not kept: a stranger may ask for very much of that."""
        before = self._changes
        told = await self._upstream.ask({"t": "find", "first": first}, first=True).answer
        tables = [Receivers.of_json(table) for table in told["tables"]]
        named = {first, *(table.project for table in tables)}
        if all(self._changed.get(project, 0) <= before for project in named):  # else it may be older than the change
            self._forget(first)
            if any(table.each or table.connections for table in tables):
                self._keep(first, tables)
            for table in tables:
                if table.project == first:
                    for slug in table.slugs():
                        self._keep(slug, [table])
        return tables

    def _keep(self, first: str, tables: Sequence[Receivers]) -> None:
        self._drop(first)
        if len(self._known) >= _KEPT:
            self._drop(next(iter(self._known)))  # the one that was asked for longest ago
        self._known[first] = tables
        for table in tables:
            self._names.setdefault(table.project, set()).add(first)

    def _forget(self, project: str) -> None:
        """All that may be of it, whatever its name."""
        for first in [project, *self._names.get(project, ())]:
            self._drop(first)

    def _drop(self, first: str) -> None:
        for table in self._known.pop(first, ()):
            names = self._names[table.project]
            names.discard(first)
            if not names:
                del self._names[table.project]


def _away() -> PerdureError:
    return PerdureError("P0207", "the coordinator is away", help="try again in a while")

"""Events for running sessions: who has subscribed, and which event is the next of a wait.

Nothing is kept for a subscription but how far it has come: events are found in the store when somebody waits for them.
So none is lost between `subscribe` and `next_event`, and what is told here may be told twice, late, or (after a crash)
by the sweep.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from perdure_proto.v1 import journal_pb2 as pb

from perdure_server.coordinator.triggering.presenting import event_json
from perdure_server.coordinator.turns import Turns
from perdure_server.coordinator.waits import Given, unpack, wait_point
from perdure_server.core import events as ev
from perdure_server.core.errors import PerdureError
from perdure_server.core.filters import Filter, compile_filter, headers_of
from perdure_server.core.state import WaitPoint
from perdure_server.store import SPILL_BYTES, EventRow, Mutation, SubscriptionRow, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_PAGE: Final = 25  # events that are looked at together: each may have megabytes
_PAGES: Final = 4  # that are kept for the next filter
_THREADS: Final = 4
"""That look for events. Filters are what sessions say and may take long; others that want a thread do not wait."""
_ALL: Final = ""  # in place of a project: it is for all of them
_WORTH_KEEPING: Final = 20  # after so many events that are not meant, how far a look came is stored

Attempt = Callable[[], Awaitable[Any]]
Source = tuple[str, str]
"""A project, and the name of a trigger or a connection of it."""


class Looked(NamedTuple):
    """What a look for an event of a subscription came to."""

    event: EventRow | None
    row: SubscriptionRow
    upto: int
    """Events up to here are not meant."""
    steps: int


class Found(NamedTuple):
    """What ends a wait."""

    wait: WaitPoint
    given: Given


class Heard(dict[tuple[str, str], bool]):
    """Whether subscriptions, by session and id, mean one event: what was found out before."""


class Subscriptions:
    """Sees to it that a wait for events ends when there is one."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self._looking: set[str] = set()
        self._again: set[str] = set()
        # By project and source: first and last place of events that nobody was told of. Each project is told by itself.
        self._arrived: dict[str, dict[str, tuple[int, int]]] = {}
        self._bells: dict[str, set[asyncio.Event]] = {}  # of sessions whose code asks past the journal
        self._turns = Turns(_THREADS, "perdure-events")

    # ---- an event has come

    def arrived(self, project: str, source: str, seq: int) -> int:
        """An event is durable: let those go on that wait for it. How many subscriptions its source has."""
        count = self._c.store.subscribers_counted(project, source)
        if count:
            if project not in self._arrived:
                self._arrived[project] = {}
                self._c.spawn(self._tell(project))
            arrived = self._arrived[project]
            first, last = arrived.get(source, (seq, seq))
            arrived[source] = min(first, seq), max(last, seq)
        return count

    async def _tell(self, project: str) -> None:
        arrived = self._arrived[project]
        try:
            while arrived:
                source = next(iter(arrived))
                first, last = arrived.pop(source)
                for session_id in await self._turns.run(project, self._meant, (project, source), first, last):
                    await self._wake(session_id)
        finally:
            del self._arrived[project]

    def _meant(self, source: Source, first: int, last: int) -> list[str]:
        """Sessions that events from `first` to `last` are meant for: those in memory, and those that wait for them."""
        sessions: dict[str, set[str]] = {}
        rows = self._c.store.subscribers(*source, last)
        events = _Events(self._c, *source)
        for row in rows:
            start = max(first - 1, row.after_seq)
            if events.first(row.filter, start, last) is not None:
                sessions.setdefault(row.session_id, set()).add(row.subscription_id)
        return [name for name, ids in sessions.items() if name in self._c.actors or self._waits_for(name, ids)]

    def _waits_for(self, session_id: str, subscriptions: set[str]) -> bool:
        record = self._c.store.load_session(session_id)
        if record is None or record.ended_us is not None or record.waiting is None:
            return False
        return any(subscriptions & set(wait_point(entry).subscriptions) for entry in unpack(record.waiting))

    async def _wake(self, session_id: str) -> None:
        self.ring(session_id)
        if (actor := self._c.actors.get(session_id)) is not None:
            actor.look_for_event()
        elif (actor := await self._c.loading.actor(session_id)) is not None:
            actor.settle()  # loading has looked; it stays as long as that takes

    async def listened(self, event_id: str, heard: Heard) -> bool:
        """May a session answer this event: has one that lives had it, or is one still to have it?"""
        event = await asyncio.to_thread(self._c.store.event, event_id)
        return event is not None and await self._turns.run(event.project, self._listened, event, heard)

    def _listened(self, event: EventRow, heard: Heard) -> bool:
        for row in self._c.store.subscribers(event.project, event.source, event.seq):
            name = row.session_id, row.subscription_id
            if name not in heard:
                heard[name] = is_meant(compile_filter(row.filter), event)
            if heard[name]:
                return True
        return self._c.store.takers_alive(event.seq)  # last: who has no subscription any more had it before

    async def forgotten(self) -> list[str]:
        """Suspended sessions that wait for an event which is there: there are none, unless the coordinator ended."""
        waiting, seen = await self._turns.run(_ALL, self._forgotten)
        self._keep(seen, worth=1)
        return waiting

    def _forgotten(self) -> tuple[list[str], list[Looked]]:
        behind: dict[str, list[SubscriptionRow]] = {}
        for row in self._c.store.subscriptions_behind():
            if row.session_id not in self._c.actors:
                behind.setdefault(row.session_id, []).append(row)
        waiting: list[str] = []
        seen: list[Looked] = []
        for session_id, rows in behind.items():
            looked = self._first(rows)
            seen += looked
            if _best(looked) is not None and self._waits_for(session_id, {row.subscription_id for row in rows}):
                waiting.append(session_id)
        return waiting, seen

    # ---- a session waits

    def look(self, session_id: str) -> None:
        """The session waits for events: find the first, if it is there."""
        if session_id in self._looking:
            self._again.add(session_id)
            return
        self._looking.add(session_id)
        self._c.spawn(self._look(session_id))

    def looks(self, session_id: str) -> bool:
        """Is something being found for the session?"""
        return session_id in self._looking

    async def _look(self, session_id: str) -> None:
        try:
            again = True
            while again:
                self._again.discard(session_id)
                again = await self._look_once(session_id) or session_id in self._again
        finally:
            self._looking.discard(session_id)
            if (actor := self._c.actors.get(session_id)) is not None:
                actor.timer_due()
                actor.settle()

    async def _look_once(self, session_id: str) -> bool:
        """Whether what was found is of no use any more, because the session has gone on."""
        actor = self._c.actors.get(session_id)
        if actor is None:
            return False
        waits = actor.state.waits
        asked = [(wait, actor.waits.left_for(wait)) for wait in waits if wait.subscriptions]
        if not asked:
            return False
        found, seen = await self._turns.run(actor.record.project, self._find, session_id, asked)
        self._keep(seen)
        if self._c.actors.get(session_id) is not actor:
            return False
        if actor.state.waits is not waits:
            return True
        if found is not None:
            actor.handle(ev.EventFound(found.wait.lane, found.wait.ordinal), found.given)
        return False

    def _find(
        self, session_id: str, asked: Sequence[tuple[WaitPoint, pb.Entry | None]]
    ) -> tuple[Found | None, list[Looked]]:
        """What ends one of these waits; each with what is left over for it."""
        seen: list[Looked] = []
        rows = {row.subscription_id: row for row in self._c.store.subscriptions(session_id)}
        for wait, left in asked:
            if left is not None:
                return Found(wait, self._handed_on(left)), seen
            mine = [rows[name] for name in wait.subscriptions if name in rows]
            if not mine:
                return Found(wait, _no_subscription(wait)), seen
            looked = self._first(mine)
            seen += looked
            if (best := _best(looked)) is not None:
                return Found(wait, self._given(best)), seen
        return None, seen

    def _handed_on(self, left: pb.Entry) -> Given:
        payload = left.resolution.payload
        data = payload.data or self._c.blobs.get(payload.blob)
        return Given(left.resolution.name, data, payload.blob)

    def _first(self, rows: Iterable[SubscriptionRow]) -> list[Looked]:
        """The first event of each, as far as it may be the first of all. Those that come meanwhile have a look of their
        own: one that came between two of these would be found by the second only, and so before an older one."""
        looked: list[Looked] = []
        most = self._c.store.last_event_seq()
        for row in rows:
            looked.append(_Events(self._c, row.project, row.source).look(row, most))
            if (event := looked[-1].event) is not None:
                most = event.seq - 1
        return looked

    def _given(self, looked: Looked) -> Given:
        assert looked.event is not None
        text = event_json(looked.event)
        payload = b'{"seq":%d,' % looked.event.seq + text[1:]
        blob = self._c.blobs.put(payload) if len(payload) > SPILL_BYTES else ""
        name = looked.row.subscription_id
        return Given(name, payload, blob, cursor=(name, looked.event.seq))

    def _keep(self, seen: Sequence[Looked], worth: int = _WORTH_KEEPING) -> None:
        """Store how far long looks came: nobody has to look there again, and what lies there may be forgotten."""
        far = [looked for looked in seen if looked.event is None and looked.steps >= worth]
        if not far:
            return

        def write(transaction: Transaction) -> None:
            for looked in far:
                transaction.advance(looked.row.session_id, looked.row.subscription_id, looked.upto)

        self._c.store.submit(Mutation(write, lazy=True), lambda _result: None)

    # ---- past the journal

    def ring(self, session_id: str) -> None:
        """Something came that code of the session may ask for past its journal."""
        for bell in self._bells.get(session_id, ()):
            bell.set()

    async def until(self, session_id: str, attempt: Attempt, timeout_s: float | None) -> Any:
        """Try now, and whenever something has come, until there is a result; None after `timeout_s`."""
        bell, clock = asyncio.Event(), self._c.clock
        end_us = None if timeout_s is None else clock.now_us() + int(timeout_s * 1e6)
        alarm = None if end_us is None else clock.call_at(end_us, bell.set)
        self._bells.setdefault(session_id, set()).add(bell)
        try:
            while (result := await attempt()) is None and (end_us is None or clock.now_us() < end_us):
                await bell.wait()
                bell.clear()
            return result
        finally:
            self._bells[session_id].discard(bell)
            if not self._bells[session_id]:
                del self._bells[session_id]
            if alarm is not None:
                alarm.cancel()

    async def take_next(self, session_id: str, subscriptions: tuple[str, ...]) -> Any:
        """The next event, for code whose calls are not recorded; None if there is none. P0223 for no subscription."""
        asked = [(WaitPoint("", 0, 0, subscriptions=subscriptions), None)]
        actor = self._c.actors.get(session_id)
        project = actor.record.project if actor is not None else _ALL
        while True:
            found, seen = await self._turns.run(project, self._find, session_id, asked)
            self._keep(seen)
            if found is None:
                return None
            if await self._taken(session_id, found.given):
                return json.loads(found.given.payload)

    async def _taken(self, session_id: str, given: Given) -> bool:
        if given.refused:
            raise PerdureError(**json.loads(given.payload))
        assert given.cursor is not None
        name, seq = given.cursor
        now_us = self._c.clock.now_us()
        take = Mutation(lambda transaction: transaction.deliver(session_id, name, seq, now_us))
        result = await self._c.store.commit(take)
        return bool(getattr(result, "value", False))


class _Events:
    """The events of a source, read once for several filters."""

    def __init__(self, c: Coordinator, project: str, source: str) -> None:
        self._c = c
        self._source = (project, source)
        self._pages: dict[int, list[EventRow]] = {}

    def first(self, text: str, after: int, last: int) -> EventRow | None:
        """The first one that the filter is for."""
        return self._look(text, after, last)[0]

    def look(self, row: SubscriptionRow, last: int) -> Looked:
        event, upto, steps = self._look(row.filter, row.after_seq, last)
        return Looked(event, row, upto, steps)

    def _look(self, text: str, after: int, last: int) -> tuple[EventRow | None, int, int]:
        condition = compile_filter(text)
        steps = 0
        while page := self._page(after):
            for event in page:
                if event.seq > last:
                    return None, after, steps
                steps += 1
                if is_meant(condition, event):
                    return event, after, steps
                after = event.seq
        return None, after, steps

    def _page(self, after: int) -> list[EventRow]:
        page = self._pages.get(after)
        if page is None:
            page = self._c.store.events_after(*self._source, after, _PAGE)
            if len(self._pages) < _PAGES:
                self._pages[after] = page
        return page


def is_meant(condition: Filter, event: EventRow) -> bool:
    """Does the filter of a subscription let the event pass?"""
    if not condition.text:
        return True
    data = json.loads(event.data)
    return condition.matches(data, event.event_type, headers_of(data))


def _best(looked: Iterable[Looked]) -> Looked | None:
    """Of several subscriptions the event that came first."""
    found = [each for each in looked if each.event is not None]
    return min(found, key=lambda each: each.event.seq if each.event else 0, default=None)


def _no_subscription(wait: WaitPoint) -> Given:
    names = ", ".join(wait.subscriptions)[:200]
    told = {
        "code": "P0223",
        "message": f"the session has no subscription {names}",
        "help": "it never had, or unsubscribe() has ended it",
    }
    return Given("", json.dumps(told).encode(), refused=True)

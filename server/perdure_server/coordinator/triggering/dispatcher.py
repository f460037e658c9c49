"""Takes events in: one transaction makes an event, what becomes of it at each trigger, and the sessions, durable."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from perdure_server.coordinator.clock import Handle
from perdure_server.coordinator.starting import UNDEPLOYED, new_id
from perdure_server.coordinator.triggering.describing import WebhookUrls
from perdure_server.coordinator.triggering.live import Armed, Event, Group, Live, LiveTriggers
from perdure_server.coordinator.triggering.presenting import event_json
from perdure_server.coordinator.triggering.schedules import Schedules
from perdure_server.coordinator.triggering.waiting import Waiting
from perdure_server.core import ids
from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Accepted, Incoming
from perdure_server.store import DispatchRow, EventRow, Mutation, SessionRecord, Transaction
from perdure_server.store.events import FAILED, PENDING, STARTED

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

_SWEEP_US: Final = 60_000_000
_FEW: Final = 4  # filters that are asked on the loop: each may take 10 ms, but hardly any does
Also = Callable[[Transaction], None]


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is to become of an event at one trigger."""

    row: DispatchRow  # its `event_seq` is still to come
    session: SessionRecord | None = None


class Dispatcher:
    """`start` it before use. `live` knows the triggers, `waiting` what is not started yet, `schedules` the times,
    `urls` the variables that tell sessions of webhooks."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self.live = LiveTriggers(coordinator)
        self.waiting = Waiting(coordinator, self.live)
        self.schedules = Schedules(coordinator, self.live, self.accept)
        self.urls = WebhookUrls(coordinator)
        self._alarm: Handle | None = None
        self._started = False

    async def start(self) -> None:
        """Take up what a coordinator before has left: dispatches that wait, ends not noted, times that have passed."""
        self._started = True
        projects = await asyncio.to_thread(self._c.store.projects)
        for project in projects:
            if not project.endswith(UNDEPLOYED):
                await self.live.of(project)
        await self.waiting.recover()
        for project in projects:
            await self.schedules.reload(project)
        self._sweep_later()

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self.waiting.close()
        self.schedules.close()

    def changed(self, project: str) -> None:
        """Another deployment of the project is active, or none is any more."""
        if self._started and not project.endswith(UNDEPLOYED):
            self._c.spawn(self._reload(project))

    async def _reload(self, project: str) -> None:
        await self.live.of(project)
        self.waiting.reconsider(project)
        await self.schedules.reload(project)

    def ended(self, record: SessionRecord) -> None:
        """The end of a session is durable."""
        if record.event_id:
            self.waiting.ended(record.session_id)

    async def accept(self, incoming: Incoming, *, only: str = "", also: Also | None = None) -> Accepted:
        """Store an event and start what it triggers; `only` this trigger. Returns when all of that is durable.

        `also` is written in the same transaction, and whether the event is new or not. Raises P0206 no active
        deployment, P0231 too large, P0614 the project has used up its share, and what the store raises: then nothing
        has happened. One that was promised is stored even where nothing is deployed any more.
        """
        limit = self._c.settings.event_bytes
        if len(incoming.data) > limit:
            raise PerdureError("P0231", f"the event has {len(incoming.data)} bytes, more than {limit}")
        live = await self.live.of(incoming.project)
        if live is None and not incoming.promised:
            raise PerdureError("P0206", f"project {incoming.project!r} has no active deployment")
        self._c.usage.check(incoming.project, len(incoming.data))
        event = self._event(incoming)
        plans = await self._plans(live, Event(event), only) if live is not None else []

        def write(transaction: Transaction) -> int:
            seq = transaction.insert_event(event)
            if also is not None:
                also(transaction)
            for plan in plans if seq else ():
                if plan.session is not None:
                    transaction.insert_session(plan.session)
                transaction.put_dispatch(replace(plan.row, event_seq=seq))
            return seq

        done: Any = await self._c.store.commit(Mutation(write))
        seq: int = done.value
        return self._accepted(event, seq, plans) if seq else self._known(event, again=bool(incoming.event_id))

    def _event(self, incoming: Incoming) -> EventRow:
        if not incoming.event_id:
            incoming = incoming.stamped(self._c.clock.now_us(), secrets.token_bytes(ids.RANDOM_BYTES))
        return EventRow(
            event_id=incoming.event_id,
            project=incoming.project,
            source=incoming.source,
            source_type=incoming.source_type,
            event_type=incoming.event_type,
            created_us=incoming.created_us,
            data=incoming.data,
            memo=incoming.memo,
            dedup=incoming.dedup or None,
        )

    async def _plans(self, live: Live, event: Event, only: str) -> list[_Plan]:
        met = [armed for armed in live.by_source.get(event.row.source, ()) if only in {"", armed.trigger.name}]
        filters = sum(bool(armed.trigger.filter) for armed in met)
        chosen = await asyncio.to_thread(_starting, met, event) if filters > _FEW else _starting(met, event)
        plans = [await self._plan(armed, event) for armed in chosen]
        if any(plan.row.state == PENDING for plan in plans):
            self.waiting.check_room(event.row.project)
        return plans

    async def _plan(self, armed: Armed, event: Event) -> _Plan:
        name, project = armed.trigger.name, event.row.project
        try:
            await self._c.variables.check(project, armed.deployment.deployment_id)
        except PerdureError as error:
            return _Plan(DispatchRow(0, name, FAILED, reason=str(error)))
        if armed.limited:
            calm = armed.trigger.debounce
            due_us = event.row.created_us + int(calm.for_s * 1e6) if calm else 0
            return _Plan(DispatchRow(0, name, PENDING, group_key=armed.group(event).text(), due_us=due_us))
        if self.waiting.has(project, name) or not armed.has_room(self._c):
            group = Group(project).text()
            return _Plan(DispatchRow(0, name, PENDING, group_key=group, reason="too many sessions wait for a host"))
        session_id = new_id(self._c, ids.SESSION)
        session = armed.session(self._c, event.row, session_id, event_json(event.row, session_id))
        return _Plan(DispatchRow(0, name, STARTED, attempt=1, session_id=session_id), session)

    def _accepted(self, event: EventRow, seq: int, plans: list[_Plan]) -> Accepted:
        """All of it is durable: get it going."""
        self._c.usage.add(event.project, len(event.data))
        started = []
        for plan in plans:
            if plan.session is not None:
                self._c.adopt(plan.session)
                started.append(plan.session.session_id)
            elif plan.row.state == PENDING:
                self.waiting.add(replace(plan.row, event_seq=seq))
        subscribed = self._c.subscriptions.arrived(event.project, event.source, seq)
        return Accepted(event.event_id, seq, new=True, started=tuple(started), subscribed=subscribed)

    def _known(self, event: EventRow, *, again: bool) -> Accepted:
        """`again`: who brings it may have brought it before, and not have heard that it was taken."""
        store = self._c.store
        known = store.event(event.event_id) or store.event_once(event.project, event.source, event.dedup or "")
        if known is None:
            raise PerdureError("P0222", "the event that this one repeats is gone")
        sessions = (row.session_id for row in self._c.store.dispatches(known.seq) if row.session_id)
        new = again and known.created_us == event.created_us
        return Accepted(known.event_id, known.seq, new, started=tuple(sessions))

    # What only happens when something else went wrong: ends of sessions that nobody noted, clocks that were set.

    def _sweep_later(self) -> None:
        due_us = self._c.clock.now_us() + _SWEEP_US
        self._alarm = self._c.clock.call_at(due_us, lambda: self._c.spawn(self._sweep()))

    async def _sweep(self) -> None:
        self.schedules.look_again()
        try:
            await self.waiting.settle_forgotten()
        finally:
            self._sweep_later()


def _starting(met: Sequence[Armed], event: Event) -> list[Armed]:
    """Those for which the event starts a session."""
    return [armed for armed in met if armed.starts(event)]

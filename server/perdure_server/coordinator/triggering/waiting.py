"""Dispatches that are not started yet: for want of room, by the limits of their triggers, or after a failure.

Each is a row in state "pending", so a crash loses none; here is only what says when its turn comes. All that counts
together is a line: as many of it run at once as its trigger allows, in the order of their events.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from perdure_proto.v1 import control_pb2 as pb

from perdure_server.coordinator import signalling
from perdure_server.coordinator.starting import new_id
from perdure_server.coordinator.triggering.alarms import Alarms
from perdure_server.coordinator.triggering.lines import Key, Line, Pending, Slot
from perdure_server.coordinator.triggering.live import Armed, Group, LiveTriggers
from perdure_server.coordinator.triggering.presenting import event_json
from perdure_server.coordinator.triggering.rates import Rates
from perdure_server.coordinator.triggering.settling import settle
from perdure_server.core import ids, limits
from perdure_server.core.errors import PerdureError
from perdure_server.store import DispatchRow, Failed, Mutation, Result, SessionRecord, Transaction
from perdure_server.store.events import DROPPED, FAILED, PENDING, STARTED

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.coordinator")

_STARTING: Final = 16  # sessions that are made durable at once: answers to webhooks share their transaction
_AGAIN_US: Final = 500_000  # when there was no room, or the store failed
_HELP: Final = "raise the trigger's `rate` or `concurrency`, filter its events, or send them again later"


class Waiting:
    """All of it is on the loop; rows are written by the store's transactions."""

    def __init__(self, coordinator: Coordinator, live: LiveTriggers) -> None:
        self._c = coordinator
        self._live = live
        self._count: dict[tuple[str, str], int] = {}  # pending ones, by project and trigger
        self._of_project: Counter[str] = Counter()
        self._lines: dict[Slot, Line] = {}
        self._of_session: dict[str, tuple[Slot, Key]] = {}  # of those that hold a slot
        self._alarms = Alarms(coordinator.clock)
        self._rates = Rates(coordinator.clock)
        self._closed = False
        self._starting = 0
        self._blocked: dict[Slot, None] = {}  # lines that wait until fewer are starting
        self._roomless: dict[Slot, None] = {}  # lines that wait for room among the sessions
        self._newest: dict[Slot, tuple[Pending, int]] = {}  # debounced: the one that counts, time of the first one
        self._orphans: dict[str, list[Pending]] = {}  # of projects without an active deployment

    def has(self, project: str, trigger: str) -> bool:
        """Does anything wait there? Then what comes now has to wait behind it."""
        return (project, trigger) in self._count

    def check_room(self, project: str) -> None:
        """Raises P0614 when as many dispatches of the project are pending as may: they are in memory."""
        most, waiting = self._c.settings.project_pending, self._of_project[project]
        if waiting >= most:
            told = limits.reached("project_pending", str(most), str(waiting))
            raise PerdureError(
                "P0614", f"too many events of project {project!r} wait to start a session: {told}", help=_HELP
            )

    def close(self) -> None:
        self._closed = True
        self._alarms.close()

    async def recover(self) -> None:
        """At the start: from the rows."""
        held, pending = await asyncio.to_thread(
            lambda: (self._c.store.held_dispatches(), self._c.store.pending_dispatches())
        )
        for row in held:
            held_one = Pending(row, Group.of_text(row.group_key))
            armed = self._armed(held_one)
            if armed is not None and armed.sessions:
                self._hold(held_one.slot(held_one.group.slot), held_one.key, row.session_id)
        for row in pending:
            self.add(row)
        await self.settle_forgotten()

    async def settle_forgotten(self) -> None:
        for session_id in await asyncio.to_thread(self._c.store.unsettled_sessions):
            self.ended(session_id)

    # The way in.

    def add(self, row: DispatchRow) -> None:
        """A pending row is durable."""
        pending = Pending(row, Group.of_text(row.group_key))
        place = (pending.group.project, row.trigger_name)
        self._count[place] = self._count.get(place, 0) + 1
        self._of_project[place[0]] += 1
        armed = self._armed(pending)
        if armed is not None and armed.trigger.debounce is not None and not row.attempt:
            self._debounce(pending, armed)
        elif row.due_us > self._c.clock.now_us():
            self._enter_later(row.due_us, pending)
        else:
            self._enter(pending)

    def _enter_later(self, due_us: int, pending: Pending) -> None:
        self._alarms.at(due_us, lambda: None if pending.over else self._enter(pending))

    def _debounce(self, pending: Pending, armed: Armed) -> None:
        """The newest event counts, once it was quiet for a while."""
        calm = armed.trigger.debounce
        assert calm is not None
        slot = pending.slot(pending.group.calm)
        now_us = self._c.clock.now_us()
        before, first_us = self._newest.get(slot, (None, now_us))
        if before is not None:
            self._finish(before, DROPPED, "a newer event came")
        self._newest[slot] = (pending, first_us)
        due_us = now_us + int(calm.for_s * 1e6)
        if calm.max_s:
            due_us = min(due_us, first_us + int(calm.max_s * 1e6))
        self._enter_later(due_us, pending)

    def _enter(self, pending: Pending) -> None:
        """Its time has come: into the line, unless its trigger says otherwise."""
        calm = pending.slot(pending.group.calm)
        if (newest := self._newest.get(calm)) is not None and newest[0] is pending:
            del self._newest[calm]
        armed = self._armed(pending)
        if armed is None:
            self._without_trigger(pending)
            return
        slot = pending.slot(pending.group.slot)
        line = self._lines.setdefault(slot, Line())
        if not self._overlaps(armed, line, pending) or not self._within_rate(armed, pending):
            self._tidy(slot)
            return
        line.append(pending)
        self._pump(slot)

    def _armed(self, pending: Pending) -> Armed | None:
        live = self._live.at_hand(pending.group.project)
        return live.by_name.get(pending.row.trigger_name) if live is not None else None

    def _without_trigger(self, pending: Pending) -> None:
        if self._live.at_hand(pending.group.project) is None:
            self._orphans.setdefault(pending.group.project, []).append(pending)
        else:
            self._finish(pending, DROPPED, "the active deployment has no such trigger")

    def reconsider(self, project: str) -> None:
        """The project's deployment has changed: limits may be others, triggers may be gone."""
        for pending in self._orphans.pop(project, []):
            self._enter(pending)
        for slot in [slot for slot in self._lines if slot[0] == project]:
            self._lines[slot].look_at_all()
            self._pump(slot)

    def _overlaps(self, armed: Armed, line: Line, pending: Pending) -> bool:
        """What a schedule does while its session before still runs; False: this one is not started."""
        if armed.overlap == "skip" and not line.empty and not pending.row.attempt:
            self._finish(pending, DROPPED, "the session before still ran")
            return False
        if armed.overlap == "cancel_old":
            for waiting in line.ready.values():
                for each in waiting:
                    self._finish(each, DROPPED, "a newer event came")
            line.ready.clear()
            line.look_at_all()
            for session_id in filter(None, line.held.values()):
                self._c.spawn(self._stop(session_id))
        return True

    async def _stop(self, session_id: str) -> None:
        try:
            request = pb.StopSessionRequest(session_id=session_id, reason="the next one is due")
            await signalling.stop_session(self._c, request)
        except PerdureError as error:
            log.info("session %s was to make way: %s", session_id, error)  # it has ended

    def _within_rate(self, armed: Armed, pending: Pending) -> bool:
        rate = armed.trigger.rate
        if rate is None or rate.over == "delay" or pending.row.attempt:
            return True
        pace = pending.slot(pending.group.pace)
        if self._rates.free_at(pace, rate):
            self._finish(pending, DROPPED, f"more than {rate.limit} in {rate.per_s:g} s")
            return False
        self._rates.note(pace, rate)
        return True

    # The way out.

    def _pump(self, slot: Slot) -> None:
        """Start what may start."""
        line = self._lines.get(slot)
        while line is not None and line.ready and not self._closed:
            first = next(iter(line.ready.values()))[0]
            armed = self._armed(first)
            if armed is None:
                line.take(first)
                self._without_trigger(first)
                continue
            if armed.sessions and len(line.held) >= armed.sessions:
                return
            if self._starting >= _STARTING:
                self._blocked[slot] = None
                return
            if not armed.has_room(self._c):
                self._wait_for_room(slot)
                return
            following = self._next(line, armed, slot)
            if following is None:
                return
            self._begin(line, following, armed, slot)
        self._tidy(slot)

    def _wait_for_room(self, slot: Slot) -> None:
        if not self._roomless:
            self._alarms.at(self._c.clock.now_us() + _AGAIN_US, self._look_for_room)
        self._roomless[slot] = None

    def _look_for_room(self) -> None:
        roomless, self._roomless = self._roomless, {}
        for slot in roomless:
            self._pump(slot)

    def _begin(self, line: Line, pending: Pending, armed: Armed, slot: Slot) -> None:
        line.take(pending)
        if (rate := armed.delay) is not None:
            self._rates.note(pending.slot(pending.group.pace), rate)
        if armed.sessions:
            self._hold(slot, pending.key, "")
        self._starting += 1
        self._c.spawn(self._start(pending, armed, slot))

    def _next(self, line: Line, armed: Armed, slot: Slot) -> Pending | None:
        """The oldest that its rate allows; else None, and the line is looked at again when one may."""
        rate = armed.delay

        def free_at(head: Pending) -> int:
            return self._rates.free_at(head.slot(head.group.pace), rate) if rate is not None else 0

        found = line.first(free_at, self._c.clock.now_us())
        if found is None and line.later and not 0 < line.alarm_us <= line.later[0][0]:
            line.alarm_us = line.later[0][0]
            self._alarms.at(line.alarm_us, lambda: self._look_again(slot))
        return found

    def _look_again(self, slot: Slot) -> None:
        """A pace is free."""
        if (line := self._lines.get(slot)) is not None:
            line.alarm_us = 0
            self._pump(slot)

    def _hold(self, slot: Slot, key: Key, session_id: str) -> None:
        self._lines.setdefault(slot, Line()).held[key] = session_id
        if session_id:
            self._of_session[session_id] = (slot, key)

    def _release(self, slot: Slot, key: Key) -> None:
        if (line := self._lines.get(slot)) is not None and key in line.held:
            del line.held[key]
            self._pump(slot)

    def _tidy(self, slot: Slot) -> None:
        if (line := self._lines.get(slot)) is not None and line.empty:
            del self._lines[slot]

    async def _start(self, pending: Pending, armed: Armed, slot: Slot) -> None:
        """Make its session durable, and get it going."""
        try:
            await self._try_start(pending, armed, slot)
        finally:
            self._starting -= 1
            blocked, self._blocked = self._blocked, {}
            for each in blocked:
                self._pump(each)

    async def _try_start(self, pending: Pending, armed: Armed, slot: Slot) -> None:
        try:
            await self._c.variables.check(pending.group.project, armed.deployment.deployment_id)
        except PerdureError as error:
            self._release(slot, pending.key)
            self._finish(pending, FAILED, str(error))
            return
        session_id = new_id(self._c, ids.SESSION)
        if armed.sessions:
            self._of_session[session_id] = (slot, pending.key)  # its end may be the next that is heard of it
        try:
            done: Any = await self._c.store.commit(Mutation(lambda tx: self._make(tx, pending, armed, session_id)))
        except PerdureError as error:
            log.error("an event waits longer: %s", error)  # noqa: TRY400
            self._of_session.pop(session_id, None)
            self._release(slot, pending.key)
            self._enter_later(self._c.clock.now_us() + _AGAIN_US, pending)
            return
        self._uncount(pending)
        record: SessionRecord | None = done.value
        if record is None:
            self._of_session.pop(session_id, None)
            self._release(slot, pending.key)
            return
        if (line := self._lines.get(slot)) is not None and pending.key in line.held:
            line.held[pending.key] = session_id
        self._c.adopt(record)
        if armed.overlap == "cancel_old" and line is not None and line.ready:
            self._c.spawn(self._stop(session_id))  # a newer event came while this was written

    def _make(self, tx: Transaction, pending: Pending, armed: Armed, session_id: str) -> SessionRecord | None:
        """None when somebody else has dealt with it."""
        row = tx.dispatch(*pending.key)
        event = tx.event_at(pending.row.event_seq)
        if row is None or event is None or row.state != PENDING:
            return None
        record = armed.session(self._c, event, session_id, event_json(event, session_id))
        tx.insert_session(record)
        started = replace(row, state=STARTED, attempt=row.attempt + 1, session_id=session_id, due_us=0, reason="")
        tx.put_dispatch(started)
        return record

    def _finish(self, pending: Pending, state: str, reason: str) -> None:
        """It is not started at all."""
        self._uncount(pending)

        def write(tx: Transaction) -> None:
            row = tx.dispatch(*pending.key)
            if row is not None and row.state == PENDING:
                tx.put_dispatch(replace(row, state=state, due_us=0, reason=reason))

        self._c.store.submit(Mutation(write, lazy=True), _told)

    def _uncount(self, pending: Pending) -> None:
        if pending.over:
            return
        pending.over = True
        place = (pending.group.project, pending.row.trigger_name)
        self._of_project[place[0]] -= 1
        if not self._of_project[place[0]]:
            del self._of_project[place[0]]
        left = self._count.get(place, 0) - 1
        if left > 0:
            self._count[place] = left
        else:
            self._count.pop(place, None)

    # Ends.

    def ended(self, session_id: str) -> None:
        """The end of a session that was started for an event is durable."""
        holds = self._of_session.pop(session_id, None)
        if self._roomless:
            self._c.soon(self._look_for_room)
        self._c.spawn(self._settle(session_id, holds))

    async def _settle(self, session_id: str, holds: tuple[Slot, Key] | None) -> None:
        now_us = self._c.clock.now_us()
        row: DispatchRow | None = None
        try:
            write = Mutation(lambda tx: settle(tx, session_id, now_us, self._live.at_hand), lazy=holds is None)
            done: Any = await self._c.store.commit(write)
            row = done.value
        except PerdureError as error:
            log.error("what became of session %s is noted later: %s", session_id, error)  # noqa: TRY400
        if holds is not None:
            self._release(*holds)
        if row is not None and row.state == PENDING:
            self.add(row)


def _told(result: Result) -> None:
    if isinstance(result, Failed):
        log.error("what became of an event is not noted: %s", result.error)

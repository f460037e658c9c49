"""The times of schedules: each becomes an event, once.

The event is marked with its time, and in the same transaction the trigger's row says that this time is dealt with: so
no crash and no restart makes one twice, and what has passed without a coordinator is known.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from perdure_server.coordinator.clock import Handle
from perdure_server.coordinator.triggering.live import Armed, LiveTriggers
from perdure_server.coordinator.triggering.presenting import rfc3339
from perdure_server.core import cron, limits
from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Incoming
from perdure_server.manifest.triggers import CatchUp, Schedule, Trigger
from perdure_server.store import Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

log: Final = logging.getLogger("perdure.coordinator")

CAUGHT_UP: Final = 500  # times that are made up for at most
LATE_US: Final[dict[CatchUp, int]] = {"none": 5_000_000, "last": 60_000_000, "all": 60_000_000}
"""A gap of this length is no outage: what falls into it is late, and not missed."""
_AGAIN_US: Final = 1_000_000
_MINUTE_US: Final = 60_000_000
_SECONDS: Final = 60  # of a minute: no schedule comes more often
_HELP: Final = "let one schedule do what several do, or let them come less often"

Accept = Callable[..., Awaitable[Any]]


def due_times(policy: CatchUp, passed: Sequence[int], now_us: int) -> Sequence[int]:
    """Which of the times that have passed (the oldest first) still become events."""
    if not passed or now_us - passed[0] <= LATE_US[policy] or policy == "all":
        return passed
    if policy == "last":
        return passed[-1:]
    return [at_us for at_us in passed if now_us - at_us <= LATE_US[policy]]


def check_ticks(triggers: Iterable[Trigger], most: int, now_us: int) -> None:
    """Raises P0614 when the schedules of a project make more than `most` events in a minute: the first of each."""
    made = 0
    for trigger in triggers:
        if trigger.schedule is not None:
            made += _ticks(trigger.schedule, now_us)
        if made > most:
            told = limits.reached("project_ticks", str(most), f"at least {made}")
            raise PerdureError("P0614", f"the schedules make too many events in a minute: {told}", help=_HELP)


def _ticks(said: Schedule, now_us: int) -> int:
    """In the minute that begins with the next one; none of one that another version of perdure took."""
    try:
        schedule = cron.parse(said.text, said.timezone)
    except PerdureError:
        return 0
    first_us = schedule.next_after(now_us)
    return len(schedule.between(first_us - 1, first_us + _MINUTE_US - 1, _SECONDS)) if first_us is not None else 0


@dataclass(slots=True)
class _Timed:
    armed: Armed
    schedule: cron.Schedule
    last_us: int  # times up to here are dealt with
    alarm: Handle | None = None
    gone: bool = False

    @property
    def name(self) -> str:
        return self.armed.trigger.name

    @property
    def project(self) -> str:
        return self.armed.deployment.project


class Schedules:
    """Of active deployments, in memory: one alarm each."""

    def __init__(self, coordinator: Coordinator, live: LiveTriggers, accept: Accept) -> None:
        self._c = coordinator
        self._live = live
        self._accept = accept
        self._timed: dict[str, list[_Timed]] = {}  # by project
        self._reloading = asyncio.Lock()

    def close(self) -> None:
        for project in list(self._timed):
            self._drop(project)

    def _drop(self, project: str) -> None:
        for timed in self._timed.pop(project, ()):
            timed.gone = True
            if timed.alarm is not None:
                timed.alarm.cancel()

    async def reload(self, project: str) -> None:
        """Go by the project's active deployment from now on."""
        async with self._reloading:
            live = await self._live.of(project)
            rows = await asyncio.to_thread(self._c.store.triggers, project)
            self._drop(project)
            if live is None:
                return
            last_us = {row.name: max(row.last_us, row.created_us) for row in rows}
            made_us = live.deployment.created_us
            timed = [
                _Timed(armed, schedule, max(made_us, last_us.get(armed.trigger.name, 0)))
                for armed in live.by_name.values()
                if (schedule := _schedule(armed)) is not None
            ]
            self._timed[project] = timed
            for each in timed:
                self._look(each)

    def next_us(self, project: str, name: str) -> int:
        """When the schedule makes its next event; 0: never."""
        for timed in self._timed.get(project, ()):
            if timed.name == name:
                following = timed.schedule.next_after(max(timed.last_us, self._c.clock.now_us()))
                return following + self._jitter_us(timed, following) if following is not None else 0
        return 0

    def look_again(self) -> None:
        """Somebody may have set the clock since the alarms were."""
        for timed in itertools.chain.from_iterable(list(self._timed.values())):
            if timed.alarm is not None:
                timed.alarm.cancel()
                self._look(timed)

    def _look(self, timed: _Timed) -> None:
        """Make events of what has passed, or wait for the next time."""
        timed.alarm = None
        if timed.gone:
            return
        now_us = self._c.clock.now_us()
        following = timed.schedule.next_after(timed.last_us)
        if following is None:
            return
        due_us = following + self._jitter_us(timed, following)
        if due_us > now_us:
            timed.alarm = self._c.clock.call_at(due_us, lambda: self._look(timed))
            return
        passed = timed.schedule.between(following, now_us, CAUGHT_UP)
        policy = timed.armed.trigger.schedule.catch_up if timed.armed.trigger.schedule is not None else "none"
        chosen = due_times(policy, [following, *passed][-CAUGHT_UP:], now_us)
        self._c.spawn(self._fire(timed, chosen, passed[-1] if passed else following))

    async def _fire(self, timed: _Timed, times: Sequence[int], last_us: int) -> None:
        """One event for each of the times, in order; then all up to `last_us` is dealt with."""
        for at_us in times:
            try:
                await self._event(timed, at_us)
            except PerdureError as error:
                if not timed.gone:
                    log.error("schedule %s of %s is late: %s", timed.name, timed.project, error)  # noqa: TRY400
                    again_us = self._c.clock.now_us() + _AGAIN_US
                    timed.alarm = self._c.clock.call_at(again_us, lambda: self._look(timed))
                return
            timed.last_us = at_us
        timed.last_us = max(timed.last_us, last_us)
        self._look(timed)

    async def _event(self, timed: _Timed, at_us: int) -> None:
        data = {
            "scheduled_at": rfc3339(at_us),
            "schedule": timed.schedule.text,
            "timezone": timed.schedule.zone.key,
        }

        def dealt_with(transaction: Transaction) -> None:
            transaction.trigger_fired(timed.project, timed.name, at_us)

        incoming = Incoming(
            project=timed.project,
            source=timed.name,
            source_type="schedule",
            event_type="tick",
            data=json.dumps(data).encode(),
            dedup=str(at_us),
        )
        await self._accept(incoming, also=dealt_with)

    def _jitter_us(self, timed: _Timed, at_us: int) -> int:
        """The same for the same time of the same trigger, and never past the next time."""
        jitter_s = timed.armed.trigger.schedule.jitter_s if timed.armed.trigger.schedule is not None else 0.0
        if not jitter_s:
            return 0
        following = timed.schedule.next_after(at_us)
        most_us = int(jitter_s * 1e6) if following is None else min(int(jitter_s * 1e6), following - at_us - 1)
        seed = hashlib.sha256(f"{timed.project}\0{timed.name}\0{at_us}".encode()).digest()
        return int.from_bytes(seed[:8]) % (most_us + 1)


def _schedule(armed: Armed) -> cron.Schedule | None:
    trigger = armed.trigger
    if trigger.schedule is None:
        return None
    try:
        return cron.parse(trigger.schedule.text, trigger.schedule.timezone)
    except PerdureError as error:
        # It was checked at deploy: by another version of perdure, or of the time zones.
        log.error("schedule %s of %s: %s", trigger.name, armed.deployment.project, error)  # noqa: TRY400
        return None

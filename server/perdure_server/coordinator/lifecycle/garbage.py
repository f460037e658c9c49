"""What nobody needs any more is deleted: a little at a time, so that nothing else waits for it.

Sessions and events go by age. A build goes with the last deployment and session that have it, a deployment when it is
inactive, without sessions, and not one of its project's newest. A blob goes when nothing refers to it.

What is about to be used is safe: builds that somebody asked for, and blobs that were stored, less than `unused_s` ago
are left alone. References to older blobs are made only by copying rows (forks), never after the last row that has them
is deleted; and rows of sessions are deleted by the holder of `busy` alone: so journals can be read page by page.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from typing import TYPE_CHECKING, Any, Final, TypeVar

from perdure_server.coordinator.clock import Handle
from perdure_server.core.errors import PerdureError
from perdure_server.store import Mutation, Position, Transaction

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

T = TypeVar("T")
log: Final = logging.getLogger("perdure.coordinator")

ROWS: Final = 200  # deleted in one transaction
NEWEST_DEPLOYMENTS: Final = 10  # of each project that are kept for rolling back
_AT_ONCE: Final = 50  # sessions in one transaction
_PAGE: Final = 500  # sessions looked at at once
_SCANNED: Final = 2_000  # entries read at once


@dataclass(slots=True)
class Collected:
    """How many were deleted, or would be; `bytes` of builds and blobs."""

    sessions: int = 0
    events: int = 0
    builds: int = 0
    blobs: int = 0
    bytes: int = 0


class Garbage:
    """Collects when it is asked to and, once it is told to `watch_over`, from time to time.

    Who holds `busy` may delete rows of sessions.
    """

    def __init__(self, coordinator: Coordinator) -> None:
        self._c = coordinator
        self.busy = asyncio.Lock()
        self._alarm: Handle | None = None

    def watch_over(self) -> None:
        if self._c.settings.collect_s:
            due_us = self._c.clock.now_us() + int(self._c.settings.collect_s * 1e6)
            self._alarm = self._c.clock.call_at(due_us, lambda: self._c.spawn(self._now_and_then()))

    def close(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()

    async def _now_and_then(self) -> None:
        try:
            found = await self.collect()
            if found != Collected():
                log.info("collected %s", found)
        except PerdureError as error:
            log.error("old sessions, events and builds stay for now: %s", error)  # noqa: TRY400  # told; tried again
        self.watch_over()

    async def collect(self, sessions_s: float = 0.0, events_s: float = 0.0, *, dry_run: bool = False) -> Collected:
        """Delete what is older than this; 0: than the settings say, where 0 is for ever.

        `dry_run`: only count. What is needed by sessions or events alone that would be deleted is not counted then.
        """
        settings, now_us = self._c.settings, self._c.clock.now_us()
        sessions_us = _before(now_us, sessions_s or settings.session_retention_s)
        events_us = _before(now_us, events_s or settings.event_retention_s)
        unused_us = now_us - int(settings.unused_s * 1e6)
        async with self.busy:
            found = Collected()
            found.sessions = await self._sessions(sessions_us, dry_run=dry_run)
            found.events = await self._events(events_us, dry_run=dry_run)
            await self._builds(unused_us, found, dry_run=dry_run)
            await self._blobs(unused_us, found, dry_run=dry_run)
            if not dry_run:
                needed = await asyncio.to_thread(self._c.store.origins_imported)
                await asyncio.to_thread(self._c.keys.drop_imports, needed, unused_us)
        if not dry_run and (found.sessions or found.events):
            self._c.usage.deleted()
        return found

    async def remove(self, sessions: Sequence[str], over_before_us: int | None = None) -> int:
        """Delete ended sessions, a few rows at a time; `over_before_us`: if their time is over. How many are gone."""
        count, waiting = 0, list(sessions)
        while waiting:
            batch = waiting[:_AT_ONCE]

            def write(transaction: Transaction, batch: Sequence[str] = batch) -> tuple[int, int]:
                dealt_with, gone, left = 0, 0, ROWS
                for session_id in batch:
                    left = transaction.remove_session(session_id, left, over_before_us)
                    if left < 0:
                        break
                    dealt_with += 1
                    gone += transaction.load_session(session_id) is None
                return dealt_with, gone

            dealt_with, gone = await self._write(write)
            count += gone
            del waiting[:dealt_with]
        return count

    async def _sessions(self, before_us: int, *, dry_run: bool) -> int:
        count, after = 0, Position()
        while before_us:
            page = await asyncio.to_thread(self._c.store.sessions_over, before_us, after, _PAGE)
            ids = [each.session_id for each in page]
            count += len(ids) if dry_run else await self.remove(ids, before_us)
            if len(page) < _PAGE:
                break
            after = page[-1]
        return count

    async def _events(self, before_us: int, *, dry_run: bool) -> int:
        if not before_us:
            return 0
        if dry_run:
            return await asyncio.to_thread(self._c.store.events_over, before_us)
        count = 0
        while deleted := await self._write(lambda transaction: transaction.delete_events_before(before_us, ROWS)):
            count += deleted
        return count

    async def _builds(self, before_us: int, found: Collected, *, dry_run: bool) -> None:
        """Deployments first: a build may go with its last one. Their blobs follow."""
        builds = self._c.builds
        unused = await asyncio.to_thread(self._c.store.unused, before_us, NEWEST_DEPLOYMENTS)
        over = [each for each, build in unused.deployments.items() if builds.asked_us(build) < before_us]
        for deployment_id in () if dry_run else over:
            await self._write(methodcaller("drop_deployment", deployment_id))
        if over and not dry_run:
            unused = await asyncio.to_thread(self._c.store.unused, before_us, NEWEST_DEPLOYMENTS)
        for digest in unused.builds:
            # Asked here, on the loop, right before it goes: a session that is to be made has asked for its build.
            if builds.asked_us(digest) < before_us:
                found.builds += dry_run or await self._write(methodcaller("drop_build", digest))
        if not dry_run:
            builds.forget(unused.builds, over)

    async def _blobs(self, before_us: int, found: Collected, *, dry_run: bool) -> None:
        blobs = self._c.blobs
        orphans = await asyncio.to_thread(self._orphans, before_us)
        for digest in orphans:
            freed = await asyncio.to_thread(blobs.size if dry_run else _discarding(blobs.discard, before_us), digest)
            found.blobs += freed > 0
            found.bytes += freed

    def _orphans(self, before_us: int) -> set[str]:
        """Old blobs that nothing refers to."""
        store = self._c.store
        old = set(self._c.blobs.stored_before(before_us)) - store.blobs_named()
        place: tuple[str, int] | None = ("", 0)
        while old and place is not None:
            found, place = store.blobs_in_journals(place, _SCANNED)
            old -= found
        return old - store.blobs_in_results() if old else old

    async def _write(self, write: Callable[[Transaction], T]) -> T:
        done: Any = await self._c.store.commit(Mutation(write))
        written: T = done.value
        return written


def _before(now_us: int, age_s: float) -> int:
    """The time so long ago; 0: never, as before there was time."""
    return now_us - int(min(age_s * 1e6, now_us)) if age_s else 0


def _discarding(discard: Callable[[str, int], int], before_us: int) -> Callable[[str], int]:
    return lambda digest: discard(digest, before_us)

"""Staying with a session until it ends: its output as it comes, what it waits for, Ctrl-C."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import signal
from collections.abc import Callable
from dataclasses import dataclass, field

from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_server.cli import render
from perdure_server.cli.connect import Control

EXIT_CODES = {"completed": 0, "failed": 1, "stopped": 1, "diverged": 4}
EXIT_INTERRUPTED = 130


class Left(enum.Enum):
    """Why nobody follows the session any more."""

    ENDED = "ended"
    INTERRUPTED = "interrupted"  # Ctrl-C or SIGTERM
    DETACHED = "detached"  # it waits for long, and the user asked not to wait with it


@dataclass(slots=True)
class Follower:
    """Follows one session. `after` is the place (ordinal, index) of the last line that was shown before.

    `notice_s`: a wait that lasts longer than this many seconds is spoken of, and ends following with `detach`.
    """

    remote: Control
    session_id: str
    quiet: bool = False
    detach: bool = False
    notice_s: float = 2.0
    after: tuple[int, int] = (0, -1)
    prefix: str = ""
    state: str = "created"
    now: Callable[[], dt.datetime] = field(default=lambda: dt.datetime.now(dt.UTC))
    _spoken: int = 0

    async def follow(self) -> Left:
        """Until the session ends, the user interrupts, or it waits and `detach` is set."""
        watching = asyncio.ensure_future(self._watch())
        interrupted = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, interrupted.set)
        waiting = asyncio.ensure_future(interrupted.wait())
        try:
            await asyncio.wait({watching, waiting}, return_when=asyncio.FIRST_COMPLETED)
            return watching.result() if watching.done() else Left.INTERRUPTED
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
            for task in (watching, waiting):
                task.cancel()
            await asyncio.gather(watching, waiting, return_exceptions=True)

    async def _watch(self) -> Left:
        request = control.WatchSessionRequest(session_id=self.session_id, until_done=True)
        async for update in self.remote.watch_session(request):
            match update.WhichOneof("update"):
                case "log":
                    self._line(update.log)
                case "session" if self._session(update.session):
                    return Left.DETACHED
        return Left.ENDED

    def _line(self, line: journal.LogLine) -> None:
        """Show a line once: a watcher may be told again what it was told before."""
        place = (line.ordinal, line.index)
        if place > self.after:
            self.after = place
            if not self.quiet:
                render.output(line, self.prefix)

    def _session(self, session: control.Session) -> bool:
        """Take note of a state; True where following ends because of it."""
        self.state = session.state
        if session.state != "waiting" or not session.HasField("waiting_for"):
            return False
        fires_at_us = session.waiting_for.fires_at_us
        if fires_at_us and fires_at_us / 1e6 - self.now().timestamp() < self.notice_s:
            return False
        if not self.quiet and self._spoken != session.entries + 1:
            self._spoken = session.entries + 1
            render.say(f"{self.prefix}waiting for {render.waiting(session, self.now())}")
        return self.detach

"""Staying with a session until it ends: its output as it comes, what it waits for, Ctrl-C."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
from collections.abc import Callable
from dataclasses import dataclass, field

from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal

from perdure_server.cli import documents, fetch, render
from perdure_server.cli.connect import Control
from perdure_server.cli.interrupts import until_interrupted
from perdure_server.cli.main import EXIT_INTERRUPTED

EXIT_CODES = {"completed": 0, "failed": 1, "stopped": 1, "diverged": 4}


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
    now: Callable[[], dt.datetime] = field(default=lambda: dt.datetime.now(dt.UTC))
    left: Left = Left.ENDED
    _state: str = ""
    _wait: bytes = b""
    _entries: int = 0
    """Of the wait that was spoken of last."""

    async def follow(self) -> Left:
        """Until the session ends, the user interrupts, or it waits and `detach` is set."""
        return Left.INTERRUPTED if await until_interrupted(self.watch()) else self.left

    async def watch(self) -> None:
        """The same without regard to signals; what ended it is in `left`.

        Lines that were stored before watching began are asked for once it has begun: so none falls between.
        """
        request = control.WatchSessionRequest(session_id=self.session_id, until_done=True, without_entries=True)
        caught_up = False
        looking = asyncio.get_running_loop().call_later(self.notice_s, self._unplaced)
        try:
            async for update in self.remote.watch_session(request):
                if not caught_up:
                    caught_up = True
                    async for line in self.remote.get_logs(control.GetLogsRequest(session_id=self.session_id)):
                        self._line(line)
                match update.WhichOneof("update"):
                    case "log":
                        self._line(update.log)
                    case "session" if self._session(update.session):
                        self.left = Left.DETACHED
                        return
        finally:
            looking.cancel()

    def _line(self, line: journal.LogLine) -> None:
        """Show a line once: a watcher may be told again what it was told before."""
        place = (line.ordinal, line.index)
        if place > self.after:
            self.after = place
            if not self.quiet:
                render.output(line, self.prefix)

    def _session(self, session: control.Session) -> bool:
        """Take note of a state; True where following ends because of it."""
        before, self._state = self._state, session.state
        if session.state != "waiting" or not session.HasField("waiting_for"):
            return False
        fires_at_us = session.waiting_for.fires_at_us
        if fires_at_us and fires_at_us / 1e6 - self.now().timestamp() < self.notice_s:
            return False
        wait = session.waiting_for.SerializeToString()
        same = wait == self._wait and (before == session.state or session.entries == self._entries)
        self._wait, self._entries = wait, session.entries
        if not (self.quiet or same):
            render.say(f"{self.prefix}waiting for {render.waiting(session, self.now())}")
        return self.detach

    def _unplaced(self) -> None:
        """Say that no host has taken it up, if none has: it may be that none ever will."""
        if not self.quiet and self._state == "created":
            say = "waiting for a host: none that suits it has room (`perdure hosts list` shows them)"
            render.say(f"{self.prefix}{say}; or its project runs as many sessions as it may")


async def attend(follower: Follower, as_json: bool, resume: str) -> int:
    """Stay with a session to its end and say how it ended; returns the exit code.

    `resume` is the command that goes on with the session, said when nobody follows it any more.
    """
    left = await follower.follow()
    remote, session_id = follower.remote, follower.session_id
    if as_json and left is not Left.INTERRUPTED:
        whole = await fetch.whole(remote, session_id)
        documents.emit(documents.session(whole.session, whole.entries, whole.logs, whole.sides))
    session = await remote.get_session(control.GetSessionRequest(session_id=session_id))
    match left:
        case Left.ENDED:
            if not as_json:
                render.ending(session, await fetch.sides(remote, session))
            return EXIT_CODES[session.state]
        case Left.DETACHED:
            render.say(f"session {session_id} waits; to stay with it: {resume}")
            return 0
        case Left.INTERRUPTED:
            render.say(f"interrupted; session {session_id} can go on: {resume}")
            return EXIT_INTERRUPTED

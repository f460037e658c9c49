"""The coordinator behind a gateway: a process of its own, started again when it dies, and gone when the gateway is."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from perdure_server.web.wire import Behind

log: Final = logging.getLogger("perdure.gateway")

_BACKOFF_S: Final = (0.1, 10.0)  # first and longest pause before the next one, when one dies soon after another
_STEADY_S: Final = 10.0  # who has lived so long, has not died soon
Attach = Callable[[socket.socket], Awaitable[None]]


class CoordinatorProcess:
    """Runs `python -m perdure_server ARGUMENTS`, one after the other.

    `listening`: the socket for requests that are passed on; it outlives each of them. `attach` gets our end of the wire
    to each.
    """

    def __init__(
        self, arguments: Sequence[str], listening: socket.socket, at: str, attach: Attach, *, plain: bool
    ) -> None:
        self._command = (sys.executable, "-P", "-m", "perdure_server", *arguments)
        self._listening = listening
        self._at = at
        self._plain = plain
        self._attach = attach
        self._process: asyncio.subprocess.Process | None = None
        self._ending = asyncio.Event()

    async def run(self, came_up: Callable[[], bool]) -> int:
        """Until one ends by itself, or the first cannot even begin; its exit code. `came_up`: did the newest begin?"""
        now = asyncio.get_running_loop().time
        pause_s, any_did = 0.0, False
        while True:
            began = now()
            code = await self._run_one()
            any_did = any_did or came_up()
            if self._ending.is_set() and any_did and not came_up():
                return 0  # it had nothing to end: whatever kept it from beginning, or the signal, is no news
            if self._ending.is_set() or code == 0 or not any_did:
                return code if code >= 0 else 128 - code  # as shells tell of a signal
            steady = came_up() and now() - began >= _STEADY_S
            log.warning("the coordinator %s; starting it again", _how(code))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ending.wait(), pause_s if not steady else 0.0)
                return 0
            pause_s = 0.0 if steady else min(max(_BACKOFF_S[0], 2 * pause_s), _BACKOFF_S[1])

    def end(self) -> None:
        """It ends in order, and no other is started."""
        self._ending.set()
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def _run_one(self) -> int:
        ours, theirs = socket.socketpair()
        with theirs:
            told = Behind(theirs.fileno(), self._listening.fileno(), self._at, self._plain, os.getpid())
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    env=os.environ | told.environment(),
                    pass_fds=(theirs.fileno(), self._listening.fileno()),
                )
            except OSError as error:  # processes, memory or descriptors are used up
                ours.close()
                log.warning("no coordinator can be started: %s", error)
                return 1
        if self._ending.is_set():  # while it was being started
            self.end()
        try:
            await self._attach(ours)
            return await self._process.wait()
        except asyncio.CancelledError:
            self._process.kill()
            raise


def _how(code: int) -> str:
    """What became of a process: "was killed by SIGKILL", "ended with exit code 1"."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:  # a real-time one
        return f"was killed by signal {-code}"

"""Runners that are forked, and in their control group and namespaces, before there is a session for them.

All that a start waits for and that depends on no session is done then: the fork, the namespaces, most of the private
root, and to join a control group, for which the kernel waits for all processors.

They are made for sessions like the last one of their zygote, a moment after it was launched. So a zygote that nobody
uses has none, and in a burst of sessions the zygote forks for them first.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable
from typing import NamedTuple

from perdure_proto.v1.runner_pb2 import Limits

from perdure_runner.host.backend import BackendError
from perdure_runner.host.cgroups import kinds
from perdure_runner.host.holding import Held, Holding
from perdure_runner.host.zygotes import Fork, Forked, Zygote, ZygoteError

_MOMENT_S = 0.01
"""After a launch, until there is time to make another one: the session comes to its code first."""


class Like(NamedTuple):
    """What has to be known of a session before its runner is made. `alone`: without the machine's network."""

    limits: Limits
    alone: bool


class Spare:
    """A runner that waits for a session."""

    def __init__(self, zygote: Zygote, held: Holding, like: Like, ended: Callable[["Spare"], None]) -> None:
        """Have it forked. `ended` is called if it ends without a session.

        Raises:
            ZygoteError, OSError: the zygote is gone, or this machine is out of something.
        """
        self.held = held
        self._like = like
        self._settled = False
        groups = held.joining()
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.setblocking(False)
        try:
            self.process = zygote.fork_spare(theirs.detach(), groups, lambda _status: ended(self), alone=like.alone)
        except ZygoteError:
            self._line.close()
            raise

    def suits(self, like: Like) -> bool:
        """Whether such a session can have it: who is without the machine's network does not get it back."""
        return self._like.alone <= like.alone and kinds(self._like.limits) == kinds(like.limits)

    @property
    def settled(self) -> bool:
        """Whether it came to wait."""
        if not self._settled:
            with contextlib.suppress(OSError):
                self._settled = bool(self._line.recv(1))
        return self._settled

    def waits(self) -> bool:
        """Whether it can be launched."""
        return self.settled and not self._is_gone()

    def _is_gone(self) -> bool:
        try:
            return not self._line.recv(1)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def launch(self, fork: Fork, ended: Callable[[int | None], None]) -> Forked:
        """Make it a session's runner; takes over the descriptors.

        Raises:
            ZygoteError: it is gone.
        """
        descriptors = fork.descriptors()
        try:
            socket.send_fds(self._line, [json.dumps(fork.launch()).encode()], descriptors)
        except OSError as error:
            raise ZygoteError(f"a runner that was made ahead is gone: {error}") from None
        finally:
            self._line.close()
            for descriptor in descriptors:
                os.close(descriptor)
        self.process.launched(ended)
        return self.process

    def end(self) -> None:
        """Have it end without a session."""
        self._line.close()


class Spares:
    """Those of one zygote, `count` at most."""

    def __init__(self, zygote: Zygote, held: Held, count: int) -> None:
        self._zygote = zygote
        self._held = held
        self._count = count
        self._like = Like(Limits(), alone=True)  # the session launched last
        self._spares: list[Spare] = []
        self._filling: asyncio.Task[None] | None = None

    def take(self, like: Like) -> Spare | None:
        """Give one for a session that is launched now, in a group with its limits, if there is one; and make more."""
        self._like = like
        self._fill_soon()
        for spare in [each for each in self._spares if each.suits(like) and each.waits()]:
            self._spares.remove(spare)
            try:
                spare.held.limit(like.limits)
            except (OSError, BackendError):  # they are less than it has already
                spare.end()
            else:
                return spare
        return None

    def close(self) -> None:
        """End them all, and make no more."""
        if self._filling is not None:
            self._filling.cancel()
        self._count = 0
        for spare in self._spares:
            spare.end()
        self._spares.clear()

    def _fill_soon(self) -> None:
        if self._filling is None or self._filling.done():
            self._filling = asyncio.get_running_loop().create_task(self._fill())

    async def _fill(self) -> None:
        while self._zygote.alive and sum(spare.suits(self._like) for spare in self._spares) < self._count:
            await asyncio.sleep(_MOMENT_S)
            if not self._zygote.forking and not await self._make(self._like):  # for sessions, that is
                return

    async def _make(self, like: Like) -> bool:
        """Make all that are missing; False if the machine is out of something, which sessions are told.

        First all groups, and in a thread: while a process joins one, the kernel makes none. And the second process that
        joins one hardly waits if the first has just done.
        """
        for spare in [each for each in self._spares if not each.suits(like)]:
            self._spares.remove(spare)
            spare.end()
        missing = self._count - len(self._spares)
        holdings = await asyncio.to_thread(self._hold, like.limits, missing)
        for held in holdings:
            try:
                self._spares.append(Spare(self._zygote, held, like, self._ended))
            except (OSError, ZygoteError):
                held.clean_up()
                missing += 1
        return len(holdings) == missing

    def _hold(self, like: Limits, count: int) -> list[Holding]:
        holdings: list[Holding] = []
        with contextlib.suppress(BackendError):
            while len(holdings) < count:
                holdings.append(self._held.hold_ahead(like))
        return holdings

    def _ended(self, spare: Spare) -> None:
        """It has ended without a session. If something has killed it, there is to be another one."""
        spare.held.clean_up()
        if spare in self._spares:
            self._spares.remove(spare)
            if spare.settled and self._zygote.alive:
                self._fill_soon()
            spare.end()

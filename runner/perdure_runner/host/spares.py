"""Runners that are forked, and in their control group and namespaces, before there is a session for them.

All that a start waits for and that depends on no session is done then: the fork, the namespaces, most of the private
root, and to join a control group, for which the kernel waits for all processors.

They are made for sessions like the last one of their zygote, a moment after it was launched. So a zygote that nobody
uses has none, and in a burst of sessions the zygote forks for them first.

Where there are namespaces, all but one are settled in the place of that last session: its code, limits and network are
what most sessions have that follow it. What is left for their launch is what is this one's alone: its connection, its
limits of memory and of processors. The remaining one suits all sessions.
"""

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from perdure_proto.v1.runner_pb2 import Limits

from perdure_runner.host.backend import BackendError
from perdure_runner.host.cgroups import kinds
from perdure_runner.host.holding import Held, Holding
from perdure_runner.host.zygotes import Fork, Forked, Zygote, ZygoteError

_MOMENT_S = 0.01
"""After a launch, until there is time to make another one: the session comes to its code first."""


_PASSED = 8
"""So many sessions of other places in a row, and a runner that is settled in one is given up."""
_FILES = 32
"""Who may have fewer open is settled at its launch only: until then a runner needs some itself."""
_OF_THE_NETWORK = ("/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf")
"""What who has the machine's network sees besides (`child/sandbox/places.py`): other files when that is changed."""


class Settled(NamedTuple):
    """A place that a runner is in: what `confining.confine` said of it, and which folders and files these were then.

    One that was removed and made anew is another one, and a mount of the old one is empty, or out of date.
    """

    confine: Mapping[str, Any]
    shown: Sequence[tuple[int, int]]


class Like(NamedTuple):
    """What has to be known of a session before its runner is made. `alone`: without the machine's network; `confine`:
    what its launch will say, if that is known."""

    limits: Limits
    alone: bool
    confine: Mapping[str, Any] | None = None

    def settled(self) -> Settled | None:
        """Its place, as that is now; None if no runner can be there ahead."""
        if self.confine is None or 0 < self.confine["open_files"] < _FILES:
            return None
        places = [path for name in ("code", "cache", "environment") if (path := self.confine[name])]
        if self.confine["network"] == "all":
            places += filter(os.path.exists, _OF_THE_NETWORK)
        try:
            shown = [(found.st_dev, found.st_ino) for found in map(os.stat, places)]
        except OSError:
            return None
        return Settled(self.confine, shown)


class Spare:
    """A runner that waits for a session."""

    def __init__(
        self,
        zygote: Zygote,
        held: Holding,
        like: Like,
        ended: Callable[["Spare"], None],
        place: Settled | None = None,
    ) -> None:
        """Have it forked, and settled in a place if there is one. `ended` is called if it ends without a session.

        Raises:
            ZygoteError, OSError: the zygote is gone, or this machine is out of something.
        """
        self.held = held
        self.place = place
        self.passed = 0
        """Sessions of other places since one of its own."""
        self._like = like
        self._settled = False
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._line.setblocking(False)
        try:
            groups = held.joining()
            confine = place and place.confine
            told = lambda _status: ended(self)  # noqa: E731 (it is a line)
            self.process = zygote.fork_spare(theirs.detach(), groups, told, alone=like.alone, confine=confine)
        except (OSError, ZygoteError):
            self._line.close()
            theirs.close()
            raise

    def suits(self, like: Like) -> bool:
        """Whether such a session can have it: who is without the machine's network does not get it back."""
        return self._like.alone <= like.alone and kinds(self._like.limits) == kinds(like.limits)

    def at(self, place: Settled | None) -> bool:
        """Whether it is in this place; who is in none can still go to any."""
        return self.place is None or self.place == place

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
    """Those of one zygote, `count` at most. `settle`: all but one in the place of the session launched last."""

    def __init__(self, zygote: Zygote, held: Held, count: int, *, settle: bool) -> None:
        self._zygote = zygote
        self._held = held
        self._count = count
        self._settle = settle
        self._like = Like(Limits(), alone=True)  # the session launched last
        self._spares: list[Spare] = []
        self._filling: asyncio.Task[None] | None = None

    def take(self, like: Like) -> Spare | None:
        """Give one for a session that is launched now, in a group with its limits, if there is one; and make more."""
        self._like = like
        self._fill_soon()
        place = like.settled() if self._settle else None
        suiting = [each for each in self._spares if each.suits(like) and each.at(place) and each.waits()]
        for spare in self._spares:
            spare.passed = 0 if spare.at(place) else spare.passed + 1
        for spare in sorted(suiting, key=lambda each: each.place is None):
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
        while self._zygote.alive and len([*filter(self._keeps, self._spares)]) < self._count:
            await asyncio.sleep(_MOMENT_S)
            if not self._zygote.forking and not await self._make(self._like):  # for sessions, that is
                return

    def _keeps(self, spare: Spare) -> bool:
        """Whether it is of use: for sessions like the last one, or for those whose place it is in, if any come."""
        return spare.suits(self._like) if spare.place is None else spare.passed < _PASSED

    async def _make(self, like: Like) -> bool:
        """Make all that are missing; False if the machine is out of something, which sessions are told.

        First all groups, and in a thread: while a process joins one, the kernel makes none. And the second process that
        joins one hardly waits if the first has just done.
        """
        for spare in [each for each in self._spares if not self._keeps(each)]:
            self._spares.remove(spare)
            spare.end()
        places = self._places(like)
        holdings = await asyncio.to_thread(self._hold, like.limits, len(places))
        failed = len(places) - len(holdings)
        for held, place in zip(holdings, places, strict=False):
            try:
                self._spares.append(Spare(self._zygote, held, like, self._ended, place))
            except (OSError, ZygoteError):
                held.clean_up()
                failed += 1
        return not failed

    def _places(self, like: Like) -> list[Settled | None]:
        """Where those are to be that are missing: one nowhere, for whoever comes."""
        place = like.settled() if self._settle else None
        missing = self._count - len(self._spares)
        anywhere = all(spare.place is not None for spare in self._spares)
        return [place] * (missing - anywhere) + [None] * anywhere

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

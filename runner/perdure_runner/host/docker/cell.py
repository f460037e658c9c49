"""One container for one session: a zygote that waits in it, the folder it shares with its host, and its end.

The folder is bound into the container read-only, at `INSIDE`:

control.sock    until the zygote has connected: from then on that connection is all there is between the two
code/ cache/    the session's build, as hard links: files that nobody can write to any more

The one runner is forked before there is a session, and waits for it: see `host/spares.py`.

So a host needs no word of the engine on what happens inside: the zygote reports it, and its silence says the rest.
Nobody listens to the engine's stream of events, which does not come back when the engine was started anew.
"""

import asyncio
import contextlib
import os
import signal
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perdure_proto.v1.runner_pb2 import Limits, Start

from perdure_runner.host.backend import BackendError, Ended, Files, Launched, LimitReached
from perdure_runner.host.docker.ending import Undertaker
from perdure_runner.host.docker.engine import Engine, EngineError
from perdure_runner.host.docker.images import ENVIRONMENT
from perdure_runner.host.docker.shape import INSIDE, Shape
from perdure_runner.host.egress import Egress
from perdure_runner.host.holding import Holding
from perdure_runner.host.output import Tail
from perdure_runner.host.pythons import Interpreter
from perdure_runner.host.spares import Like, Spare
from perdure_runner.host.zygotes import Fork, Forked, Zygote, ZygoteError

LATER_S = 0.1
"""For a session to start, before its machine does what is less urgent: the engine's work is heavy."""
_LOOK_S = 0.002  # between looks at a runner that comes to wait
_SAID_LINES = 20
_STOPPED_S = 10  # for a container to stop whose zygote is gone
_KILLED = -signal.SIGKILL
_PEER = struct.Struct("3i")  # struct ucred: pid, uid, gid
_MIB = 1 << 20
_NOTHING = Holding(None, None, None)
"""What a runner has of this machine besides its container."""


@dataclass(frozen=True, slots=True)
class Box:
    """A container and its folder, with what it takes to end them."""

    engine: Engine
    undertaker: Undertaker
    egress: Egress
    container: str  # its id
    folder: Path


class Cell:
    """A container with a zygote in it that forks one runner; a `Place`, and the zygote's `Body`."""

    def __init__(self, box: Box, control: socket.socket, shape: Shape, python: Interpreter, keep_bytes: int) -> None:
        """`control` is connected to the zygote; `keep_bytes` of what a runner writes past its frames are kept."""
        self.shape = shape
        self.python = python
        # The zygote's, on this machine: the kernel says so. What it says itself is a number of its own namespace.
        self.pid = _PEER.unpack(control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size))[0]
        self.left: Callable[[Cell], None] | None = None  # called when it gets its runner
        self._box = box
        self._keep_bytes = keep_bytes
        self._runner: Contained | None = None
        self._removed = False
        self._courtesy: asyncio.TimerHandle | None = None
        self._renaming: asyncio.Task[None] | None = None
        self._spare: Spare | None = None  # the runner, until it has its session
        # What is left for the zygote to hold it to: a container has its own network, files and control groups.
        self._confine = {"network": "all", "open_files": shape.open_files, "code": "", "cache": "", "environment": ""}
        self._zygote = Zygote(control, self)

    @property
    def alive(self) -> bool:
        return self._zygote.alive

    async def ready(self) -> None:
        """Wait until its runner waits for a session.

        Raises:
            EngineError: the zygote is gone; the message has the last it said.
        """
        with contextlib.ExitStack() as undo:
            undo.callback(self.remove)
            undo.callback(self.end)
            try:
                await self._zygote.ready
                await self._fork_ahead()
            except ZygoteError:
                said = await self._box.engine.call(lambda client: said_last(client, self._box.container))
                raise EngineError(f"a container's zygote did not start: {said}") from None
            undo.pop_all()

    async def _fork_ahead(self) -> None:
        """Have the runner forked. If it cannot be, or ends early, it is forked for its session. Raises ZygoteError."""
        with contextlib.suppress(OSError):
            like = Like(Limits(), alone=False, confine=self._confine)  # whoever comes: it is of the container's shape
            spare = self._spare = Spare(self._zygote, _NOTHING, like, self._forget, like.settled())
            while not (spare.settled or spare.process.exited):  # noqa: ASYNC110 (its line is not ours to listen to)
                await asyncio.sleep(_LOOK_S)
        if not self.alive:
            raise ZygoteError("the zygote is gone")

    def _forget(self, spare: Spare) -> None:
        self._spare = None
        spare.end()

    def launch(self, start: Start, files: Files, ended: Ended) -> Launched:
        """Have the zygote fork the runner; see `Place.launch`."""
        if self.left is not None:
            self.left(self)
        try:
            _link(files.code, self._box.folder / "code")
            _link(files.cache, self._box.folder / "cache")
            launched = self._fork(start, ENVIRONMENT if files.environment else "", ended)
        except (OSError, BackendError):
            self.end()
            self.remove()
            raise
        name = f"perdure-{start.session_id}-{start.epoch}"
        self._courtesy = asyncio.get_running_loop().call_later(LATER_S, self._rename, name)
        return launched

    def _fork(self, start: Start, environment: str, ended: Ended) -> Launched:
        with contextlib.ExitStack() as undo:
            door = self._box.egress.door(start)
            if door is not None:
                undo.callback(door.close)
                ended = door.until(ended)
            ours, theirs = socket.socketpair()
            undo.callback(ours.close)
            undo.callback(theirs.close)
            output, write_end = os.pipe2(os.O_CLOEXEC)
            said = Tail(asyncio.get_running_loop(), output, self._keep_bytes)
            undo.callback(said.close)
            way_out = None if door is None else door.give()
            asked = Fork(theirs.detach(), write_end, self._confine, egress=way_out)
            self._runner = Contained(self, ended)
            spare = self._spare
            make = spare.launch if spare is not None and spare.waits() else self._zygote.fork
            self._runner.forked = make(asked, self._runner.over)
            undo.pop_all()
        code, cache = f"{INSIDE}/code", f"{INSIDE}/cache"
        return Launched(self._runner, ours, said, code, cache, environment, proxied=door is not None, confined=True)

    def end(self) -> None:
        """Have the zygote end, and with it all that is in the container."""
        self._zygote.kill()

    def kill(self, runners: Iterable[int]) -> None:  # noqa: ARG002 (the container takes them along)
        """Called when the zygote is gone. Somebody still wants to understand the end of some: these remove it."""
        if self._runner is None and self._zygote.ready.done():
            self.remove()

    def last_words(self) -> str:
        return "its container has ended"

    def remove(self) -> None:
        """Remove the container and its folder."""
        if not self._removed:
            self._removed = True
            self._box.undertaker.take(self._remove())

    async def _remove(self) -> None:
        """What the engine renames while it removes it, it lists as "removing" until it is started anew."""
        if self._courtesy is not None:
            self._courtesy.cancel()
        if self._renaming is not None:
            await asyncio.wait((self._renaming,))
        self._box.undertaker.remove(self._box.container, self._box.folder)

    def understand(self, how: Callable[["Post | None"], None]) -> None:
        """Call `how` with what the engine says of the container's end, None if it does not; then remove it."""
        self._box.undertaker.take(self._understand(how))

    async def _understand(self, how: Callable[["Post | None"], None]) -> None:
        post = None
        with contextlib.suppress(EngineError):
            post = await self._box.engine.call(lambda client: _examine(client, self._box.container))
        self.remove()
        how(post)

    def _rename(self, name: str) -> None:
        """Call the container as its session, for who looks at `docker ps`: a courtesy."""

        async def rename() -> None:
            with contextlib.suppress(EngineError):
                await self._box.engine.call(lambda client: client.api.rename(self._box.container, name))

        self._renaming = self._box.undertaker.take(rename())


class Contained:
    """A runner's process in a container; a `Process`. Signals go through the zygote: the engine is not asked."""

    def __init__(self, cell: Cell, ended: Ended) -> None:
        self.pid = cell.pid
        self.exited = False
        self.limit: LimitReached | None = None
        self.forked: Forked | None = None
        self._cell = cell
        self._ended = ended
        self._killed = False

    @property
    def failure(self) -> str:
        return self.forked.failure if self.forked is not None else ""

    def when_known(self, then: Callable[[], None]) -> None:
        then()

    def signal(self, number: int, *, group: bool) -> None:
        if self.exited or self.forked is None:
            return
        if number == signal.SIGKILL:
            self._killed = True
            self._cell.end()
        else:
            self.forked.signal(number, group=group)

    def over(self, status: int | None) -> None:
        """Called by the zygote, or in its place when it is gone: the runner is no more."""
        self._cell.end()
        if self._killed or status not in {None, _KILLED}:
            self._cell.remove()
            self._finish(_KILLED if self._killed else status)
        else:
            self._cell.understand(lambda post: self._conclude(status, post))

    def _conclude(self, status: int | None, post: "Post | None") -> None:
        """See whether it was memory: killed by the kernel, and the engine has noticed that it was for that."""
        if post is not None and post.out_of_memory:
            most = self._cell.shape.memory_bytes // _MIB
            self.limit = LimitReached("P0603", f"memory: limit {most} MiB, all of it used")
            status = _KILLED
        elif post is not None and status is None and post.exit_code > 128:
            status = 128 - post.exit_code
        self._finish(status)

    def _finish(self, status: int | None) -> None:
        self.exited = True
        self._ended(status)


@dataclass(frozen=True, slots=True)
class Post:
    """What the engine says of a container that has stopped."""

    exit_code: int  # 128 and a signal's number, where that ended it
    out_of_memory: bool


def said_last(client: Any, container: str) -> str:
    """Give the last lines that came out of a container past its zygote. Blocks."""
    return str(client.api.logs(container, tail=_SAID_LINES).decode("utf-8", "replace").strip())


def _examine(client: Any, container: str) -> Post:
    client.api.wait(container, timeout=_STOPPED_S)
    state = client.api.inspect_container(container)["State"]
    return Post(int(state["ExitCode"]), bool(state["OOMKilled"]))


def _link(source: Path, target: Path) -> None:
    """Make a folder with the files of another one, as hard links; its links, to folders too, stay links."""
    for folder, folders, names in os.walk(source):
        here = target / os.path.relpath(folder, source)
        here.mkdir()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*names, *links):
            os.link(os.path.join(folder, name), here / name, follow_symlinks=False)

"""The zygotes of a host, one for each interpreter and hash seed, and the runners they fork.

What a zygote is and what it says is in `perdure_runner/child/zygote.py`. Lives on one asyncio loop, without a task of
its own: its socket calls back.
"""

import array
import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from perdure_runner.host import launch
from perdure_runner.host.backend import BackendError, LimitReached
from perdure_runner.host.config import HostConfig
from perdure_runner.host.output import Tail
from perdure_runner.host.pythons import Interpreter
from perdure_runner.host.yielding import yield_to_others

_MAX_PACKET = 4096


@dataclass(frozen=True, slots=True)
class Fork:
    """What a zygote needs for a runner: descriptors, and what `confining.confine` says about limits and places."""

    connection: int
    output: int
    confine: Mapping[str, Any]
    groups: Sequence[int] = ()  # files by which one joins control groups
    egress: int | None = None  # the runner's end of its door

    @property
    def alone(self) -> bool:
        """Whether it is without the machine's network."""
        return self.confine.get("network") != "all"

    def launch(self) -> dict[str, Any]:
        """What is said about the session, to the zygote or to a spare."""
        return {"confine": dict(self.confine), "egress": self.egress is not None}

    def descriptors(self) -> list[int]:
        """What goes with it."""
        return [self.connection, self.output, *(() if self.egress is None else (self.egress,))]


class ZygoteError(BackendError):
    """A zygote did not start, or is gone. The message has the last it said."""


class Forked:
    """A runner's process, as its zygote reports it.

    `ended(status)` is called once: the exit code, a negative signal number, or None when nobody can tell.
    """

    def __init__(self, zygote: "Zygote", number: int, ended: Callable[[int | None], None], *, spare: bool) -> None:
        self._zygote = zygote
        self._number = number
        self._ended = ended
        self.spare = spare  # it waits for a session
        self.pid = 0  # 0: not reported yet
        self._known: Callable[[], None] = _nothing
        self.exited = False
        self.failure = ""  # why no process was made
        self.limit: LimitReached | None = None  # that ended it

    def forked(self, pid: int) -> None:
        """Called by the zygote when the process is there."""
        self.pid = pid
        self._known()

    def when_known(self, then: Callable[[], None]) -> None:
        """Have this called once the pid is known, if it ever is; now, if it is."""
        if self.pid:
            then()
        else:
            self._known = then

    def signal(self, number: int, *, group: bool) -> None:
        """Send a signal to the process or to its group; nothing if it has exited."""
        if not self.exited:
            self._zygote.send({"op": "signal", "id": self._number, "signal": number, "group": group})

    def launched(self, ended: Callable[[int | None], None]) -> None:
        """It is spare no more; have this called at its end."""
        self._ended = ended
        self.spare = False

    def finish(self, status: int | None) -> None:
        """Called by the zygote when the process is no more."""
        if not self.exited:
            self.exited = True
            self._ended(status)


def _nothing() -> None:
    """Nobody waits for the pid."""


class Body(Protocol):
    """What a zygote lives in: a process of this machine, or a container."""

    @property
    def pid(self) -> int: ...
    def kill(self, runners: Iterable[int]) -> None: ...  # it and these, given as it reported their pids
    def last_words(self) -> str: ...


class Zygote:
    """One zygote that serves at the other end of `control`, a SOCK_SEQPACKET socket."""

    def __init__(self, control: socket.socket, body: Body) -> None:
        self._loop = asyncio.get_running_loop()
        self._children: dict[int, Forked] = {}
        self._unsent: deque[tuple[bytes, list[int]]] = deque()
        self._count = 0
        self.ready: asyncio.Future[None] = self._loop.create_future()
        self.alive = True
        self._body = body
        self._control = control
        self._control.setblocking(False)
        self._loop.add_reader(self._control.fileno(), self._read)

    @property
    def pid(self) -> int:
        return self._body.pid

    @property
    def busy(self) -> bool:
        """Whether it has runners, besides spare ones."""
        return any(not child.spare for child in self._children.values())

    @property
    def forking(self) -> bool:
        """Whether it has been asked for runners that it has not forked yet."""
        return any(child.pid == 0 and not child.spare for child in self._children.values())

    def fork(self, asked: Fork, ended: Callable[[int | None], None]) -> Forked:
        """Have a runner forked; takes over all descriptors.

        Raises:
            ZygoteError: the zygote is gone.
        """
        return self._fork(asked.launch(), asked.alone, asked.groups, asked.descriptors(), ended, spare=False)

    def fork_spare(
        self,
        line: int,
        groups: Sequence[int],
        ended: Callable[[int | None], None],
        *,
        alone: bool,
        confine: Mapping[str, Any] | None = None,
    ) -> Forked:
        """Have a runner forked that waits at the other end of `line` for its launch; takes over all descriptors.

        `confine`: where it waits, confined like the session that it is for.

        Raises:
            ZygoteError: the zygote is gone.
        """
        settled = {} if confine is None else {"confine": dict(confine)}
        return self._fork(settled, alone, groups, [line], ended, spare=True)

    def _fork(
        self,
        launch: Mapping[str, Any],
        alone: bool,
        groups: Sequence[int],
        others: Sequence[int],
        ended: Callable[[int | None], None],
        *,
        spare: bool,
    ) -> Forked:
        descriptors = [*groups, *others]
        if not self.alive:
            for descriptor in descriptors:
                os.close(descriptor)
            raise ZygoteError("the zygote is gone")
        self._count += 1
        child = self._children[self._count] = Forked(self, self._count, ended, spare=spare)
        request = {"op": "fork", "id": self._count, "groups": len(groups), "alone": alone, "spare": spare}
        self.send({**request, **launch}, descriptors)
        return child

    def send(self, message: dict[str, Any], descriptors: list[int] | None = None) -> None:
        """Send a request as soon as the socket takes it; takes over the descriptors."""
        self._unsent.append((json.dumps(message).encode(), descriptors or []))
        if len(self._unsent) == 1:
            self._write()

    def kill(self) -> None:
        """End the zygote, and with it its runners."""
        self._gone()

    def _write(self) -> None:
        while self._unsent:
            packet, descriptors = self._unsent[0]
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))] if descriptors else []
            try:
                self._control.sendmsg([packet], rights)
            except BlockingIOError:
                self._loop.add_writer(self._control.fileno(), self._write)
                return
            except OSError:
                self._gone()
                return
            self._unsent.popleft()
            for descriptor in descriptors:
                os.close(descriptor)
        self._loop.remove_writer(self._control.fileno())

    def _read(self) -> None:
        while self.alive:
            try:
                packet = self._control.recv(_MAX_PACKET)
            except BlockingIOError:
                return
            except OSError:
                packet = b""
            if not packet:
                self._gone()
                return
            self._report(json.loads(packet))

    def _report(self, message: dict[str, Any]) -> None:
        match message["op"]:
            case "ready":
                self.ready.set_result(None)
            case "forked":
                self._children[message["id"]].forked(message["pid"])
            case "failed":
                child = self._children.pop(message["id"])
                child.failure = message["reason"]
                child.finish(None)
            case "exited":
                self._children.pop(message["id"]).finish(message["status"])

    def _gone(self) -> None:
        """Make sure the zygote is dead, and with it, by their parent-death signal, its runners."""
        if not self.alive:
            return
        self.alive = False
        self._loop.remove_reader(self._control.fileno())
        self._loop.remove_writer(self._control.fileno())
        self._control.close()
        for _, descriptors in self._unsent:
            for descriptor in descriptors:
                os.close(descriptor)
        self._unsent.clear()
        children, self._children = self._children, {}
        self._body.kill([child.pid for child in children.values() if child.pid])
        if not self.ready.done():
            self.ready.set_exception(ZygoteError(f"a zygote did not start: {self._body.last_words()[-2000:]}"))
            self.ready.exception()  # seen, even if nobody waits
        for child in children.values():
            child.finish(None)


class _Process:
    """A zygote's process on this machine."""

    def __init__(self, process: subprocess.Popen[bytes], said: Tail) -> None:
        self._process = process
        self._said = said
        self.pid = process.pid

    def kill(self, runners: Iterable[int]) -> None:
        self._process.kill()
        self._process.wait()
        self._said.close()
        for pid in runners:  # dead by their parent-death signal; what they started dies with them
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)

    def last_words(self) -> str:
        return self._said.text()


def _spawn(config: HostConfig, python: Interpreter, seed: int, isolation: str) -> Zygote:
    """Start a zygote's process. `isolation`: of its runners, as in `perdure_runner/child/sandbox/cell.py`.

    Raises:
        OSError: this machine is out of something, or the interpreter is gone.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    options = (f"--main={config.main}", f"--isolation={isolation}", f"--state={config.state_dir}")
    command = launch.command(config, python.path, "zygote", f"--control={theirs.fileno()}", *options)
    output, write_end = os.pipe2(os.O_CLOEXEC)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            cwd=launch.home(config),
            env=launch.environment(config, seed),
            pass_fds=(theirs.fileno(),),
            start_new_session=True,
        )
        yield_to_others(process.pid, config.nice)
    except OSError:
        ours.close()
        os.close(output)
        raise
    finally:
        theirs.close()
        os.close(write_end)
    return Zygote(ours, _Process(process, Tail(asyncio.get_running_loop(), output, config.limits.output_bytes)))


class Zygotes:
    """Starts zygotes when they are asked for, and again when they died."""

    def __init__(self, config: HostConfig, isolation: str = "plain") -> None:
        self._config = config
        self.isolation = isolation
        self._zygotes: dict[tuple[str, int], Zygote] = {}
        self._noticed: set[str] = set()

    def __iter__(self) -> Iterator[Zygote]:
        return iter(self._zygotes.values())

    def at_hand(self, python: Interpreter, seed: int) -> Zygote | None:
        """Give the zygote if it is ready."""
        zygote = self._zygotes.get((python.path, seed))
        return zygote if zygote and zygote.alive and zygote.ready.done() else None

    async def get(self, python: Interpreter, seed: int) -> Zygote:
        """Give the zygote, starting it if need be.

        Raises:
            ZygoteError, OSError: it does not start.
        """
        zygote = self.start(python, seed)
        if not zygote.ready.done():
            try:
                await asyncio.wait_for(asyncio.shield(zygote.ready), self._config.patience.start_s)
            except TimeoutError:
                zygote.kill()
                raise ZygoteError("a zygote was not ready in time") from None
        return zygote

    def start(self, python: Interpreter, seed: int) -> Zygote:
        """Start the zygote without waiting for it, unless it runs."""
        key = (python.path, seed)
        zygote = self._zygotes.pop(key, None)
        if zygote is None or not zygote.alive:
            self._make_room()
            zygote = _spawn(self._config, python, seed, self.isolation)
            self._notice(python)
        self._zygotes[key] = zygote  # the last one used is the last in the order
        return zygote

    def kill(self) -> None:
        """End all zygotes and their runners."""
        for zygote in self._zygotes.values():
            zygote.kill()
        self._zygotes.clear()

    def _notice(self, python: Interpreter) -> None:
        """Say on stderr, once, that runners of this kind of interpreter are slow ones."""
        line = "" if python.cache_tag in self._noticed else launch.pure_notice(python.cache_tag)
        self._noticed.add(python.cache_tag)
        if line:
            print(line, file=sys.stderr, flush=True)

    def _make_room(self) -> None:
        self._zygotes = {key: zygote for key, zygote in self._zygotes.items() if zygote.alive}
        idle = [key for key, zygote in self._zygotes.items() if not zygote.busy and zygote.ready.done()]
        for key in idle[: max(0, len(self._zygotes) + 1 - self._config.zygotes)]:
            self._zygotes.pop(key).kill()

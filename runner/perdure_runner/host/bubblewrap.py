"""Runners in bubblewrap: for machines where only a program with privileges may make namespaces, as bwrap often has.

Each session starts an interpreter of its own: nothing can be forked into a sandbox from outside. The code is read-only.

bwrap cannot limit the number of files, so the runner itself does, before there is any code of the user's. For that it
starts with capabilities in its user namespace, which it then gives up for good.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from perdure_proto.v1.runner_pb2 import NETWORK_MODE_ALL, Start

from perdure_runner.host import launch
from perdure_runner.host.backend import BackendError, Ended, Files, Launched, LimitReached
from perdure_runner.host.config import HostConfig
from perdure_runner.host.confining import confine
from perdure_runner.host.egress import Egress
from perdure_runner.host.holding import Held
from perdure_runner.host.output import Tail
from perdure_runner.host.pythons import Interpreter

_ALWAYS = (
    *("--unshare-all", "--unshare-user", "--uid", "1000", "--gid", "1000", "--hostname", "runner", "--cap-drop", "ALL"),
    *("--die-with-parent", "--new-session", "--clearenv"),
)
_RESIZING = ("--cap-add", "CAP_SYS_ADMIN", "--cap-add", "CAP_SETPCAP")  # the second one: to give up both for good
_DEVICES = ("null", "zero", "full", "random", "urandom")
_LINKS = {
    "fd": "/proc/self/fd",
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
}
_WRITABLE = ("/tmp", "/dev/shm")  # noqa: S108 (the session's own)
_NOTHING = "perdure_runner.child.sandbox.locked:nothing"
_KILLED = 128  # bwrap's exit status for a signal is this and its number
_INFO_BYTES = 4096


def tool() -> str | None:
    """The program, if there is one on the PATH."""
    return shutil.which("bwrap")


def trial(program: str, config: HostConfig, python: str) -> list[str]:
    """A command line that ends with status 0 where a runner can limit its files: it tries, on /dev.

    Its standard input must be a socket.
    """
    told = json.dumps({"files": 1, "resized": ["/dev"]})
    attach = launch.command(config, python, "attach", "--fd=0", f"--main={_NOTHING}", f"--confine={told}")
    return [program, *_ALWAYS, *_RESIZING, "--ro-bind", "/", "/", "--proc", "/proc", "--tmpfs", "/dev", "--", *attach]


@dataclass(frozen=True, slots=True)
class Shown:
    """What of this machine an interpreter's sessions see, read-only. `network`: only with the machine's network.

    `filter`: of system calls. A session can write into the memory of bwrap's process, the first of its namespace, so
    that one must not be able to do more than the session itself. `unlimited`: why the number of files cannot be
    limited; "" if it can.
    """

    always: Sequence[str]
    network: Sequence[str]
    filter: bytes
    unlimited: str = ""


class Wrapped:
    """A bwrap process, and the runner in it; a `Process`."""

    def __init__(self, process: "subprocess.Popen[bytes]", info: int) -> None:
        self._process = process
        self._info = info
        self._first = 0
        self.exited = False
        self.failure = ""
        self.limit: LimitReached | None = None

    @property
    def pid(self) -> int:
        """The runner's, once bwrap has started it: the child of the first process of its namespace."""
        if not self._first:
            with contextlib.suppress(OSError, ValueError):
                self._first = json.loads(os.read(self._info, _INFO_BYTES))["child-pid"]
        with contextlib.suppress(OSError):
            children = Path(f"/proc/{self._first}/task/{self._first}/children").read_text().split()
            return int(children[0]) if children else 0
        return 0

    def when_known(self, then: Callable[[], None]) -> None:
        """It is when the runner says anything."""
        then()

    def signal(self, number: int, *, group: bool) -> None:
        """SIGKILL, and signals for all, go to bwrap, with which everything in the sandbox dies."""
        if self.exited:
            return
        if group or number == signal.SIGKILL:
            self._process.kill()
        elif pid := self.pid:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def reap(self) -> int:
        """It has ended: its exit status, negative for a signal."""
        self.exited = True
        os.close(self._info)
        status = self._process.wait()
        return _KILLED - status if status > _KILLED else status


@dataclass(frozen=True, slots=True)
class _Passed:
    """Descriptors for bwrap. `output`: what the runner writes past its frames; `info`, `rules`: as of `_sandbox`."""

    connection: int
    groups: Sequence[int]
    way_out: int | None
    output: int
    info: int
    rules: int

    @property
    def kept(self) -> list[int]:
        """Those that are open in it by their own number."""
        return [self.connection, *self.groups, *([] if self.way_out is None else [self.way_out]), self.info, self.rules]


@dataclass(frozen=True, slots=True)
class Bubble:
    """A place for any number of runners."""

    python: Interpreter
    config: HostConfig
    shown: Shown
    egress: Egress
    held: Held

    def launch(self, start: Start, files: Files, ended: Ended) -> Launched:
        """Start a sandbox; see `Place.launch`."""
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
            held = self.held.hold(self.held.limits(start))
            undo.callback(held.clean_up)
            door = self.egress.door(start)
            if door is not None:
                undo.callback(door.close)
                ended = door.until(ended)
            ours, other = socket.socketpair()
            undo.callback(ours.close)
            connection = _closed_by(theirs, other.detach())
            groups = [_closed_by(theirs, group) for group in held.joining()]
            output, written = _pipe(undo, theirs)
            info, told = _pipe(undo, theirs)
            os.set_blocking(info, False)
            passed = _Passed(
                connection=connection,
                groups=groups,
                way_out=None if door is None else _closed_by(theirs, door.give()),
                output=written,
                info=told,
                rules=_closed_by(theirs, _readable(self.shown.filter)),
            )
            process = self._start(start, files, passed, counted=held.counted)
            undo.callback(_kill, process)
            watched = _closed_by(undo, os.pidfd_open(process.pid))
            undo.pop_all()
        wrapped = Wrapped(process, info)
        _when_ended(loop, watched, lambda: held.let_go(wrapped, wrapped.reap(), ended))
        said = Tail(loop, output, self.config.limits.output_bytes)
        paths = (str(files.code), str(files.cache), str(files.environment or ""))
        return Launched(wrapped, ours, said, *paths, door is not None, confined=True)

    def _start(self, start: Start, files: Files, passed: _Passed, *, counted: bool) -> "subprocess.Popen[bytes]":
        groups, way_out = ",".join(map(str, passed.groups)), passed.way_out
        attach = ["attach", f"--fd={passed.connection}", f"--main={self.config.main}", f"--groups={groups}"]
        told = confine(start, files) | {"counted": counted, "resized": [] if self.shown.unlimited else _WRITABLE}
        attach += [f"--confine={json.dumps(told)}"]
        attach += [] if way_out is None else [f"--egress={way_out}"]
        sandbox = self._sandbox(start, files, passed.info, passed.rules)
        try:
            return subprocess.Popen(
                [*sandbox, *launch.command(self.config, self.python.path, *attach)],
                stdin=subprocess.DEVNULL,
                stdout=passed.output,
                stderr=passed.output,
                pass_fds=passed.kept,
                env={},
                start_new_session=True,
            )
        except OSError as error:
            raise BackendError(f"bwrap does not start: {error}") from None

    def _sandbox(self, start: Start, files: Files, info: int, rules: int) -> list[str]:
        """The command line up to the program that runs in it. `info`, `rules`: where bwrap writes of itself, and where
        it reads the filter."""
        network = start.network.mode == NETWORK_MODE_ALL
        size = ["--size", str(start.limits.disk_bytes)] if start.limits.disk_bytes else []
        visible = [*self.shown.always, *(self.shown.network if network else ())]
        brought = [path for path in (files.code, files.cache, files.environment) if path is not None]
        return [
            *(tool() or "bwrap", *_ALWAYS, *(("--share-net",) if network else ()), "--info-fd", str(info)),
            *("--seccomp", str(rules), *(() if self.shown.unlimited else _RESIZING)),
            *_variables(launch.environment(self.config, start.hash_seed)),
            *("--proc", "/proc", *_devices(), *(word for path in _WRITABLE for word in (*size, "--tmpfs", path))),
            *(word for path in _settings_of_the_kernel() for word in ("--ro-bind", path, path)),
            *(word for path in visible for word in _shown(path)),
            *(word for path in brought for word in ("--ro-bind", str(path), str(path))),
            *("--remount-ro", "/", "--chdir", "/", "--"),
        ]


def _readable(data: bytes) -> int:
    """A pipe that has these bytes in it, fewer than a pipe holds, and nothing after them."""
    source, sink = os.pipe2(os.O_CLOEXEC)
    try:
        os.write(sink, data)
    except OSError:
        os.close(source)
        raise
    finally:
        os.close(sink)
    return source


def _settings_of_the_kernel() -> Iterator[str]:
    """What user 0 may write in /proc without any capability: as root, a session in bubblewrap is user 0 outside."""
    if os.geteuid() == 0:
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit() and not entry.is_symlink():
                yield entry.path


def _devices() -> Iterator[str]:
    """Not by --dev: for that bwrap makes a second user namespace, in which one has no power over mounts."""
    for name in _DEVICES:
        yield from ("--dev-bind", f"/dev/{name}", f"/dev/{name}")
    for name, target in _LINKS.items():
        yield from ("--symlink", target, f"/dev/{name}")


def _variables(environment: dict[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        yield from ("--setenv", name, value)


def _shown(path: str) -> Sequence[str]:
    if os.path.islink(path) and os.path.dirname(path) == "/":
        return ("--symlink", os.readlink(path), path)
    return ("--ro-bind-try", path, path)


def _pipe(reader: contextlib.ExitStack, writer: contextlib.ExitStack) -> tuple[int, int]:
    """A pipe, and who closes its ends."""
    source, sink = os.pipe2(os.O_CLOEXEC)
    return _closed_by(reader, source), _closed_by(writer, sink)


def _closed_by(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _when_ended(loop: asyncio.AbstractEventLoop, descriptor: int, action: Callable[[], None]) -> None:
    """Call `action` on the loop when the child of this pidfd has ended."""

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        action()

    loop.add_reader(descriptor, ended)

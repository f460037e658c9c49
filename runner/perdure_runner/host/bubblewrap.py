"""Runners in bubblewrap: for machines where only a program with privileges may make namespaces, as bwrap often has.

Each session starts an interpreter of its own: nothing can be forked into a sandbox from outside. The code is read-only.
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
    *("--unshare-all", "--uid", "1000", "--gid", "1000", "--hostname", "runner", "--cap-drop", "ALL"),
    *("--die-with-parent", "--new-session", "--clearenv"),
)
_DEVICES = ("--proc", "/proc", "--dev", "/dev")
_KILLED = 128  # bwrap's exit status for a signal is this and its number
_INFO_BYTES = 4096


def tool() -> str | None:
    """The program, if there is one on the PATH."""
    return shutil.which("bwrap")


@dataclass(frozen=True, slots=True)
class Shown:
    """What of this machine an interpreter's sessions see, read-only. `network`: only with the machine's network.

    `filter`: of system calls. A session can write into the memory of bwrap's process, the first of its namespace, so
    that one must not be able to do more than the session itself.
    """

    always: Sequence[str]
    network: Sequence[str]
    filter: bytes


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
        held = self.held.hold(self.held.limits(start))
        door = self.egress.door(start)
        if door is not None:
            ended = door.until(ended)
        ours, theirs = socket.socketpair()
        output, write_end = os.pipe2(os.O_CLOEXEC)
        info, tell = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(info, False)
        groups, way_out = held.joining(), door.give() if door is not None else None
        rules = _readable(self.shown.filter)
        passed = [theirs.detach(), *groups, *([] if way_out is None else [way_out]), tell, rules]
        attach = ["attach", f"--fd={passed[0]}", f"--main={self.config.main}", f"--groups={','.join(map(str, groups))}"]
        attach += [f"--confine={json.dumps(confine(start, files) | {'counted': held.counted})}"]
        attach += [] if way_out is None else [f"--egress={way_out}"]
        try:
            process = subprocess.Popen(
                [*self._sandbox(start, files, tell, rules), *launch.command(self.config, self.python.path, *attach)],
                stdin=subprocess.DEVNULL,
                stdout=write_end,
                stderr=write_end,
                pass_fds=passed,
                env={},
                start_new_session=True,
            )
        except OSError as error:
            ours.close()
            os.close(output)
            os.close(info)
            held.clean_up()
            raise BackendError(f"bwrap does not start: {error}") from None
        finally:
            for descriptor in (write_end, *passed):
                os.close(descriptor)
        wrapped = Wrapped(process, info)
        _when_ended(loop, process.pid, lambda: held.let_go(wrapped, wrapped.reap(), ended))
        said = Tail(loop, output, self.config.limits.output_bytes)
        paths = (str(files.code), str(files.cache), str(files.environment or ""))
        return Launched(wrapped, ours, said, *paths, door is not None, confined=True)

    def _sandbox(self, start: Start, files: Files, info: int, rules: int) -> list[str]:
        """The command line up to the program that runs in it. `info`, `rules`: where bwrap writes of itself, and where
        it reads the filter."""
        network = start.network.mode == NETWORK_MODE_ALL
        size = ["--size", str(start.limits.disk_bytes)] if start.limits.disk_bytes else []
        visible = [*self.shown.always, *(self.shown.network if network else ())]
        brought = [path for path in (files.code, files.cache, files.environment) if path is not None]
        return [
            *(tool() or "bwrap", *_ALWAYS, *(("--share-net",) if network else ()), "--info-fd", str(info)),
            *("--seccomp", str(rules)),
            *_variables(launch.environment(self.config, start.hash_seed)),
            *(*size, "--tmpfs", "/tmp", *_DEVICES, *size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"),  # noqa: S108
            *(word for path in _settings_of_the_kernel() for word in ("--ro-bind", path, path)),
            *(word for path in visible for word in _shown(path)),
            *(word for path in brought for word in ("--ro-bind", str(path), str(path))),
            *("--remount-ro", "/", "--chdir", "/", "--"),
        ]


def _readable(data: bytes) -> int:
    """A pipe that has these bytes in it, fewer than a pipe holds, and nothing after them."""
    source, sink = os.pipe2(os.O_CLOEXEC)
    os.write(sink, data)
    os.close(sink)
    return source


def _settings_of_the_kernel() -> Iterator[str]:
    """What user 0 may write in /proc without any capability: as root, a session in bubblewrap is user 0 outside."""
    if os.geteuid() == 0:
        for entry in os.scandir("/proc"):
            if not entry.name.isdigit() and not entry.is_symlink():
                yield entry.path


def _variables(environment: dict[str, str]) -> Iterator[str]:
    for name, value in environment.items():
        yield from ("--setenv", name, value)


def _shown(path: str) -> Sequence[str]:
    if os.path.islink(path) and os.path.dirname(path) == "/":
        return ("--symlink", os.readlink(path), path)
    return ("--ro-bind-try", path, path)


def _when_ended(loop: asyncio.AbstractEventLoop, pid: int, action: Callable[[], None]) -> None:
    """Call `action` on the loop when this child has ended."""
    descriptor = os.pidfd_open(pid)

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        action()

    loop.add_reader(descriptor, ended)

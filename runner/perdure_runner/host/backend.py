"""What a host needs of that which runs its sessions: processes of this machine, or containers of an engine.

A backend gives a `Place` for a session (a zygote to fork from, a container that waits), and the place launches it: from
then on the host has a socket to the runner, what it says past its frames, and a process that can be signalled.
"""

import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from perdure_proto.v1.runner_pb2 import Start

from perdure_runner.host.pythons import Interpreter

Ended = Callable[[int | None], None]
"""Called once, when a runner's process is no more: its exit code, a negative signal number, None if nobody knows."""


class BackendError(Exception):
    """No place for a session, or it could not be launched; trying again may help. The message is for people."""


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Which limit of its project ended a runner. `code`: P0603; `reason` names limit and use."""

    code: str
    reason: str


class Process(Protocol):
    """A runner's process, as its backend knows it."""

    @property
    def pid(self) -> int: ...  # on this machine; 0: not known yet
    @property
    def exited(self) -> bool: ...
    @property
    def failure(self) -> str: ...  # why no process was made, if none was
    @property
    def limit(self) -> LimitReached | None: ...  # known when it has exited
    def when_known(self, then: Callable[[], None]) -> None: ...  # called once: `pid` is known; it may be now
    def signal(self, number: int, *, group: bool) -> None: ...  # to it, or to all it started too; nothing if it exited


class Said(Protocol):
    """The last that a runner wrote past its frames."""

    def text(self) -> str: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Files:
    """What a session brings to its runner, on this machine. `environment`: its installed requirements, if any."""

    code: Path
    cache: Path
    environment: Path | None = None


@dataclass(frozen=True, slots=True)
class Launched:
    """A runner that was launched; the paths are as it sees them, "" for none."""

    process: Process
    socket: socket.socket
    said: Said
    code: str
    cache: str
    environment: str = ""
    proxied: bool = False  # its only way out is its door
    confined: bool = False  # what it writes is kept in a file system of its own, of limited size
    shares: bool = False  # it gives memory back when it is sent SIGURG; to others that is a signal as any


class Place(Protocol):
    """Where one runner can be launched at once."""

    @property
    def python(self) -> Interpreter: ...

    def launch(self, start: Start, files: Files, ended: Ended) -> Launched:
        """Launch a runner. `ended` is not called before this returns.

        Raises:
            BackendError: the place is gone.
            OSError: this machine is out of something.
        """


class Compiling(Protocol):
    """What compiles the code of builds as the runners of a backend need it."""

    async def compile(self, python: Interpreter, code: Path, cache: Path) -> None:
        """Fill the folder `cache`. That code cannot be compiled is no error: the runner says what is wrong with it.

        Raises:
            BackendError, OSError: nothing could be tried.
        """


class Backend(Compiling, Protocol):
    """What runs a host's sessions. Lives on the host's asyncio loop."""

    @property
    def capability(self) -> str: ...  # "process", "docker"
    @property
    def isolation(self) -> str: ...  # as in HostHello
    def versions(self) -> list[str]: ...  # minor versions of Python it seems to have, "3.11" first

    async def open(self) -> None:
        """Make ready, and begin to make what the usual sessions need.

        Raises:
            OSError, BackendError, InterpreterNotFoundError: this machine or the configuration will not do.
        """

    async def interpreter(self, name: str) -> Interpreter:
        """Find the interpreter that runners get for a project's "", "3.12" or path.

        Raises:
            InterpreterNotFoundError: none suits.
        """

    def at_hand(self, start: Start) -> Place | None:
        """Give a place if there is one now, good until the caller awaits: the usual case, and the fast one."""

    async def get(self, start: Start, python: Interpreter, environment: Path | None) -> Place:
        """Give a place, making it if need be. It is good until the caller awaits something else.

        Raises:
            BackendError, OSError: there is none.
        """

    async def prepare(self, python: Interpreter, hash_seed: int, lock: str, environment: Path | None) -> None:
        """Make what takes long of such places, before a session comes. `environment` holds what `lock` names, if any.

        Raises:
            BackendError, OSError: it cannot be made.
        """

    async def close(self) -> None:
        """End everything it has made."""

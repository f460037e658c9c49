"""Namespaces: a zygote in a user and a process namespace of its own, from where it makes those of sessions.

zygote's first process   in the host's namespaces; only waits, for who enters a process namespace must be forked
zygote                   first process of its process namespace: when it dies, so does everything in it
init                     first process of a session's; only waits. Orphans become its, and the kernel reaps them
runner                   the second one: signals mean for it what they mean everywhere
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from perdure_runner.child import relay
from perdure_runner.child.sandbox import kernel, limits, network, places, root, users
from perdure_runner.child.sandbox.cell import Cell, Forked, Isolation, Settings
from perdure_runner.child.sandbox.kernel import Namespace

_HOST_NAME = "runner"
_DONE = b"!"
_SLEEP = ("/bin/sleep", "infinity")


def open_cell(settings: Settings) -> Cell:
    """Go where runners can be made of this kind. For namespaces, it is another process that returns from here.

    Raises:
        OSError: this machine does not let us.
    """
    if settings.isolation is not Isolation.NAMESPACES:
        return Cell(settings)
    users.become_zygote()
    _go_inside()
    kernel.unshare(Namespace.MOUNT)
    shown = places.of_the_interpreter(settings.packages, settings.hidden)
    return Nest(settings, root.prepare(shown, settings.hidden))


class _Ahead(NamedTuple):
    """The first process of a session to come. `made`: readable when its network and names are there."""

    init: int
    descriptor: int
    made: int

    def enter(self, kinds: Namespace) -> None:
        """Enter what it has made, as soon as it has. Raises RuntimeError: it died before."""
        if os.read(self.made, 1) != _DONE:
            raise RuntimeError("the first process of the session's namespaces has died")
        kernel.enter(self.descriptor, kinds)

    def close(self) -> None:
        os.close(self.descriptor)
        os.close(self.made)


class Nest(Cell):
    """Makes a process namespace for each fork, ahead of it where there is time."""

    def __init__(self, settings: Settings, prepared: root.Root) -> None:
        super().__init__(settings)
        self._root = prepared
        self._home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._ahead: _Ahead | None = None

    def prepare(self) -> None:
        if self._ahead is None:
            self._ahead = self._make_init()

    def lost(self, pid: int) -> None:
        if self._ahead is not None and pid == self._ahead.init:
            self._ahead.close()
            self._ahead = None
            kernel.enter(self._home, Namespace.PID)

    def fork(self) -> Forked:
        ahead = self._ahead or self._make_init()
        self._ahead = None
        try:
            pid = os.fork()
        except OSError:
            os.kill(ahead.init, signal.SIGKILL)
            ahead.close()
            kernel.enter(self._home, Namespace.PID)
            raise
        if pid == 0:
            self._ahead = ahead
            return Forked(0)
        ahead.close()
        kernel.enter(self._home, Namespace.PID)
        return Forked(pid, ahead.init, _outer_number(pid))

    def settle(self) -> None:
        self._own().enter(Namespace.IPC | Namespace.UTS)
        kernel.unshare(Namespace.MOUNT | Namespace.CGROUP)
        root.begin(self._root)

    def kept(self) -> Sequence[int]:
        return (self._own().descriptor, self._own().made)

    def join(self, *, alone: bool) -> None:
        own = self._own()
        if alone:
            kernel.enter(own.descriptor, Namespace.NET)
        own.close()

    def enter(self, confine: Mapping[str, object], *, counted: bool, egress: int | None = None) -> None:
        if egress is not None:
            relay.open_door(egress)
        root.enter(self._root, confine)
        users.become_session()
        super().enter(confine, counted=counted)

    def _own(self) -> _Ahead:
        """The first process of the namespaces that this fork is in."""
        assert self._ahead is not None
        return self._ahead

    def _make_init(self) -> _Ahead:
        """Have a new process namespace, and its first process. Raises OSError."""
        made, tell = os.pipe2(os.O_CLOEXEC)
        try:
            kernel.unshare(Namespace.PID)
            pid = os.fork()
            if pid == 0:
                _be_init(tell)
            return _Ahead(pid, os.pidfd_open(pid), made)
        except OSError:
            os.close(made)
            kernel.enter(self._home, Namespace.PID)
            raise
        finally:
            os.close(tell)


def _go_inside() -> None:
    """Fork, and go on in the child: the first process of the new namespace. The parent ends as it does."""
    alive, held = os.pipe()
    pid = os.fork()
    if pid:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if held != 3:
            os.dup2(held, 3)
        os.closerange(4, os.sysconf("SC_OPEN_MAX"))  # the host must see the zygote's end on its socket
        _, status = os.waitpid(pid, 0)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
    os.close(held)
    kernel.die_with_parent(signal.SIGKILL)
    if select.select([alive], [], [], 0)[0]:
        os._exit(1)  # the parent died before the kernel knew that we go with it
    os.close(alive)


def _be_init(tell: int) -> None:
    """Make the namespaces that cost time, say so, and wait for the end; never returns.

    What is ignored stays so in another program, which needs a tenth of our memory: with SIGCHLD ignored, the kernel
    reaps.
    """
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
        kernel.unshare(Namespace.NET | Namespace.IPC | Namespace.UTS)
        socket.sethostname(_HOST_NAME)
        network.loopback_up()
        os.write(tell, _DONE)
        os.closerange(0, os.sysconf("SC_OPEN_MAX"))
        limits.close_doors(b"")
        with contextlib.suppress(OSError):
            os.execve(_SLEEP[0], _SLEEP, {})  # noqa: S606 (no shell is wanted)
        while True:
            signal.pause()
    finally:
        os._exit(1)


def _outer_number(pid: int) -> int:
    """The number of a child in the process namespace of /proc, which is still the host's."""
    descriptor = os.pidfd_open(pid)
    try:
        with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as info:
            return next(int(line.split()[1]) for line in info if line.startswith("Pid:"))
    finally:
        os.close(descriptor)

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
from collections.abc import Mapping

from perdure_runner.child import relay
from perdure_runner.child.sandbox import kernel, limits, network, places, root, users
from perdure_runner.child.sandbox.cell import Cell, Forked, Isolation, Settings
from perdure_runner.child.sandbox.kernel import Namespace

_OF_SESSION = Namespace.MOUNT | Namespace.IPC | Namespace.UTS | Namespace.CGROUP
_HOST_NAME = "runner"
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


class Nest(Cell):
    """Makes a process namespace for each fork, ahead of it where there is time."""

    def __init__(self, settings: Settings, prepared: root.Root) -> None:
        super().__init__(settings)
        self._root = prepared
        self._home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        self._init = 0

    def prepare(self) -> None:
        if self._init:
            return
        kernel.unshare(Namespace.PID)
        try:
            self._init = os.fork()
        except OSError:
            kernel.enter(self._home, Namespace.PID)
            raise
        if self._init == 0:
            _be_init()

    def lost(self, pid: int) -> None:
        if pid == self._init:
            self._init = 0
            kernel.enter(self._home, Namespace.PID)

    def fork(self) -> Forked:
        self.prepare()
        init, self._init = self._init, 0
        try:
            pid = os.fork()
        except OSError:
            kernel.enter(self._home, Namespace.PID)
            os.kill(init, signal.SIGKILL)
            raise
        if pid:
            kernel.enter(self._home, Namespace.PID)
        return Forked(pid, init, _outer_number(pid) if pid else 0)

    def enter(self, confine: Mapping[str, object], *, counted: bool, egress: int | None = None) -> None:
        alone = confine.get("network") != "all"
        kernel.unshare(_OF_SESSION | (Namespace.NET if alone else Namespace(0)))
        _set_host_name()
        if alone:
            network.loopback_up()
        if egress is not None:
            relay.open_door(egress)
        root.enter(self._root, confine)
        users.become_session()
        super().enter(confine, counted=counted)


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


def _be_init() -> None:
    """Wait for the end; never returns. What is ignored stays so in another program, which needs a tenth of our memory:
    with SIGCHLD ignored, the kernel reaps."""
    try:
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            signal.signal(number, signal.SIG_IGN)
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


def _set_host_name() -> None:
    import socket

    socket.sethostname(_HOST_NAME)

"""Namespaces: a zygote in a user and a process namespace of its own, from where it makes those of sessions.

zygote's first process   in the host's namespaces; only waits, for who enters a process namespace must be forked
zygote                   first process of its process namespace: when it dies, so does everything in it
init                     first process of a session's; only waits. Orphans become its, and the kernel reaps them: with
                         SIGCHLD ignored, it does, and what is ignored stays so in another program
runner                   the second one: signals mean for it what they mean everywhere
"""

import contextlib
import os
import select
import signal
import socket
from collections.abc import Mapping

from perdure_runner.child import relay
from perdure_runner.child.sandbox import kernel, limits, network, places, root, users
from perdure_runner.child.sandbox.cell import Cell, Forked, Isolation, Settings
from perdure_runner.child.sandbox.kernel import Namespace

_OF_EACH = Namespace.MOUNT | Namespace.CGROUP | Namespace.IPC | Namespace.UTS
_HOST_NAME = "runner"
_SLEEP = ("/bin/sleep", "infinity")
_ENV = "/usr/bin/env"
_IGNORING = (_ENV, "--ignore-signal=CHLD,HUP,INT,TERM,USR1")  # coreutils 8.31
_NOTHING = [(os.POSIX_SPAWN_CLOSE, number) for number in range(3)]


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
        self._make = _spawn_init if _env_ignores() else _fork_init
        self._ahead = 0  # the first process of a session to come
        self._alone = False

    def prepare(self) -> None:
        if not self._ahead:
            self._ahead = self._make_init()

    def lost(self, pid: int) -> None:
        if pid == self._ahead:
            self._ahead = 0
            kernel.enter(self._home, Namespace.PID)

    def fork(self) -> Forked:
        init = self._ahead or self._make_init()
        self._ahead = 0
        try:
            pid = os.fork()
        except OSError:
            os.kill(init, signal.SIGKILL)
            kernel.enter(self._home, Namespace.PID)
            raise
        if pid == 0:
            return Forked(0)
        kernel.enter(self._home, Namespace.PID)
        return Forked(pid, init, _outer_number(pid))

    def settle(self) -> None:
        kernel.unshare(_OF_EACH)
        socket.sethostname(_HOST_NAME)
        root.begin(self._root)

    def leave_network(self) -> None:
        if not self._alone:
            kernel.unshare(Namespace.NET)
            network.loopback_up()
            self._alone = True

    def enter(self, confine: Mapping[str, object], *, counted: bool, egress: int | None = None) -> None:
        if egress is not None:
            relay.open_door(egress)
        root.enter(self._root, confine)
        users.become_session()
        super().enter(confine, counted=counted)

    def _make_init(self) -> int:
        """Have a new process namespace, and its first process. Raises OSError."""
        kernel.unshare(Namespace.PID)
        try:
            return self._make()
        except OSError:
            kernel.enter(self._home, Namespace.PID)
            raise


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


def _env_ignores() -> bool:
    """Whether this machine has a program that starts another one with signals ignored, and that other one."""
    try:
        pid = os.posix_spawn(_ENV, (*_IGNORING, _SLEEP[0], "0"), {}, file_actions=_NOTHING)
    except OSError:
        return False
    return os.waitpid(pid, 0)[1] == 0


def _spawn_init() -> int:
    """Start it without a copy of the zygote, which costs three times as much. Raises OSError."""
    return os.posix_spawn(_ENV, (*_IGNORING, *_SLEEP), {}, file_actions=_NOTHING)


def _fork_init() -> int:
    """Start it where there is no program to help. Raises OSError."""
    pid = os.fork()
    if pid == 0:
        _be_init()
    return pid


def _be_init() -> None:
    """Wait for the end; never returns. Another program needs a tenth of our memory."""
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

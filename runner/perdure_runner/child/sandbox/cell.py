"""What a zygote's runners live in, by how much the host trusts them and what this machine is able to do.

plain       nothing but resource limits
own         the developer's own code: no new privileges, no system calls that concern the whole machine
locked      as strangers' code, but without namespaces: for what is in a container or in bubblewrap already
landlock    locked, and Landlock's rules for files and TCP
namespaces  everything (`nest.py`)
"""

import enum
import os
import signal
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from perdure_runner.child import relay
from perdure_runner.child.sandbox import kernel, landlock, limits, places, seccomp


class Isolation(enum.Enum):
    """See the module's docstring."""

    PLAIN = "plain"
    OWN = "own"
    LOCKED = "locked"
    LANDLOCK = "landlock"
    NAMESPACES = "namespaces"


class Settings(NamedTuple):
    """What a zygote is told: how to hold its runners, the host's state directory, and our packages' places."""

    isolation: Isolation
    hidden: str
    packages: Sequence[str]


class Forked(NamedTuple):
    """A fresh fork. `pid` is 0 in the child; `init`: the first process of its namespace, 0 if it has none of its own;
    `outer`: its number in the host's process namespace."""

    pid: int
    init: int = 0
    outer: int = 0


class CannotConfineError(Exception):
    """A session asks for what this kind of isolation cannot hold. The message is for people."""


class Cell:
    """All kinds but namespaces."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._inherited = 0
        self._filters: dict[seccomp.Rules, bytes] = {}
        self._shown: Sequence[str] = ()

    def ready(self) -> None:
        """Do what can be done once for all forks; called when the zygote has imported everything."""
        self._inherited = limits.own_memory()
        match self._settings.isolation:
            case Isolation.PLAIN:
                pass
            case Isolation.OWN:
                self._filters[seccomp.INTERNET] = seccomp.lenient() if seccomp.supported() else b""
            case _:
                for network in ("none", "all"):
                    rules = self._rules({"network": network})
                    self._filters[rules] = seccomp.strict(rules)
                self._shown = places.of_the_interpreter(self._settings.packages, self._settings.hidden)

    def prepare(self) -> None:
        """Do what the next fork needs, if that can be done ahead of it."""

    def lost(self, pid: int) -> None:
        """A process that was made ahead has died."""

    def fork(self) -> Forked:
        """Fork; in the fresh fork, `settle`, `leave_network` and `enter` are for the caller to call. Raises OSError."""
        parent = os.getpid()
        pid = os.fork()
        if pid == 0:
            kernel.die_with_parent(signal.SIGKILL)
            if os.getppid() != parent:
                os._exit(1)  # the zygote died before it could take us along
        return Forked(pid, 0, pid)

    def settle(self) -> None:
        """Do what depends on no session, in a fresh fork. Raises OSError."""

    def leave_network(self) -> None:
        """Be without the machine's network, for good, where there are network namespaces. Raises OSError."""

    def enter(self, confine: Mapping[str, object], *, counted: bool, egress: int | None = None) -> None:
        """Confine this fresh fork for good.

        Args:
            confine: "memory", "processes", "open_files", "disk", "files": limits, 0 or missing for none; "network":
                "none", "all" or "hosts"; "code", "cache", "environment": paths; "writable": more of them.
            counted: a control group counts its processes.
            egress: a socket to the egress proxy, for network "hosts".
        Raises:
            CannotConfineError, OSError: no user code must run.
        """
        if egress is not None and self._settings.isolation is Isolation.LOCKED:
            relay.open_door(egress)  # the container has a network namespace
        elif egress is not None:
            os.close(egress)  # without one there is no door
        limits.basic(confine, self._inherited)
        match self._settings.isolation:
            case Isolation.PLAIN:
                return
            case Isolation.OWN:
                kernel.no_new_privileges()
                if program := self._filters[seccomp.INTERNET]:
                    seccomp.install(program)
                return
            case Isolation.LANDLOCK:
                self._restrict_files(confine)
        limits.strict(confine, counted=counted)
        limits.close_doors(self._filters[self._rules(confine)])
        kernel.die_with_parent(signal.SIGKILL)

    def _restrict_files(self, confine: Mapping[str, object]) -> None:
        if confine.get("network") == "hosts":
            raise CannotConfineError("a list of hosts can only be held where there are network namespaces")
        given = [str(confine[name]) for name in ("code", "cache", "environment") if confine.get(name)]
        writable = confine.get("writable")
        own = [str(path) for path in writable] if isinstance(writable, list) else []
        readable = [*places.SYSTEM, *places.CONFIGURATION, *self._shown, *given, f"/proc/{os.getpid()}"]
        if confine.get("network") == "all":
            readable += places.NETWORK
        kernel.no_new_privileges()
        landlock.restrict(
            readable, [*own, *(f"/dev/{name}" for name in places.DEVICES)], tcp=confine.get("network") == "all"
        )
        if own:
            import tempfile

            tempfile.tempdir = own[0]  # the session's environment does not say where; /tmp is not for it
        disk = confine.get("disk")
        if isinstance(disk, int) and disk:
            import resource

            limits.cap(resource.RLIMIT_FSIZE, disk)

    def _rules(self, confine: Mapping[str, object]) -> seccomp.Rules:
        """What has no namespace of the session's own, only the filter keeps from it."""
        match self._settings.isolation:
            case Isolation.NAMESPACES:
                return seccomp.INTERNET
            case Isolation.LANDLOCK:
                return seccomp.MACHINE if confine.get("network") == "all" else seccomp.NOTHING
            case _:
                return seccomp.CONTAINED

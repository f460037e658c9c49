"""Which host gets a session: a pure decision over what is known of the hosts, and of what the session needs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Need:
    """What a session asks of its host. Hashable: many sessions need the same."""

    python: str = ""  # "3.12" or a path; empty: the host's own
    runs_on: frozenset[tuple[str, str]] = frozenset()  # labels that the host must have
    build: str = ""  # digest
    environment: str = ""  # digest of the lock of its requirements; empty: it has none
    network: str = "all"  # what it may reach, which the host has to hold it to: "all", "none", "hosts"

    def __str__(self) -> str:
        asked = [f"{name}={value!r}" for name, value in sorted(self.runs_on)]
        return ", ".join([f"Python {self.python!r}"] * bool(self.python) + asked) or "room"

    @property
    def demand(self) -> Need:
        """What decides whether a host suits at all."""
        return Need(self.python, self.runs_on, network=self.network)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host, as far as a choice depends on it. What it has not said yet (its first heartbeat) does not count."""

    host_id: str
    capacity: int  # sessions at once
    sessions: int = 0
    draining: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    pythons: Collection[str] = ()
    builds: Collection[str] = ()  # digests of those it ran before
    environments: Collection[str] = ()  # digests of those it has
    load: float = 0.0  # runnable processes for each processor
    memory_available_bytes: int | None = None
    disk_free_bytes: int | None = None
    isolation: str = ""  # of its runners, as it says in its hello


# Which network policies a kind of isolation cannot hold; all other kinds hold all.
CANNOT_HOLD: Final[Mapping[str, Collection[str]]] = {"plain": {"none", "hosts"}, "landlock": {"hosts"}}

# What makes a host the worse choice, in shares of its capacity: 0.5 stands for being half full.
BUILD_MISSING: Final = 0.1  # to be fetched and compiled: tenths of a second
ENVIRONMENT_MISSING: Final = 0.5  # to be fetched and installed: seconds
LOADED: Final = 0.5  # for each runnable process that has no processor to itself
MOST_LOADED: Final = 2.0  # such processes beyond this number make no difference
SHORT: Final = 2.0  # of memory or disk: only if nobody else has room
SHORT_OF_MEMORY: Final = 256 * MIB
SHORT_OF_DISK: Final = 256 * MIB


def suits(need: Need, host: Candidate) -> bool:
    """Can the host ever run it? What it says in its hello does not change; a path of Python is its own business."""
    has_python = not need.python or "/" in need.python or need.python in host.pythons
    labelled = all(host.labels.get(name) == value for name, value in need.runs_on)
    return has_python and labelled and need.network not in CANNOT_HOLD.get(host.isolation, ())


def has_room(host: Candidate) -> bool:
    return not host.draining and host.sessions < host.capacity


def cost(need: Need, host: Candidate) -> float:
    """How bad a choice the host is; 0 is an idle one that has all that the session needs."""
    memory, disk = host.memory_available_bytes, host.disk_free_bytes
    waiting = min(max(0.0, host.load - 1.0), MOST_LOADED)
    return (
        host.sessions / host.capacity
        + LOADED * waiting
        + BUILD_MISSING * (need.build not in host.builds)
        + ENVIRONMENT_MISSING * bool(need.environment and need.environment not in host.environments)
        + SHORT * (memory is not None and memory < SHORT_OF_MEMORY)
        + SHORT * (disk is not None and disk < SHORT_OF_DISK)
    )


def rank(need: Need, hosts: Iterable[Candidate]) -> list[str]:
    """Ids of the hosts that can run it, now or when they have room; the best first. Equals go by their ids."""
    fitting = [host for host in hosts if not host.draining and suits(need, host)]
    return [host.host_id for host in sorted(fitting, key=lambda host: (cost(need, host), host.host_id))]


def choose(need: Need, hosts: Iterable[Candidate]) -> str | None:
    """The id of the host that should get the session; None when none can take it now. Equals go by their ids."""
    fitting = [host for host in hosts if has_room(host) and suits(need, host)]
    best = min(fitting, key=lambda host: (cost(need, host), host.host_id), default=None)
    return best.host_id if best else None

"""The hosts that have dialled in, and how busy they are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from perdure_proto.v1.runner_pb2 import (
    STOP_KIND_KILL,
    FromHost,
    Heartbeat,
    HostHealth,
    HostHello,
    Stop,
    ToHost,
    Welcome,
)

from perdure_server.coordinator.choosing import CANNOT_HOLD, Candidate, Need, choose, rank, suits
from perdure_server.coordinator.clock import Clock, Handle
from perdure_server.coordinator.settings import PROTOCOL_VERSION, Settings
from perdure_server.core.errors import PerdureError

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator

Drain = Callable[[], Awaitable[None]]

_BUILDS_KEPT: Final = 1_000


class HostEnd(Protocol):
    """What a coordinator sees of a host; the same as in `perdure_runner.host.link`, which we may not import."""

    def receive(self, message: ToHost) -> None: ...

    def closed(self, reason: str) -> None: ...


class Connection:
    """One host's link to the coordinator: the `Coordinator` of architecture.md, as that host sees it."""

    def __init__(self, coordinator: Coordinator, end: HostEnd, drain: Drain | None) -> None:
        self.end = end
        self.hello = HostHello()
        self.peer = ""  # where it dialled in from; empty: from this process
        self.came_as = ""  # whom the door took it for
        self.certificate_until_us = 0  # 0: it needs none
        self.health: HostHealth | None = None  # of its last heartbeat
        self.sessions: set[tuple[str, int]] = set()  # (session, epoch) that it was given
        self.moving: set[tuple[str, int]] = set()  # of these: killed, to go on elsewhere
        self.heard_us = 0  # when it last said anything, by `Clock.running_us`
        self.draining = False  # it gets no more sessions
        self.leaving = False  # what is lost there is no fault of its session
        self.closed = False
        self._builds: dict[str, None] = {}  # that it has run
        self._coordinator = coordinator
        self._drain = drain

    @property
    def host_id(self) -> str:
        return self.hello.host_id

    @property
    def room(self) -> int:
        return 0 if self.closed or self.draining else max(0, self.hello.capacity - len(self.sessions))

    def gave(self, session_id: str, epoch: int, build: str) -> None:
        """It was given a session."""
        self.sessions.add((session_id, epoch))
        self._builds[build] = None
        if len(self._builds) > _BUILDS_KEPT:
            del self._builds[next(iter(self._builds))]

    def candidate(self) -> Candidate:
        """What a choice of hosts depends on."""
        hello, health = self.hello, self.health
        return Candidate(
            self.host_id,
            hello.capacity,
            sessions=len(self.sessions),
            draining=self.draining or self.closed,
            labels=hello.labels,
            pythons=hello.pythons,
            builds=self._builds,
            environments=health.environments if health else hello.environments,
            load=health.load if health else 0.0,
            memory_available_bytes=health.memory_available_bytes if health else None,
            disk_free_bytes=health.disk_free_bytes if health else None,
            isolation=hello.isolation,
        )

    def receive(self, message: FromHost) -> None:
        """Take a message. Never blocks; raises `PerdureError` P0208 or P0702 only for what is no conversation."""
        self._coordinator.receive(self, message)

    def fetch_blob(self, digest: str) -> object:
        return self._coordinator.fetch_blob(digest)

    def send(self, message: ToHost) -> None:
        if not self.closed:
            self.end.receive(message)

    async def drain(self) -> None:
        """Wait until the host can take more bulk."""
        if self._drain is not None:
            await self._drain()

    def close(self, reason: str) -> None:
        self._coordinator.disconnect(self, reason)


class Hosts:
    """All connections by host id."""

    def __init__(self, coordinator_id: str, settings: Settings, clock: Clock) -> None:
        self._coordinator_id = coordinator_id
        self._settings = settings
        self._clock = clock
        self._connections: dict[str, Connection] = {}
        self._checks: dict[str, Handle] = {}

    def __iter__(self) -> Iterator[Connection]:
        return iter(list(self._connections.values()))

    def __len__(self) -> int:
        return len(self._connections)

    def get(self, host_id: str) -> Connection | None:
        return self._connections.get(host_id)

    def greet(self, connection: Connection, hello: HostHello) -> None:
        """Join a host. One that comes again has lost its old link."""
        if hello.protocol_version != PROTOCOL_VERSION:
            raise PerdureError(
                "P0208",
                f"host {hello.host_id} speaks protocol {hello.protocol_version}, this coordinator {PROTOCOL_VERSION}",
                help="install the same version of perdure on both sides",
            )
        if not hello.host_id or not hello.capacity:
            raise PerdureError("P0702", "a host has to have a name and a capacity")
        if (old := self._connections.get(hello.host_id)) is not None:
            old.close("the host has dialled in again")
        connection.hello.CopyFrom(hello)
        self._connections[hello.host_id] = connection
        self._watch(connection)  # first: a host that fails over its welcome is removed, too
        heartbeat_ms = int(self._settings.heartbeat_s * 1000)
        connection.send(
            ToHost(
                welcome=Welcome(
                    protocol_version=PROTOCOL_VERSION, coordinator_id=self._coordinator_id, heartbeat_ms=heartbeat_ms
                )
            )
        )

    def beat(self, connection: Connection, heartbeat: Heartbeat) -> None:
        if heartbeat.HasField("health"):
            connection.health = heartbeat.health
        connection.send(ToHost(heartbeat=Heartbeat(at_us=self._clock.now_us())))

    def remove(self, connection: Connection) -> bool:
        """Forget it; False when it was not there."""
        if self._connections.get(connection.host_id) is not connection:
            return False
        del self._connections[connection.host_id]
        self._checks.pop(connection.host_id).cancel()
        return True

    def choose(self, session_id: str, need: Need) -> Connection | None:
        """The host that should get the session, among those that do not have it already.

        A host tells sessions apart by their ids: a replay and the session itself cannot be on the same one.
        """
        free = [c for c in self._connections.values() if all(taken != session_id for taken, _ in c.sessions)]
        chosen = choose(self._asked(need), [connection.candidate() for connection in free])
        return self._connections[chosen] if chosen is not None else None

    def rank(self, need: Need, among: Iterable[Connection]) -> list[Connection]:
        """Those of them that can get such sessions, now or when they have room; the best first."""
        known = {connection.host_id: connection for connection in among if not connection.closed}
        return [known[each] for each in rank(self._asked(need), [one.candidate() for one in known.values()])]

    def have_room(self, need: Need) -> bool:
        """Could one of them take such a session now?"""
        asked = self._asked(need)
        return any(connection.room and suits(asked, connection.candidate()) for connection in self)

    def can_ever_run(self, need: Need) -> bool:
        """Does any host suit, or may one that does still join?"""
        return not (self._settings.hosts_are_all and self._connections) or self.suit(need)

    def suit(self, need: Need) -> bool:
        """Could one of them take such a session, if it had room?"""
        return any(suits(self._asked(need), connection.candidate()) for connection in self)

    def _asked(self, need: Need) -> Need:
        """Labels choose between hosts: where there is but the one beside the coordinator, they mean nothing.

        And where no host can hold a session to its network policy, one of them has to say so.
        """
        if self._settings.hosts_are_all:
            need = replace(need, runs_on=frozenset())
        held = any(need.network not in CANNOT_HOLD.get(c.hello.isolation, ()) for c in self._connections.values())
        return need if held else replace(need, network="all")

    def _watch(self, connection: Connection) -> None:
        """Close the link of a host that falls silent. Heartbeats come far more often than this looks."""
        connection.heard_us = self._clock.running_us()
        timeout_us = int(self._settings.host_timeout_s * 1e6)

        def check() -> None:
            silent_us = self._clock.running_us() - connection.heard_us
            if silent_us >= timeout_us:
                connection.close(f"the host was silent for {silent_us / 1e6:.0f} s")
            else:
                check_in(timeout_us - silent_us)

        def check_in(us: int) -> None:
            self._checks[connection.host_id] = self._clock.call_at(self._clock.now_us() + us, check)

        check_in(timeout_us)


def kill_runner(connection: Connection, session_id: str, epoch: int, reason: str) -> None:
    stop = Stop(session_id=session_id, epoch=epoch, kind=STOP_KIND_KILL, reason=reason)
    connection.send(ToHost(stop=stop))

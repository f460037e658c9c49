"""What a coordinator can be told. Names say their units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

from perdure_proto.v1.journal_pb2 import Entry

from perdure_server.core.state import Rules
from perdure_server.manifest.limits import Limits
from perdure_server.manifest.network import Mode
from perdure_server.security.reaching import Reaches, anywhere

Fault = Literal["kill-runner", "kill-host", "kill-coordinator"]
Faults = Callable[[str, int, Entry], Fault | None]

PROTOCOL_VERSION: Final = 1
MIB: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    rules: Rules = field(default_factory=Rules)
    linger_s: float = 0.02  # how long records that nobody waits for may stay to share a transaction
    grace_s: float = 10.0  # between a polite stop and the kill
    page_entries: int = 500  # of history, in one message
    page_bytes: int = 4 * MIB
    queue_limit: int = 10_000  # sessions that wait for a host
    project_queue: int = 7_500  # of them, of one project
    placing_limit: int = 32  # histories being read and sent at once
    sweep_s: float = 5.0
    timer_window_s: float = 60.0  # timers nearer than this are in memory
    timer_batch: int = 1_000  # of them at most, read at once
    heartbeat_s: float = 2.0
    host_timeout_s: float = 8.0  # without a message; longer than the lease of a host: three heartbeats
    watch_updates: int = 10_000  # that one watcher may be behind
    event_bytes: int = 4 * MIB
    signal_bytes: int = MIB
    session_signals: int = 10_000  # that nobody has taken yet: they are in memory while their session is
    session_signal_bytes: int = 64 * MIB
    value_bytes: int = 64 * 1024  # of a value of the key-value store
    project_values: int = 10_000  # that a project may store
    status_bytes: int = 16 * 1024  # of what a session says of itself
    outcome_bytes: int = MIB  # of one answer to an event
    event_outcomes: int = 10_000  # answers to one event
    session_children: int = 10_000  # that one session may start
    living_sessions: int = 20_000  # of a deployment, beyond which none of its sessions may start another
    project_bytes: int = 10 * 1024 * MIB  # of events, what sessions are started with, and outcomes; 0: no limit
    project_pending: int = 10_000  # events that wait to start a session, by a trigger's limit or for want of room
    project_ticks: int = 600  # events that all of a project's schedules make in a minute
    build_bytes: int = 256 * MIB  # of a tarball
    export_bytes: int = 512 * MIB  # of an exported session
    session_retention_s: float = 0.0  # how long ended sessions are kept; 0: for ever
    event_retention_s: float = 0.0
    unused_s: float = 3600.0  # builds and blobs that are younger are in use, whatever refers to them
    collect_s: float = 3600.0  # between two collections of what is not needed any more; 0: only when asked
    hosts_are_all: bool = False  # no host will join later: a session that none can run fails at once
    prepare: bool = True  # hosts get ready for deployments before sessions come
    environments: bool = True  # of projects with requirements; else sessions see what is installed on their host
    build_sdists: bool = True  # for projects that allow it: their packages' own code runs when they are built
    isolate_scan: bool = True  # parse the files of a build in a process of its own
    default_network: Mode = "none"  # of projects whose manifest does not say
    reaches: Reaches = anywhere  # addresses that the coordinator itself connects to where a project says so
    ceiling: Limits | None = None  # no project gets more, whatever its manifest says
    faults: Faults | None = None  # asked after every durable entry, before it is acknowledged; for tests and `check`

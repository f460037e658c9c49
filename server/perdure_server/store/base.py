"""The store as the coordinator sees it. SQLite implements it; PostgreSQL will."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from perdure_server.store.connections import ConnectionRow
from perdure_server.store.events import DispatchRow, EventRow, TriggerRow
from perdure_server.store.lifecycle import BuildTold, DeploymentTold, Position, ProjectTold, Unused
from perdure_server.store.model import (
    Build,
    Deployment,
    InviteRow,
    Item,
    JoinedHost,
    LogPosition,
    LogRow,
    Result,
    SessionRecord,
    SessionUpdate,
    SignalRow,
    TokenRow,
    VarRow,
)
from perdure_server.store.subscriptions import DeliveryRow, SubscriptionRow
from perdure_server.store.values import Bereaved, OutcomeRow, StoredRow


class Reads(Protocol):
    """What can be asked. Each call sees only what is durable, or, within a Transaction, also what that has written."""

    def load_session(self, session_id: str) -> SessionRecord | None: ...

    def list_sessions(
        self, project: str = "", states: Sequence[str] = (), limit: int = 100, before: str = ""
    ) -> list[SessionRecord]:
        """Newest first. `before`: the id of the last session of the page before; P0204 when there is none."""
        ...

    def alive_sessions(self) -> list[SessionRecord]: ...

    def alive_ids(self) -> list[str]: ...

    def due_timers(self, now_us: int, limit: int = 1000) -> list[tuple[str, int]]:
        """(session_id, wake_at_us) of suspended sessions that must be woken."""
        ...

    def next_wake_us(self) -> int | None: ...

    def entries(self, session_id: str, after_seq: int = 0, limit: int = -1) -> list[bytes]:
        """Serialised entries in order; `limit` -1 means all."""
        ...

    def logs(self, session_id: str, after: LogPosition = ..., limit: int = -1) -> list[LogRow]: ...

    def last_log(self, session_id: str) -> LogPosition: ...

    def log_bytes(self, session_id: str) -> int: ...

    def signals(self, session_id: str) -> list[SignalRow]:
        """Those not yet given to user code, in order of arrival; with payloads of `SIGNAL_HELD_BYTES` at most."""
        ...

    def signal_payload(self, session_id: str, n: int) -> bytes:
        """Of a signal that there is."""
        ...

    def projects(self) -> list[str]: ...

    def build(self, digest: str) -> Build | None: ...

    def deployment(self, deployment_id: str) -> Deployment | None: ...

    def active_deployment(self, project: str) -> Deployment | None: ...

    def deployments(self, project: str) -> list[Deployment]: ...

    def facts(self) -> dict[str, str]:
        """What the store knows of itself, by name."""
        ...

    def vars(self, project: str) -> list[VarRow]:
        """A project's variables by name."""
        ...

    def sealed_vars(self) -> list[VarRow]:
        """Of all projects, those that a key has sealed."""
        ...

    def tokens(self) -> list[TokenRow]: ...

    def invites(self) -> list[InviteRow]:
        """Those that nobody has taken up, in time or not."""
        ...

    def joined_hosts(self) -> list[JoinedHost]: ...

    def connections(self, project: str) -> list[ConnectionRow]:
        """A project's connections by name."""
        ...

    def connection(self, project: str, name: str) -> ConnectionRow | None: ...

    def connection_by_slug(self, slug: str) -> ConnectionRow | None: ...

    def stored_value(self, project: str, name: str) -> StoredRow | None:
        """A value of the project's key-value store."""
        ...

    def stored_values(self, project: str, prefix: str = "") -> list[StoredRow]:
        """Those whose keys begin so, by key, without the values."""
        ...

    def stored_count(self, project: str) -> int: ...

    def retired_version(self, project: str) -> int:
        """The highest version that a deleted value had."""
        ...

    def outcomes(self, event_id: str, after_n: int = 0, limit: int = -1) -> list[OutcomeRow]: ...

    def project_of_event(self, event_id: str) -> str | None: ...

    def project_bytes(self, project: str) -> int:
        """Of its events, of outcomes, and of what its sessions were started with."""
        ...

    def answers_open(self, event_id: str) -> bool:
        """May a session that lives, or is still to be started, answer the event?"""
        ...

    def children(self, parent_id: str) -> int:
        """How many sessions this one has started, ended ones too."""
        ...

    def living(self, deployment_id: str, most: int) -> int:
        """How many sessions of the deployment live; `most` for that many and more."""
        ...

    def bereaved(self, parent_id: str = "") -> list[Bereaved]:
        """Living children of this session, or of all that have ended, whom the policy ends with their parent."""
        ...

    def has_had_signal(self, session_id: str, name: str) -> bool:
        """Taken or not."""
        ...

    def signals_waiting(self, session_id: str) -> tuple[int, int]:
        """How many nobody has taken, and the bytes of their payloads."""
        ...

    def event(self, event_id: str) -> EventRow | None: ...

    def event_at(self, seq: int) -> EventRow | None: ...

    def event_once(self, project: str, source: str, dedup: str) -> EventRow | None: ...

    def events(
        self, project: str = "", source: str = "", state: str = "", limit: int = 100, before_seq: int = 0
    ) -> list[EventRow]:
        """Newest first, without their data. `state`: of one of their dispatches. `before_seq` 0: from the newest."""
        ...

    def events_after(self, project: str, source: str, after_seq: int, limit: int = 100) -> list[EventRow]:
        """What has come from a source since, oldest first."""
        ...

    def subscriptions(self, session_id: str) -> list[SubscriptionRow]: ...

    def subscriptions_counted(self, session_id: str) -> int: ...

    def subscriptions_behind(self) -> list[SubscriptionRow]:
        """Of all sessions those whose source has events that they have not had."""
        ...

    def subscribers_counted(self, project: str, source: str) -> int:
        """How many subscriptions to this source there are."""
        ...

    def subscribers(self, project: str, source: str, seq: int) -> list[SubscriptionRow]:
        """Subscriptions of all sessions to this source for which an event at `seq` is new."""
        ...

    def deliveries(self, event_seq: int, limit: int) -> list[DeliveryRow]:
        """Subscriptions that had the event, those that are over, too, in the order in which they had it."""
        ...

    def takers_alive(self, event_seq: int) -> bool:
        """Is there a session that had the event by a subscription, and lives?"""
        ...

    def last_event_seq(self) -> int:
        """Place of the newest event; 0: there is none."""
        ...

    def dispatches(self, event_seq: int) -> list[DispatchRow]:
        """What became of an event, by trigger."""
        ...

    def dispatch(self, event_seq: int, trigger_name: str) -> DispatchRow | None: ...

    def dispatch_of_session(self, session_id: str) -> DispatchRow | None:
        """What a session was started for, unless another has followed it."""
        ...

    def pending_dispatches(self) -> list[DispatchRow]:
        """What is still to be started, in the order of the events."""
        ...

    def held_dispatches(self) -> list[DispatchRow]:
        """What runs and counts in a group."""
        ...

    def unsettled_sessions(self, limit: int = 1000) -> list[str]:
        """Sessions that have ended while what they were started for is still "started"."""
        ...

    def triggers(self, project: str) -> list[TriggerRow]:
        """All that the project has had, by name."""
        ...

    def trigger_of_slug(self, slug: str) -> TriggerRow | None: ...

    def projects_told(self) -> list[ProjectTold]: ...

    def builds_told(self) -> list[BuildTold]:
        """Newest first."""
        ...

    def deployments_told(self, project: str = "") -> list[DeploymentTold]:
        """Of one project or of all, newest first."""
        ...

    def projects_deployed_last(self, limit: int) -> list[str]:
        """Those with an active deployment, the newest first."""
        ...

    def alive_in_project(self, project: str, limit: int = 1000) -> list[str]:
        """Ids of living sessions."""
        ...

    def ended_in_project(self, project: str, limit: int) -> list[str]:
        """Ids of ended sessions."""
        ...

    def sessions_over(self, before_us: int, after: Position = ..., limit: int = 100) -> list[Position]:
        """Sessions that ended before a time and that nothing needs any more, in order of their start."""
        ...

    def events_over(self, before_us: int) -> int:
        """How many events `delete_events_before` would delete."""
        ...

    def unused(self, before_us: int, newest: int) -> Unused:
        """Builds and deployments from before a time that no session runs, but for the newest ones of each project."""
        ...

    def blobs_named(self) -> set[str]:
        """Blobs that builds and deployments refer to."""
        ...

    def blobs_in_journals(self, after: tuple[str, int], limit: int) -> tuple[set[str], tuple[str, int] | None]:
        """Blobs that entries after this place refer to, at most `limit` entries of them; and the place to go on at."""
        ...

    def blobs_in_results(self) -> set[str]: ...

    def origins_imported(self) -> set[str]:
        """The names of keys that imported sessions need."""
        ...


class Transaction(Reads, Protocol):
    """What a Mutation may do."""

    def insert_session(self, session: SessionRecord) -> bool:
        """False when a session of this id exists already; then nothing is changed."""
        ...

    def raise_epoch(self, session_id: str) -> int:
        """The session's new epoch. P0204 when it does not exist."""
        ...

    def update_session(self, session_id: str, update: SessionUpdate) -> None:
        """Without regard to the epoch. P0204 when it does not exist."""
        ...

    def attempt(self) -> AbstractContextManager[None]:
        """What is written in the body is undone when it raises."""
        ...

    def copy_entries(self, source_id: str, target_id: str, upto_seq: int) -> None:
        """Give a new session the beginning of another's journal, and the ends of children that are not told there."""
        ...

    def delete_session(self, session_id: str) -> None:
        """The session and its journal, output and signals."""
        ...

    def add_signal(self, session_id: str, name: str, payload: bytes, at_us: int) -> int:
        """The signal's number within the session."""
        ...

    def consume_signal(self, session_id: str, n: int) -> None:
        """Code of the session has it, past the journal. ValueError if it was taken already."""
        ...

    def put_project(self, name: str, created_us: int) -> None: ...

    def put_build(self, build: Build) -> None:
        """A build that is known already stays as it is."""
        ...

    def activate(self, deployment: Deployment) -> None:
        """Make it the project's active one. The one before drains, or is inactive when none of its sessions lives."""
        ...

    def put_fact(self, name: str, value: str) -> None:
        """A fact that is not known yet."""
        ...

    def put_var(self, row: VarRow) -> None:
        """A new variable, or a new value of one."""
        ...

    def delete_var(self, project: str, name: str) -> bool:
        """False when there was none."""
        ...

    def put_connection(self, row: ConnectionRow) -> None:
        """A new connection, or another integration for one that keeps its slug."""
        ...

    def delete_connection(self, project: str, name: str) -> bool:
        """False when there was none."""
        ...

    def put_value(self, row: StoredRow) -> None:
        """A new value, or another one in its place."""
        ...

    def delete_value(self, project: str, name: str) -> bool: ...

    def add_outcome(self, event_id: str, session_id: str, value: bytes, at_us: int) -> int:
        """The outcome's number within the event."""
        ...

    def insert_event(self, event: EventRow) -> int:
        """Its place; 0 when there is one with the same `dedup` of its source: then nothing is changed."""
        ...

    def put_subscription(self, row: SubscriptionRow) -> None:
        """A new one; one that is known stays as it is."""
        ...

    def advance(self, session_id: str, subscription_id: str, seq: int) -> bool:
        """Events up to `seq` are over for it. False when they are already, or when there is no such subscription."""
        ...

    def deliver(self, session_id: str, subscription_id: str, seq: int, at_us: int) -> bool:
        """It has the event at `seq`, and those before are over for it; False as of `advance`."""
        ...

    def delete_subscription(self, session_id: str, subscription_id: str) -> bool:
        """False when there was none."""
        ...

    def put_dispatch(self, row: DispatchRow) -> None:
        """A new one, or what has become of it."""
        ...

    def put_trigger(self, row: TriggerRow) -> None:
        """A new one. Of one that is known the type is changed, and all else stays."""
        ...

    def trigger_fired(self, project: str, name: str, at_us: int) -> None:
        """The times of its schedule up to this one are dealt with."""
        ...

    def deactivate(self, project: str) -> str:
        """End its active deployment, whose id is given; "" when there is none."""
        ...

    def remove_session(self, session_id: str, rows: int, over_before_us: int | None = None) -> int:
        """Delete an ended session, unless it has more rows than this: then so many of them, the last ones first.

        Gives how many rows may still be deleted; below 0: the session is not gone yet. `over_before_us`: only if it
        is one of `sessions_over`.
        """
        ...

    def drop_deployment(self, deployment_id: str) -> bool: ...

    def drop_build(self, digest: str) -> bool:
        """False when it is deployed."""
        ...

    def delete_events_of(self, project: str, limit: int) -> int:
        """At most so many of a project's events, with what became of them; how many."""
        ...

    def delete_project(self, project: str) -> None:
        """What is left of it when its sessions and events are gone; tokens apart."""
        ...

    def delete_events_before(self, before_us: int, limit: int = 1000) -> int:
        """Delete old events that nothing needs any more, with what became of them; how many."""
        ...

    def put_token(self, token: TokenRow) -> None: ...

    def token_used(self, token_id: str, at_us: int) -> None: ...

    def delete_token(self, token_id: str) -> bool:
        """False when there was none; so for the other deletions."""
        ...

    def put_invite(self, invite: InviteRow) -> None: ...

    def delete_invite(self, invite_id: str) -> bool: ...

    def drop_invites(self, now_us: int) -> None:
        """Forget those whose time is over."""
        ...

    def put_host(self, host: JoinedHost) -> None:
        """A new one, or in place of the one of this name."""
        ...

    def delete_host(self, host_id: str) -> bool: ...

    def retire_deployments(self) -> int:
        """Make draining deployments inactive that have no living session any more; how many."""
        ...


class Store(Reads, Protocol):
    """A home's database. Reads may be called from any thread; `submit` and `commit` from one event loop."""

    @property
    def coordinator_id(self) -> str: ...

    def submit(self, item: Item, on_result: Callable[[Result], None]) -> None:
        """Write `item` with the next transaction, after everything submitted before. Never blocks on other work.

        `on_result` is called once, on the loop, in order of submission, when the item is durable or refused.
        """
        ...

    def commit(self, item: Item) -> Awaitable[Result]:
        """`submit` for coroutines. Raises the error of `Failed`."""
        ...

    def apply(self, item: Item) -> Result:
        """Write at once, in the calling thread: for start-up and tools, outside the event loop."""
        ...

    def close(self) -> None:
        """Write what is still waiting, then close."""
        ...

    @staticmethod
    def open(home: Path, *, read_only: bool = False) -> Store:
        """The SQLite store of `home`, made when there is none.

        Raises `PerdureError`: P0202 in use by another coordinator, P0209 damaged, P0210 newer schema.
        """
        from perdure_server.store.sqlite import SqliteStore

        return SqliteStore.open(home, read_only=read_only)

    @staticmethod
    def memory() -> Store:
        """A store that nothing remains of."""
        from perdure_server.store.sqlite import SqliteStore

        return SqliteStore.memory()

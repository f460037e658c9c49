"""What the store keeps and what it is asked to write. Times are Unix times in microseconds (`_us`)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from perdure_server.core.errors import PerdureError

if TYPE_CHECKING:
    from perdure_server.store.base import Transaction

T = TypeVar("T")
JsonObject = Mapping[str, Any]


class Keep(enum.Enum):
    """Stands for "leave the column as it is", where None means "no value"."""

    KEEP = "keep"


KEEP: Final = Keep.KEEP


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A row of `sessions`. Messages (`waiting`, `result`, `error`, `divergence`) are serialised protobuf."""

    session_id: str
    project: str
    build_id: str
    deployment_id: str
    entry_point: str
    event: bytes
    created_us: int
    hash_seed: int
    state: str = "created"
    epoch: int = 0
    durable: bool = True
    ended_us: int | None = None
    wake_at_us: int | None = None  # when a suspended session must be woken
    parent_id: str = ""
    event_id: str = ""
    forked_from: str = ""
    origin_id: str = ""  # for forks: the session from whose id the key is derived; empty: this one
    stop_requested: JsonObject | None = None
    waiting: bytes | None = None  # Entry of kind WAIT or RETRY that holds the session
    result: bytes | None = None
    error: bytes | None = None
    divergence: bytes | None = None
    event_form: int = 0  # EventForm: what the handler is called with
    on_parent_end: str = ""  # "terminate", "request_cancel" or "abandon", of a child
    memo: Mapping[str, str] | None = None
    status: bytes | None = None  # JSON
    entries: int = 0  # rows in its journal; ignored when a session is inserted


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """Columns of a session to change; the others stay."""

    state: str | Keep = KEEP
    ended_us: int | Keep | None = KEEP
    wake_at_us: int | Keep | None = KEEP
    stop_requested: JsonObject | Keep | None = KEEP
    waiting: bytes | Keep | None = KEEP
    result: bytes | Keep | None = KEEP
    error: bytes | Keep | None = KEEP
    divergence: bytes | Keep | None = KEEP
    status: bytes | Keep | None = KEEP

    def changes(self) -> dict[str, object]:
        """Column name to new value."""
        pairs = ((column.name, getattr(self, column.name)) for column in fields(self))
        return {name: value for name, value in pairs if value is not KEEP}


@dataclass(frozen=True, slots=True)
class Build:
    digest: str
    size: int
    created_us: int
    exports: Sequence[JsonObject]
    manifest: JsonObject


@dataclass(frozen=True, slots=True)
class Deployment:
    deployment_id: str
    project: str
    build_id: str
    created_us: int
    vars: Mapping[str, str]  # of secret ones the sealed value, in base64
    settings: JsonObject
    state: str = "active"  # or "draining", "inactive"


@dataclass(frozen=True, slots=True, order=True)
class LogPosition:
    """The place of a line in a session's output. The default is before the first line."""

    ordinal: int = 0
    index: int = -1


@dataclass(frozen=True, slots=True)
class LogRow:
    ordinal: int
    index: int
    line: bytes  # serialised LogLine

    @property
    def position(self) -> LogPosition:
        return LogPosition(self.ordinal, self.index)


SIGNAL_HELD_BYTES: Final = 1024
"""Longer payloads of signals stay in the store until somebody takes them."""


@dataclass(frozen=True, slots=True)
class SignalRow:
    n: int  # from 1, in order of arrival
    name: str
    payload: bytes | None  # JSON; None: it is long, and read when somebody takes it
    at_us: int


@dataclass(frozen=True, slots=True)
class TokenRow:
    """A bearer token of a client; `digest` is the sha256 of its secret, `project` empty for all, times 0 for never."""

    token_id: str
    digest: bytes
    name: str
    scope: str
    project: str
    created_us: int
    expires_us: int = 0
    used_us: int = 0


@dataclass(frozen=True, slots=True)
class InviteRow:
    """An open invitation of a host; `digest` is the sha256 of its secret, `host_id` empty for any free name."""

    invite_id: str
    digest: bytes
    host_id: str
    created_us: int
    expires_us: int


@dataclass(frozen=True, slots=True)
class JoinedHost:
    """A host that has joined; `key_digest` is the sha256 of its public key, `expires_us` the end of its certificate."""

    host_id: str
    key_digest: bytes
    joined_us: int
    expires_us: int


@dataclass(frozen=True, slots=True)
class VarRow:
    """A variable of a project that was set outside its manifest."""

    project: str
    name: str
    value: bytes  # UTF-8; sealed when there is a `key_id`
    secret: bool
    key_id: str  # of the key that sealed it; empty: in clear
    set_us: int


@dataclass(frozen=True, slots=True)
class Append:
    """Records of one attach of a session. Written only while the session's epoch is `epoch` and its journal ends at
    `first_seq` - 1, in the same transaction."""

    session_id: str
    epoch: int
    first_seq: int = 0  # place of entries[0], or of the entry that comes next; 0 (without entries): unchecked
    entries: Sequence[bytes] = ()  # serialised Entry
    logs: Sequence[LogRow] = ()
    update: SessionUpdate | None = None
    consumes: int | None = None  # the signal that the last of the entries gives to user code
    make: Callable[[Transaction], Sequence[bytes]] | None = None  # instead of `entries`; it may run again
    also: Callable[[Transaction], None] | None = None  # what else is written with it; as a Mutation's, it may run again
    lazy: bool = False  # may wait a little for company: nobody waits for it


@dataclass(frozen=True, slots=True)
class Mutation(Generic[T]):
    """Any other write. `write` runs in the writer's transaction, after all that was submitted before it.

    An exception from it undoes what it wrote and becomes the result. It may run again when the transaction has to be
    repeated, so it must change nothing but the database.
    """

    write: Callable[[Transaction], T]
    lazy: bool = False


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """It is durable. `value` is what a Mutation returned, or the journal's last `seq` after an Append."""

    value: T


@dataclass(frozen=True, slots=True)
class Fenced:
    """Nothing was written: the session has another epoch, or (`epoch` None) does not exist."""

    epoch: int | None


@dataclass(frozen=True, slots=True)
class Failed:
    """Nothing was written."""

    error: Exception = field(compare=False)

    @property
    def code(self) -> str:
        return self.error.code if isinstance(self.error, PerdureError) else ""


Item = Append | Mutation[Any]
Result = Done[Any] | Fenced | Failed

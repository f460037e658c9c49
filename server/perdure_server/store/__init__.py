"""What is kept: journal, sessions, builds, logs, blobs."""

from perdure_server.store.base import Reads, Store, Transaction
from perdure_server.store.blobs import SPILL_BYTES, BlobStore, inline, spill
from perdure_server.store.connections import ConnectionRow
from perdure_server.store.events import DispatchRow, EventRow, TriggerRow
from perdure_server.store.home import HomeLock, SessionKeys
from perdure_server.store.lifecycle import BuildTold, DeploymentTold, Position, ProjectTold, Unused
from perdure_server.store.model import (
    KEEP,
    SIGNAL_HELD_BYTES,
    Append,
    Build,
    Deployment,
    Done,
    Failed,
    Fenced,
    InviteRow,
    Item,
    JoinedHost,
    Keep,
    LogPosition,
    LogRow,
    Mutation,
    Result,
    SessionRecord,
    SessionUpdate,
    SignalRow,
    TokenRow,
    VarRow,
)
from perdure_server.store.subscriptions import SubscriptionRow
from perdure_server.store.values import Bereaved, OutcomeRow, StoredRow

__all__ = [
    "KEEP",
    "SIGNAL_HELD_BYTES",
    "SPILL_BYTES",
    "Append",
    "Bereaved",
    "BlobStore",
    "Build",
    "BuildTold",
    "ConnectionRow",
    "Deployment",
    "DeploymentTold",
    "DispatchRow",
    "Done",
    "EventRow",
    "Failed",
    "Fenced",
    "HomeLock",
    "InviteRow",
    "Item",
    "JoinedHost",
    "Keep",
    "LogPosition",
    "LogRow",
    "Mutation",
    "OutcomeRow",
    "Position",
    "ProjectTold",
    "Reads",
    "Result",
    "SessionKeys",
    "SessionRecord",
    "SessionUpdate",
    "SignalRow",
    "Store",
    "StoredRow",
    "SubscriptionRow",
    "TokenRow",
    "Transaction",
    "TriggerRow",
    "Unused",
    "VarRow",
    "inline",
    "spill",
]

"""What is kept: journal, sessions, builds, logs, blobs."""

from perdure_server.store.base import Reads, Store, Transaction
from perdure_server.store.blobs import SPILL_BYTES, BlobStore, inline, spill
from perdure_server.store.home import HomeLock, SessionKeys
from perdure_server.store.model import (
    KEEP,
    Append,
    Build,
    Deployment,
    Done,
    Failed,
    Fenced,
    Item,
    Keep,
    LogPosition,
    LogRow,
    Mutation,
    Result,
    SessionRecord,
    SessionUpdate,
    SignalRow,
)

__all__ = [
    "KEEP",
    "SPILL_BYTES",
    "Append",
    "BlobStore",
    "Build",
    "Deployment",
    "Done",
    "Failed",
    "Fenced",
    "HomeLock",
    "Item",
    "Keep",
    "LogPosition",
    "LogRow",
    "Mutation",
    "Reads",
    "Result",
    "SessionKeys",
    "SessionRecord",
    "SessionUpdate",
    "SignalRow",
    "Store",
    "Transaction",
    "inline",
    "spill",
]

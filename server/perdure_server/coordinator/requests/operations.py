"""What an operation is: something that a session asks the coordinator to do, done once and answered.

An operation only reads and writes the transaction that it is given, in which the session's journal gets the answer,
too. So both become durable or neither does. It may run in the writer thread, and once more when a transaction has to be
repeated: it keeps nothing. What it needs of the coordinator's memory, its `prepare` puts into the body before.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError

if TYPE_CHECKING:
    from perdure_server.coordinator.engine import Coordinator
    from perdure_server.store import Transaction

T = TypeVar("T")
Body = Mapping[str, Any]
"""What the session asks: a JSON object, made by hostile code."""


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, and when: `now_us` is the Unix time in microseconds."""

    session_id: str
    project: str
    deployment_id: str
    build_id: str
    event_id: str
    durable: bool
    now_us: int
    place: str = ""
    """LANE.ORDINAL of the call, the same in every replay; empty where calls are not recorded."""
    settings: Settings = field(default_factory=Settings)
    """The coordinator's: its limits."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation answers: plain JSON. `then` is called on the loop once all of it is durable.

    After a crash `then` may never be called: what it does has to follow from the rows, too.
    """

    value: Any
    then: Callable[[Coordinator], None] | None = None


Operation = Callable[["Transaction", Asker, Body], Answer]
"""Raises `PerdureError` to refuse; then nothing that it wrote remains."""

Prepare = Callable[["Coordinator", Asker, Body], Awaitable[Body]]
"""What happens on the loop before; the session's other records wait for it. Raises `PerdureError` to refuse."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the table of operations."""

    run: Operation
    prepare: Prepare | None = None


def need(body: Body, key: str, kind: type[T]) -> T:
    """The value of `key`, which has to be there and of this type. P0103 if not."""
    value = body.get(key)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        found = "nothing" if value is None else type(value).__name__
        raise PerdureError("P0103", f"{key!r} has to be {kind.__name__}, not {found}")
    return value


def text(body: Body, key: str, longest: int, default: str | None = None) -> str:
    """A text of at most `longest` characters; P0103 if it is none. Without a default it must be there and not empty."""
    if key not in body and default is not None:
        return default
    value = need(body, key, str)
    if len(value) > longest or (not value and default is None):
        raise PerdureError("P0103", f"{key!r} has {len(value)} characters, not 1 to {longest}")
    return value

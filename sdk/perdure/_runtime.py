"""The seam between the SDK and the recorder. Private: user code has no business here.

A runner puts itself into `current` before it starts user code; in a plain script `current` stays None.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from fnmatch import fnmatchcase
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from perdure._calls import Signal
    from perdure._event import Event


class Runtime(Protocol):
    """What the SDK asks of the runner it finds itself in."""

    @property
    def session_id(self) -> str:
        """The session's id; in a fork, while it repeats what another session has recorded, that one's."""

    def sleep(self, seconds: float) -> None:
        """A durable timer. `seconds` is finite and not negative."""

    def next_signal(self, names: tuple[str, ...], timeout: float | None) -> Signal | None:
        """Wait for a signal with one of `names` (none: with any name); None after `timeout` seconds."""

    async def next_signal_async(self, names: tuple[str, ...], timeout: float | None) -> Signal | None:
        """The same; other tasks go on meanwhile."""

    def next_event(self, subscriptions: tuple[str, ...], timeout: float | None) -> Event | None:
        """Wait for an event of one of `subscriptions`; None after `timeout` seconds."""

    async def next_event_async(self, subscriptions: tuple[str, ...], timeout: float | None) -> Event | None:
        """The same; other tasks go on meanwhile."""

    def request(self, operation: str, body: Mapping[str, Any]) -> Any:
        """Have the coordinator do `operation` ("store.get"), once, and return its answer. `body` is plain JSON.

        Where calls are recorded, so is the answer. Raises perdure.RequestRefused.
        """

    async def request_async(self, operation: str, body: Mapping[str, Any]) -> Any:
        """The same; other tasks go on meanwhile."""

    def version(self, name: str, newest: int) -> int:
        """Which branch of changed code the session takes: from 0 to `newest`, the same for all of its life."""

    def activity_key(self) -> str:
        """The key of the activity in progress. Raises RuntimeError outside one."""

    def replaying(self) -> bool:
        """Does the session still repeat what its journal says?"""


class NoActivities:
    """What `register_no_activity` was told: things by identity, and patterns over qualified names.

    `version` goes up with every change, so that a cache of verdicts can tell that it is stale.
    """

    def __init__(self) -> None:
        self.version = 0
        self.patterns: tuple[str, ...] = ()
        self._things: dict[int, object] = {}  # by id, and kept alive: looking up never runs a user's __hash__

    def add(self, thing: object) -> None:
        if isinstance(thing, ModuleType):
            self.patterns = (*self.patterns, thing.__name__, f"{thing.__name__}.*")
        elif isinstance(thing, str):
            self.patterns = (*self.patterns, thing)
        else:
            self._things[id(thing)] = thing
        self.version += 1

    def has(self, thing: object) -> bool:
        """Was this very function or class registered?"""
        return id(thing) in self._things

    def matches(self, qualified_name: str) -> bool:
        """Does a registered module or pattern cover "module.qualname"?"""
        return any(fnmatchcase(qualified_name, pattern) for pattern in self.patterns)


current: Runtime | None = None
no_activity = NoActivities()
inhibit: ContextVar[int] = ContextVar("perdure_inhibit", default=0)
"""How many `inhibit_activities()` the thread or task is inside of."""

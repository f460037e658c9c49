"""One live object, as the session knows it."""

from __future__ import annotations

import enum
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from perdure_runner.child.handles.registry import OPEN, STATUS, Kind
from perdure_runner.child.handles.shape import Shape
from perdure_runner.child.patching.sites import SiteInfo

if TYPE_CHECKING:
    from perdure_runner.child.handles.table import Table

GONE: Final = object()
"""In place of a live object that this process does not have."""
_OF_PARENT: Final = "connection."
STATE: Final = "__state__"
"""The fact that is the whole object, pickled: (encoding, data, digest), or None if it cannot be."""

Key = tuple[str, int, int]
"""Lane and ordinal of the call that made it, and which of that call's live objects it is, from 0."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """The call that made an object: `f(*args, **kwargs)`, at `site`."""

    f: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    site: SiteInfo | None


@dataclass(frozen=True, slots=True)
class Done:
    """A recorded operation on an object that this process does not have (yet), and the fingerprint of its result."""

    handle: Handle
    name: str
    f: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    result: bytes | None
    made: Handle | None = None
    """The object that the operation gave."""


@dataclass(slots=True, eq=False, weakref_slot=True)
class Handle:
    """See the module's docstring."""

    table: Table
    key: Key
    shape: Shape
    kind: Kind
    recipe: Recipe | None
    parent: Handle | None
    """What the call that made it was an operation on."""
    live: Any = GONE
    facts: dict[str, Any] = field(default_factory=dict)
    """What was last told of it, by the names of its attributes."""
    done: list[Done] = field(default_factory=list)
    """Of a root that is not live: what has been done with it and its parts, as far as that is done again."""
    pending: bool = False
    """Of a transactional object: something has been done that is not committed."""
    ended: bool = False
    """It was closed, or has no more items."""
    proxy: weakref.ref[Any] | None = None

    @property
    def name(self) -> str:
        """The class's dotted name, as the journal has it."""
        return self.shape.name

    @property
    def root(self) -> Handle:
        """The whole of which it is a part: what keeps the state of all its parts."""
        if self.parent is None:
            return self
        above = self.parent.root
        return above if self.kind.is_part or above.kind.whole else self

    def changed_facts(self, live: Any) -> dict[str, Any]:
        """What the object says of itself that has not been told."""
        return {
            name: value
            for name, owner, short in self._facts()
            if (value := _read(live, name)) is not GONE and owner.facts.get(short, GONE) != value
        }

    def learn(self, facts: dict[str, Any]) -> None:
        """Remember what was told."""
        if STATE in facts:
            self.root.facts[STATE] = facts[STATE]
        for name, owner, short in self._facts():
            if name in facts:
                owner.facts[short] = facts[name]

    def _facts(self) -> Iterator[tuple[str, Handle, str]]:
        for name in self.kind.facts:
            if not name.startswith(_OF_PARENT):
                yield name, self, name
            elif (owner := self.transaction()) is not None:
                yield name, owner, name.removeprefix(_OF_PARENT)

    @property
    def in_transaction(self) -> bool:
        """Of a transactional object: is something not committed, as it says itself, or else as its operations do?"""
        if STATUS in self.facts:
            return self.facts[STATUS] in OPEN
        return bool(self.facts.get("in_transaction", self.pending))

    def transaction(self) -> Handle | None:
        """The nearest object above (or itself) that commits."""
        handle: Handle | None = self
        while handle is not None and not handle.kind.transactional:
            handle = handle.parent
        return handle


def _read(live: Any, name: str) -> Any:
    try:
        if name == "cookies":
            return [(cookie.name, cookie.value, cookie.domain, cookie.path) for cookie in live.cookies.jar]
        for part in name.split("."):
            live = getattr(live, part)
    except Exception:  # noqa: BLE001 - properties of the object: what it does not say is no fact
        return GONE
    return int(live) if isinstance(live, enum.IntEnum) else live

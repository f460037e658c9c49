"""References in recorded values: tokens that stand for objects which are not written themselves.

A token is a tuple of plain data whose first element says whose it is, written as a pickle's persistent id. What it
stands for is found again through the `References` that the value is decoded with: an argument that came back, a handle.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

Token = tuple[Any, ...]


class References(Protocol):
    """Who knows objects by tokens."""

    def name(self, thing: object) -> Token | None:
        """A token to write instead of `thing`; None: write it as usual.

        Asked for every object that the pickler meets, atoms too: it must be fast, and must run no code of `thing`.
        """

    def find(self, token: Token) -> object:
        """What `token` was given for, or what stands for it in replay. Raises LookupError: it is not one of these."""

    def adopt(self, thing: object, why: Exception) -> Token | None:
        """`thing` cannot be pickled: a token to write instead (`find` knows it from now on), or None: refuse."""


class Handles(References, Protocol):
    """Who makes handles of live objects. As `References` it knows those that there are; `of` also makes new ones."""

    def of(
        self,
        lane: str,
        ordinal: int,
        site: Any,
        f: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> References:
        """For the outcome of the call `f(*args, **kwargs)` with this place in the journal and at this site."""


class Chain:
    """Several references as one: the first that knows an object or a token has it."""

    def __init__(self, *links: References) -> None:
        self._links = links

    def name(self, thing: object) -> Token | None:
        """The first token that there is."""
        for link in self._links:
            if (token := link.name(thing)) is not None:
                return token
        return None

    def find(self, token: Token) -> object:
        """What the first that knows the token has for it. Raises LookupError."""
        for link in self._links:
            try:
                return link.find(token)
            except LookupError:
                continue
        raise LookupError(f"nothing is known by the token {token!r}")

    def adopt(self, thing: object, why: Exception) -> Token | None:
        """The token of the first that takes it."""
        for link in self._links:
            if (token := link.adopt(thing, why)) is not None:
                return token
        return None


class Adopting:
    """One encoding of a value with `References`: remembers what has been adopted on the way, until it succeeds."""

    def __init__(self, refs: References) -> None:
        self._refs = refs
        self._adopted: dict[int, tuple[object, Token]] = {}  # by id; the objects are kept, so ids stay theirs

    def name(self, thing: object) -> Token | None:
        """The token of what was adopted, or what the references say."""
        known = self._adopted.get(id(thing))
        return self._refs.name(thing) if known is None else known[1]

    def find(self, token: Token) -> object:
        """What the references find."""
        return self._refs.find(token)

    def adopt(self, thing: object, why: Exception) -> Token | None:
        """Ask once for each object: one that was adopted and still is in the way is refused."""
        if id(thing) in self._adopted:
            return None
        token = self._refs.adopt(thing, why)
        if token is not None:
            self._adopted[id(thing)] = thing, token
        return token

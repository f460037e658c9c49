"""Who may make a call: one rule for gRPC's doors and for HTTP."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Final

from perdure_server.core.at_once import AtOnce
from perdure_server.core.errors import PerdureError
from perdure_server.security.access import Access
from perdure_server.security.needs import Kind, Need
from perdure_server.security.scopes import Caller, Scope

CALLS_OF_ONE: Final = 256  # that one caller may have open at once
CALLS_OF_STRANGERS: Final = 32  # all of them together, at one door

STRANGER: Final = Caller("a stranger")
_BEARER: Final = "Bearer "


def bearer(authorization: str) -> str:
    """The token in the value of an `authorization` header; empty where there is none."""
    return authorization.removeprefix(_BEARER) if authorization.startswith(_BEARER) else ""


def admit(access: Access, need: Need, kind: Kind, token: str) -> Caller:
    """Who shows `token` at a door, if that is enough. Raises P0215."""
    caller = access.tokens.check(token) if token else None
    if caller is None:
        if kind in need.strangers:
            return STRANGER
        what = "the token is wrong, revoked or over" if token else "who asks has no token"
        raise PerdureError("P0215", what, help="pass one in PERDURE_TOKEN; `perdure tokens create` makes it")
    if caller.scope < need.scope:
        raise PerdureError("P0215", f"{caller.name} has {_verb(caller.scope)}; this takes {_verb(need.scope)}")
    if need.whole and caller.project:
        raise PerdureError("P0215", f"{caller.name} is for project {caller.project}; this concerns all")
    return caller


class OpenCalls:
    """At one door, by caller."""

    def __init__(self) -> None:
        self._open = AtOnce()

    def counted(self, caller: Caller) -> AbstractContextManager[None]:
        """One more, while the context lasts. Raises P0221 when they are too many."""
        limit = CALLS_OF_ONE if caller.scope else CALLS_OF_STRANGERS
        return self._open.counted(caller.name, limit, f"{caller.name} has {limit} calls open already")


def _verb(scope: Scope) -> str:
    return f"scope {scope.name.lower()}"

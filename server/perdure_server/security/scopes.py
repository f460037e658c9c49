"""What somebody may ask."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Scope(IntEnum):
    """Each scope includes those before it."""

    NONE = 0
    READ = 1
    DEPLOY = 2
    ADMIN = 3


SCOPES: Final = {scope.name.lower(): scope for scope in Scope if scope}
"""By the name that people use."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody at a door: `name` tells callers apart, for limits and messages.

    `project`: the only one it may ask about; empty for all. `host_id`: the name in its certificate, if it has one.
    `token_id`: of the token that it shows, if it shows one.
    """

    name: str
    scope: Scope = Scope.NONE
    project: str = ""
    host_id: str = ""
    token_id: str = ""


SOCKET: Final = Caller("the Unix socket", Scope.ADMIN)
"""Who can open a socket that is its owner's only (0600 in a folder of 0700) is the owner, or root."""

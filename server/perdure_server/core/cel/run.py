"""One evaluation: what it may cost, and how it ends without a value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

STEP_CHARS: Final = 64  # of a text that one step pays for


class Fault(Exception):  # noqa: N818 - it is what CEL calls an error: a value of its own kind
    """The expression has no value for this data."""


class Spent(Fault):
    """It would take too many steps. No operator absorbs it."""


class Run:
    """One evaluation: what it may still spend, and the variables it sees."""

    __slots__ = ("steps", "variables")

    def __init__(self, variables: dict[str, Any], steps: int) -> None:
        self.variables = variables
        self.steps = steps

    def pay(self, steps: int) -> None:
        self.steps -= steps
        if self.steps < 0:
            raise Spent("it takes too many steps")


Evaluate = Callable[[Run], Any]
"""What a node of the tree becomes."""

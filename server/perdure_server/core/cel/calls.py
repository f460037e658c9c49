"""What there is to say of a function or method of expressions, for the tables of those that there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from perdure_server.core.cel.run import STEP_CHARS, Run
from perdure_server.core.cel.tree import Node

STRING: Final = ("string",)
BYTES: Final = ("bytes",)
INT: Final = ("int",)
DOUBLE: Final = ("double",)
NUMBER: Final = ("int", "double")
LIST: Final = ("list",)
ANY: Final = ("",)


class Function(NamedTuple):
    """`types`: what each argument may be, "" for anything; of a method the first is what it is called on.

    Whatever takes longer for longer arguments pays for it, before it does it.
    """

    run: Callable[..., Any]
    types: tuple[tuple[str, ...], ...]
    method: bool = False
    least: int = 0  # arguments that are needed; 0: all
    many: bool = False  # any number of arguments more, of the last type
    check: Callable[[tuple[Node, ...]], None] | None = None  # what is clear from the text; raises `CelError`

    def takes(self, count: int) -> bool:
        """Whether it may have so many arguments."""
        return (self.least or len(self.types)) <= count and (self.many or count <= len(self.types))


def of_text(work: Callable[..., Any], chars: int = STEP_CHARS) -> Callable[..., Any]:
    """A function whose cost is that of reading its first argument, `chars` of it a step."""

    def run_it(run: Run, text: Any, *arguments: Any) -> Any:
        run.pay(len(text) // chars)
        return work(text, *arguments)

    return run_it

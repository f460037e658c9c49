"""What operations record beside plain results. Recorded pickles name these classes: never rename one."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Told:
    """A result, with what has changed of what must be known of the object without having it."""

    value: Any
    facts: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """An iterator has no more items; a generator has returned `value`."""

    value: Any = None

"""When a failed activity is tried again, and how long to wait before."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from perdure._errors import Cancelled


def _qualified(cls: type) -> str:
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def _number(name: str, value: object, least: float, most: float = math.inf) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"RetryPolicy: {name} must be a number, not {value!r}")
    if not least <= value <= most or value == math.inf:  # false for NaN too
        bounds = f"at least {least:g}" if most == math.inf else f"between {least:g} and {most:g}"
        raise ValueError(f"RetryPolicy: {name} must be {bounds} and finite, not {value!r}")


@dataclass(frozen=True)
class RetryPolicy:
    """How often, when and after which exceptions a failed activity is tried again.

    max_attempts: attempts in all, the first one included; 0 means no limit.
    initial_delay: seconds between the first attempt and the second.
    factor: each further delay is this many times the one before.
    max_delay: seconds, upper limit of every delay.
    jitter: share of each delay that is random, 0 (none) to 1.
    retry_on: exception classes, or their names, bare ("HTTPError") or qualified ("requests.exceptions.HTTPError");
        subclasses count. Exceptions that are no `Exception`, and perdure.Cancelled, are never retried.
    """

    max_attempts: int = 5
    initial_delay: float = 1.0
    factor: float = 2.0
    max_delay: float = 60.0
    jitter: float = 0.1
    retry_on: tuple[type[BaseException] | str, ...] = (Exception,)

    def __post_init__(self) -> None:
        if isinstance(self.max_attempts, bool) or not isinstance(self.max_attempts, int):
            raise TypeError(f"RetryPolicy: max_attempts must be an int, not {self.max_attempts!r}")
        _number("max_attempts", self.max_attempts, 0)
        _number("initial_delay", self.initial_delay, 0)
        _number("factor", self.factor, 1)
        _number("max_delay", self.max_delay, 0)
        _number("jitter", self.jitter, 0, 1)
        given: object = self.retry_on
        entries = tuple(given) if isinstance(given, list | tuple) else (given,)
        for entry in entries:
            if not (isinstance(entry, str) and entry) and not (
                isinstance(entry, type) and issubclass(entry, BaseException)
            ):
                raise TypeError(f"RetryPolicy: retry_on takes exception classes or their names, not {entry!r}")
        object.__setattr__(self, "retry_on", entries)

    def delay(self, attempt: int, random: float) -> float:
        """Seconds to wait after attempt number `attempt` (from 1) failed. `random` is in [0, 1)."""
        try:
            delay = min(self.initial_delay * self.factor ** (attempt - 1), self.max_delay)
        except OverflowError:
            delay = self.max_delay
        return delay * (1 - self.jitter * random)

    def allows(self, attempt: int) -> bool:
        """Is another attempt allowed after attempt number `attempt` (from 1) failed?"""
        return self.max_attempts == 0 or attempt < self.max_attempts

    def retries(self, error: BaseException) -> bool:
        """Is `error` one of those after which the activity is tried again?"""
        kind = type(error)
        if not issubclass(kind, Exception) or issubclass(kind, Cancelled):
            return False
        names = {name for cls in kind.__mro__ for name in (cls.__name__, _qualified(cls))}
        return any(entry in names if isinstance(entry, str) else issubclass(kind, entry) for entry in self.retry_on)

    def to_json(self) -> dict[str, object]:
        """The policy as plain data; keys are those of RetryPolicy in runner.proto."""
        return {
            "max_attempts": self.max_attempts,
            "initial_delay_s": self.initial_delay,
            "factor": self.factor,
            "max_delay_s": self.max_delay,
            "jitter": self.jitter,
            "retry_on": [entry if isinstance(entry, str) else _qualified(entry) for entry in self.retry_on],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "RetryPolicy":
        """The inverse of `to_json`. Absent keys take their defaults; an empty `retry_on` means Exception."""
        fields = {_FIELDS[key]: value for key, value in data.items()}
        fields["retry_on"] = tuple(fields.get("retry_on") or (Exception,))
        return cls(**fields)


_FIELDS = {
    "max_attempts": "max_attempts",
    "initial_delay_s": "initial_delay",
    "factor": "factor",
    "max_delay_s": "max_delay",
    "jitter": "jitter",
    "retry_on": "retry_on",
}

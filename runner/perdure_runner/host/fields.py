"""Checks of single values in a runner's frames. The runner is hostile: a value is right or its frame is refused."""

from collections.abc import Callable
from typing import Any

MOST = (1 << 63) - 1  # what every store can hold

Check = Callable[[Any], Any]


class ProtocolError(Exception):
    """A frame of a runner, or a message of the coordinator, is not as the contract says."""


def integer(low: int = 0, high: int = MOST) -> Check:
    """An int, and no bool, from `low` to `high`."""

    def check(value: Any) -> int:
        if type(value) is int and low <= value <= high:
            return value
        raise ProtocolError(f"not an integer from {low} to {high}: {_short(value)}")

    return check


def text(limit: int) -> Check:
    """A str of at most `limit` characters. That UTF-8 can hold it is checked when the message is made."""

    def check(value: Any) -> str:
        if type(value) is str and len(value) <= limit:
            return value
        raise ProtocolError(f"not text of up to {limit} characters: {_short(value)}")

    return check


def choice(*allowed: str) -> Check:
    """One of these strings."""

    def check(value: Any) -> str:
        if type(value) is str and value in allowed:
            return value
        raise ProtocolError(f"none of {', '.join(allowed)}: {_short(value)}")

    return check


def digest(low: int, high: int) -> Check:
    """Bytes in hexadecimal, from `low` to `high` of them, or none."""

    def check(value: Any) -> bytes:
        if type(value) is str and (not value or 2 * low <= len(value) <= 2 * high):
            try:
                return bytes.fromhex(value)
            except ValueError:
                pass
        raise ProtocolError(f"not a digest of {low} to {high} bytes: {_short(value)}")

    return check


def flag(value: Any) -> bool:
    """True or false; 1 and 0 mean the same."""
    if value is True or value is False or (type(value) is int and 0 <= value <= 1):
        return bool(value)
    raise ProtocolError(f"neither true nor false: {_short(value)}")


def listing(item: Check, limit: int) -> Check:
    """A list of at most `limit` things that pass `item`."""

    def check(value: Any) -> list[Any]:
        if type(value) is list and len(value) <= limit:
            return [item(one) for one in value]
        raise ProtocolError(f"not a list of up to {limit}: {_short(value)}")

    return check


def _short(value: Any) -> str:
    shown = f"{type(value).__name__} {value!r:.60}" if isinstance(value, int | str | None) else type(value).__name__
    return shown[:80]

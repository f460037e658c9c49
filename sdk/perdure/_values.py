"""What the key-value store does to values: the same in a plain script and in the coordinator. Values are JSON."""

from collections.abc import Mapping
from typing import Any, Final

MAX_KEY: Final = 256  # characters
_MAX_DEPTH: Final = 200  # of containers in each other


def check_key(key: object) -> str:
    """The key. Raises TypeError or ValueError if it is none."""
    if not isinstance(key, str):
        raise TypeError(f"a key of the store is a text, not {_named(key)}")
    if not 1 <= len(key) <= MAX_KEY or not key.isprintable():
        raise ValueError(f"a key of the store is a text of 1 to {MAX_KEY} printable characters, not {key[:80]!r}")
    return key


def plain(value: object, what: str = "the value", depth: int = 0) -> Any:
    """`value` as JSON says it: tuples become lists. Raises TypeError for what JSON cannot say, ValueError if too deep.

    Keys of dicts have to be texts: JSON would make texts of others without a word.
    """
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if value - value != 0:
            raise TypeError(f"{what}: {value} is a number that JSON cannot say")
        return value
    if depth >= _MAX_DEPTH:
        raise ValueError(f"{what} is nested more than {_MAX_DEPTH} deep")
    if isinstance(value, (list, tuple)):
        return [plain(item, what, depth + 1) for item in value]
    if isinstance(value, Mapping):
        return {_name(key, what): plain(item, what, depth + 1) for key, item in value.items()}
    raise TypeError(
        f"{what} is or holds {_named(value)}: only None, bool, int, float, str, lists, tuples and dicts can go there"
    )


def _name(key: object, what: str) -> str:
    if not isinstance(key, str):
        raise TypeError(f"{what}: keys of dicts have to be texts, not {_named(key)}")
    return key


def _named(value: object) -> str:
    return f"a {type(value).__name__}"


def same(one: Any, other: Any) -> bool:
    """Are two JSON values equal? 1 and 1.0 are; 1 and True are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def added(current: Any, operand: Any) -> int | float:
    """`operand` on top of what is stored (None: nothing). Raises TypeError unless both are numbers, and OverflowError.

    Whole numbers stay exact, however large.
    """
    for number in (operand,) if current is None else (operand, current):
        if isinstance(number, bool) or not isinstance(number, (int, float)):
            raise TypeError(f"only numbers can be added, not {_named(number)}")
    total: int | float = operand if current is None else current + operand
    if isinstance(total, float) and total - total != 0:
        raise OverflowError("the sum is too large for a float")
    return total

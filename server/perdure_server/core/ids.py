"""Names of things: a prefix, the time, and chance. They sort by the time they were made."""

from __future__ import annotations

from typing import Final

SESSION: Final = "ses"
DEPLOYMENT: Final = "dep"
EVENT: Final = "evt"

RANDOM_BYTES: Final = 8

# Crockford's base32 in lower case: no i, l, o, u, and the order of the digits is the order of the text.
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def make_id(prefix: str, now_us: int, chance: bytes) -> str:
    """`prefix_` and 23 characters: milliseconds (10, good until the year 10889), then `chance` (13, 8 bytes)."""
    return f"{prefix}_{_digits(now_us // 1000, 10)}{_digits(int.from_bytes(chance), 13)}"


def derived_id(prefix: str, digest: bytes) -> str:
    """`prefix_` and 23 characters that say nothing of a time: the first 115 bits of `digest`."""
    return f"{prefix}_{_digits(int.from_bytes(digest[:15]) >> 5, 23)}"


def _digits(number: int, length: int) -> str:
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(5 * (length - 1), -5, -5))

"""JSON from strangers: looked at before it is parsed, so that neither its depth nor its numbers cost anything.

Python's parser recurses, and turns digits into integers in quadratic time; what is refused here it would choke on, or
the session's own code would.
"""

import json
import re
from typing import Any, Final, NoReturn

MAX_DEPTH: Final = 200
MAX_DIGITS: Final = 1_000

# Possessive, and the closing quote may be missing: then it is the rest of the text. Never looked at twice.
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_LONG: Final = re.compile(rb"(?<![0-9])[0-9]{%d}" % (MAX_DIGITS + 1))  # tried once for each run of digits
_RUN: Final = re.compile(rb"\[++|\]++")
_FLAT: Final = 4
"""Layers that are taken away in C, everywhere at once, before the rest is counted run by run."""
_BRACES: Final = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))


def parse(text: bytes) -> Any:
    """The value of a JSON text. Raises ValueError, with why: no JSON, nested too deep, or a number too long."""
    check(text)
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def text_of(value: object, most: int) -> str:
    """A text's first `most` characters; "" for what is no text. Halves of surrogate pairs, which JSON may have and
    UTF-8 may not, are "?"."""
    return value[:most].encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def check(text: bytes) -> None:
    """Raises ValueError for what must not be parsed. What is no JSON at all may pass."""
    # Settles nearly every text: few brackets cannot be nested deep.
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH and _LONG.search(text) is None:
        return
    bare = _STRING.sub(b"", text)
    if _LONG.search(bare) is not None:
        raise ValueError(f"a number has more than {MAX_DIGITS} digits")
    brackets = bare.translate(_BRACES, _NO_BRACKETS)
    for _ in range(_FLAT):
        brackets = brackets.replace(b"[]", b"")
    depth, most = 0, MAX_DEPTH - _FLAT
    for run in _RUN.finditer(brackets):
        depth += len(run[0]) if run[0].startswith(b"[") else -len(run[0])
        if depth > most:
            raise ValueError(f"it is nested more than {MAX_DEPTH} deep")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not part of JSON")

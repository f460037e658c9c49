"""cel-go's ext/strings.go. `format` is in `formatting`, `reverse` in `lists`."""

from __future__ import annotations

from typing import Any, Final

from perdure_server.core.cel.calls import INT, LIST, STRING, Function, of_text
from perdure_server.core.cel.extensions import formatting
from perdure_server.core.cel.run import STEP_CHARS, Fault, Run
from perdure_server.core.cel.values import utf8

_SPACES: Final = (
    "\t\n\v\f\r \u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029"
    "\u202f\u205f\u3000"
)
"""White space by Unicode; `str.strip` takes some control characters for it, too."""
_ESCAPES: Final = str.maketrans(
    {"\a": r"\a", "\b": r"\b", "\f": r"\f", "\n": r"\n", "\r": r"\r", "\t": r"\t", "\v": r"\v", "\\": r"\\", '"': r"\""}
)
_SLOW_CHARS: Final = STEP_CHARS // 8  # of a text that is gone through one by one


def _lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text) if not text.isascii() else text.lower()


def _upper(text: str) -> str:
    return "".join(c.upper() if c.isascii() else c for c in text) if not text.isascii() else text.upper()


def _char_at(text: str, at: int) -> str:
    if not 0 <= at <= len(text):
        raise Fault(f"index out of range: {at}")
    return text[at : at + 1]


def _index_of(text: str, part: str, start: int = 0) -> int:
    if not part:
        return start
    if start < 0:
        raise Fault(f"index out of range: {start}")
    return text.find(part, start) if start < len(text) else -1


def _last_index_of(text: str, part: str, last: int | None = None) -> int:
    if not part:
        return len(text) if last is None else last
    if last is None:
        return text.rfind(part)
    if last < 0:
        raise Fault(f"index out of range: {last}")
    return text.rfind(part, 0, last + len(part)) if last < len(text) else -1


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise Fault("the text has no such part")
    return text[start:stop]


def _replace(run: Run, text: str, old: str, new: str, limit: int = -1) -> str:
    found = text.count(old)
    times = found if limit < 0 else min(found, limit)
    run.pay((2 * len(text) + times * len(new)) // STEP_CHARS + times)
    return text.replace(old, new, times)


def _split(run: Run, text: str, by: str, limit: int = -1) -> list[str]:
    """Into `limit` parts at most, the last of which has the rest."""
    run.pay(len(text) // STEP_CHARS + (text.count(by) if by else len(text)))
    if limit == 0:
        return []
    if by:
        return text.split(by, min(limit, len(text) + 1) - 1 if limit > 0 else -1)
    cut = len(text) if limit < 0 else min(limit - 1, len(text))
    return [*text[:cut], text[cut:]] if text[cut:] else list(text)


def _join(run: Run, items: list[Any], by: str = "") -> str:
    if not all(isinstance(item, str) for item in items):
        raise Fault("only strings can be joined")
    run.pay(len(items) + (sum(map(len, items)) + len(by) * len(items)) // STEP_CHARS)
    return by.join(items)


def _quote(text: str) -> str:
    return f'"{utf8(text).decode().translate(_ESCAPES)}"'


FUNCTIONS: Final[dict[str, Function]] = {"strings.quote": Function(of_text(_quote, _SLOW_CHARS), (STRING,))}
METHODS: Final[dict[str, Function]] = {
    "charAt": Function(of_text(_char_at), (STRING, INT), method=True),
    "format": Function(formatting.formatted, (STRING, LIST), method=True, check=formatting.check),
    "indexOf": Function(of_text(_index_of), (STRING, STRING, INT), method=True, least=2),
    "join": Function(_join, (LIST, STRING), method=True, least=1),
    "lastIndexOf": Function(of_text(_last_index_of), (STRING, STRING, INT), method=True, least=2),
    "lowerAscii": Function(of_text(_lower), (STRING,), method=True),
    "replace": Function(_replace, (STRING, STRING, STRING, INT), method=True, least=3),
    "split": Function(_split, (STRING, STRING, INT), method=True, least=2),
    "substring": Function(of_text(_substring), (STRING, INT, INT), method=True, least=2),
    "trim": Function(of_text(lambda text: text.strip(_SPACES)), (STRING,), method=True),
    "upperAscii": Function(of_text(_upper), (STRING,), method=True),
}

"""Filters of triggers and subscriptions, and the keys of their limits: CEL over an event.

They know `data` (the event's data), `event_type`, and `headers` (of a webhook's request; names in any case).
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from perdure_server.core.cel import CelError, Expression, Fault, compile_expression
from perdure_server.core.cel.values import utf8
from perdure_server.core.errors import PerdureError

VARIABLES: Final = ("data", "event_type", "headers")
KEY_CHARS: Final = 256  # of what a key may be


class Headers(dict[str, str]):
    """Header fields by name in lower case; asked for in any."""

    def __missing__(self, name: str) -> str:
        lower = name.lower() if isinstance(name, str) else name
        if lower == name:
            raise KeyError(name)
        return self[lower]

    def __contains__(self, name: object) -> bool:
        return super().__contains__(name.lower() if isinstance(name, str) else name)


def headers_of(data: Any) -> Headers:
    """The headers in a webhook's event, else none."""
    found = data.get("headers") if isinstance(data, dict) else None
    if not isinstance(found, dict):
        return Headers()
    return Headers((str(name).lower(), value) for name, value in found.items())


class Filter:
    """A condition. The empty text holds for every event."""

    __slots__ = ("_expression", "text", "why")

    def __init__(self, text: str, expression: Expression | None) -> None:
        self.text = text
        self._expression = expression
        self.why = ""  # why the last event did not match, where it is not that the condition does not hold

    def matches(self, data: Any, event_type: str, headers: Mapping[str, str] | None = None) -> bool:
        """Whether the event is meant. Never raises: without a value there is no match, and `why` says why."""
        self.why = ""
        if self._expression is None:
            return True
        try:
            value = self._expression.value(_variables(data, event_type, headers))
        except Fault as fault:
            self.why = str(fault)
            return False
        if not isinstance(value, bool):
            self.why = "its value is neither true nor false"
            return False
        return value


class Key:
    """What an event is held by in a limit. The empty text makes all events one."""

    __slots__ = ("_expression", "text")

    def __init__(self, text: str, expression: Expression | None) -> None:
        self.text = text
        self._expression = expression

    def of(self, data: Any, event_type: str, headers: Mapping[str, str] | None = None) -> str:
        """The key, which can be stored; "" where it has no value, or one that is no text, number or yes or no."""
        if self._expression is None:
            return ""
        try:
            value = self._expression.value(_variables(data, event_type, headers))
        except Fault:
            return ""
        text = str(value)[:KEY_CHARS] if isinstance(value, (str, int, float)) else ""
        return utf8(text).decode()


def compile_filter(text: str) -> Filter:
    """Raises `PerdureError` P0105, with the column, where it is no condition."""
    expression = _compiled(text)
    if expression is not None and expression.never_bool:
        raise PerdureError(
            "P0105", "a filter says yes or no, and this is something else", column=1, source=_line(text, 0)[0],
            help='compare it with something: data.action == "opened"',
        )  # fmt: skip
    return Filter(text, expression)


def compile_key(text: str) -> Key:
    """Raises `PerdureError` P0105, with the column, where it is no expression."""
    return Key(text, _compiled(text))


def _variables(data: Any, event_type: str, headers: Mapping[str, str] | None) -> dict[str, Any]:
    return {"data": data, "event_type": event_type, "headers": headers_of(data) if headers is None else headers}


@lru_cache(maxsize=256)
def _expression(text: str) -> Expression:
    return compile_expression(text, VARIABLES)


def _compiled(text: str) -> Expression | None:
    if not text.strip():
        return None
    try:
        return _expression(text)
    except CelError as error:
        line, column = _line(text, error.offset)
        raise PerdureError("P0105", error.message, column=column, source=line, help=error.help or None) from None


def _line(text: str, offset: int) -> tuple[str, int]:
    """The line that a place is in, and its column there, from 1."""
    start = text.rfind("\n", 0, offset) + 1
    return text[start:].partition("\n")[0], offset - start + 1

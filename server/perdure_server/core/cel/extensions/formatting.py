"""`string.format(list)` of cel-go's ext/formatting_v2.go."""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

from perdure_server.core.cel.run import STEP_CHARS, Fault, Run
from perdure_server.core.cel.times import SECOND_NS, Duration, Timestamp, written_timestamp
from perdure_server.core.cel.tree import CelError, ListOf, Literal, Node
from perdure_server.core.cel.values import fixed_point, kind, utf8, within_64_bits

MAX_PRECISION: Final = 1_000
_CLAUSE: Final = re.compile(r"%(?:%|(?:\.([0-9]{0,9}))?(.?))", re.DOTALL)
_TAKES: Final = {
    "d": ("int", "double"),
    "f": ("int", "double"),
    "e": ("int", "double"),
    "b": ("bool", "int"),
    "x": ("int", "string", "bytes"),
    "X": ("int", "string", "bytes"),
    "o": ("int",),
}
"""Kinds of values by clause; `%s` takes all."""


class _Clause(NamedTuple):
    form: str
    precision: int


def formatted(run: Run, template: str, values: list[Any]) -> str:
    """The method. It pays for what it reads, and for what it makes before that is put together."""
    run.pay(1 + len(template) // (STEP_CHARS // 8))
    pieces = _parsed(template)
    wanted = sum(isinstance(piece, _Clause) for piece in pieces)
    if wanted > len(values):
        raise Fault(f"index {len(values)} out of range")
    rest = iter(values)
    return "".join(piece if isinstance(piece, str) else _written(run, piece, next(rest)) for piece in pieces)


def check(arguments: tuple[Node, ...]) -> None:
    """Of a text and a list that are written out: that they fit. Raises `CelError`."""
    match arguments:
        case (Literal(value=str() as template), ListOf(items=items)):
            try:
                wanted = sum(isinstance(piece, _Clause) for piece in _parsed(template))
            except Fault as fault:
                raise CelError(str(fault), arguments[0].offset) from None
            if wanted != len(items):
                raise CelError(f"format() needs {wanted} values, not {len(items)}", arguments[1].offset)


def _parsed(template: str) -> list[str | _Clause]:
    pieces: list[str | _Clause] = []
    at = 0
    for match in _CLAUSE.finditer(template):
        pieces.append(template[at : match.start()])
        at = match.end()
        digits, form = match.groups()
        if match[0] == "%%":
            pieces.append("%")
        elif form == "":
            raise Fault("unexpected end of string")
        elif form != "s" and form not in _TAKES:
            raise Fault(f'unrecognized formatting clause "{form}"')
        elif digits == "" or int(digits or 0) > MAX_PRECISION:
            raise Fault(f"a precision is a number up to {MAX_PRECISION}")
        else:
            pieces.append(_Clause(form, int(digits or 6)))
    return [*pieces, template[at:]]


def _written(run: Run, clause: _Clause, value: Any) -> str:
    if clause.form == "s":
        return _plain(run, value)
    if kind(value) not in _TAKES[clause.form]:
        raise Fault(f"%{clause.form} takes {' or '.join(_TAKES[clause.form])}, not {kind(value)}")
    if isinstance(value, (str, bytes)):
        run.pay(len(value) // (STEP_CHARS // 8))
        digits = (utf8(value) if isinstance(value, str) else value).hex()
        return digits.upper() if clause.form == "X" else digits
    run.pay(1 + clause.precision // STEP_CHARS)
    if isinstance(value, int):
        value = within_64_bits(int(value))
    match clause.form:
        case "d":
            return fixed_point(value) if isinstance(value, float) else str(value)
        case "f" | "e":
            number = float(value)
            return format(number, f".{clause.precision}{clause.form}") if _finite(number) else fixed_point(number)
        case form:
            return format(value, form)


def _finite(number: float) -> bool:
    return number - number == 0


def _plain(run: Run, value: Any) -> str:
    """A value as `%s` shows it. Not recursive: data may be deep."""
    made: list[str] = []
    todo: list[Any] = [value]
    while todo:
        each = todo.pop()
        run.pay(1)
        match each:
            case _Text():
                run.pay(len(each) // STEP_CHARS)
                made.append(each)
            case list():
                run.pay(len(each))
                todo += reversed(_separated("[", [[item] for item in each], "]"))
            case dict():
                run.pay(len(each))
                todo += reversed(_separated("{", [[_Text(f"{name}: "), each[name]] for name in sorted(each)], "}"))
            case _:
                text = _scalar(each)
                run.pay(len(text) // STEP_CHARS)
                made.append(text)
    return "".join(made)


class _Text(str):
    """A piece of what is made, between the values that are still to be shown."""

    __slots__ = ()


def _separated(opening: str, items: list[list[Any]], closing: str) -> list[Any]:
    pieces: list[Any] = [_Text(opening)]
    for n, item in enumerate(items):
        pieces += [_Text(", "), *item] if n else item
    return [*pieces, _Text(closing)]


def _scalar(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(within_64_bits(value))
        case float():
            return fixed_point(value)
        case bytes():
            return value.decode("utf-8", "replace")
        case Timestamp():
            return written_timestamp(value)
        case Duration():
            return f"{fixed_point(value.ns / SECOND_NS)}s"
        case _:
            return str(value)

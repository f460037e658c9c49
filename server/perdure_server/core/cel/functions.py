"""The functions and methods of CEL's standard library that suit JSON. The extensions' are in `extensions`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import re2

from perdure_server.core.cel.calls import ANY, STRING, Function, of_text
from perdure_server.core.cel.run import STEP_CHARS, Fault, Run
from perdure_server.core.cel.times import (
    SECOND_NS,
    Duration,
    Timestamp,
    part,
    read_duration,
    read_timestamp,
    timestamp,
    written_timestamp,
)
from perdure_server.core.cel.values import fixed_point, kind, shown, utf8, within_64_bits

PATTERN_CHARS: Final = 1000
_PATTERN_STEPS: Final = 500  # what compiling one costs
_PATTERN_MEMORY: Final = 1024 * 1024
_ZONE_STEPS: Final = 500  # what reading one from the disk costs
_CACHED_INT_CHARS: Final = 20  # digits and sign of 64 bits
_BOOL_CHARS: Final = 6  # no text that means one has so many


def pattern(text: str) -> Any:
    """The compiled regular expression (RE2: time is linear in the text). Raises `Fault`."""
    if len(text) > PATTERN_CHARS:
        raise Fault(f"the pattern is longer than {PATTERN_CHARS} characters")
    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY
    options.log_errors = False
    try:
        return re2.compile(utf8(text).decode(), options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        detail = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise Fault(f"bad pattern: {detail}") from None


def search(run: Run, text: str, compiled: Any) -> bool:
    run.pay(1 + len(text) // (STEP_CHARS // 8))
    return compiled.search(utf8(text)) is not None


def _matches(run: Run, text: str, expression: str) -> bool:
    run.pay(_PATTERN_STEPS)
    return search(run, text, pattern(expression))


def _size(_run: Run, value: Any) -> int:
    return len(value)


def _text(run: Run, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(within_64_bits(value))
        case float():
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)
        case bytes():
            run.pay(len(value) // STEP_CHARS)
            try:
                return value.decode()
            except UnicodeDecodeError:
                raise Fault("the bytes are no UTF-8") from None
        case Timestamp():
            return written_timestamp(value)
        case Duration():
            return f"{fixed_point(value.ns / SECOND_NS)}s"
        case _:
            return str(value)


def _int(_run: Run, value: Any) -> int:
    if isinstance(value, Timestamp):
        return value.ns // SECOND_NS
    if isinstance(value, Duration):
        return value.ns
    if isinstance(value, str) and len(value) > _CACHED_INT_CHARS:
        raise Fault("the number has more than 64 bits")
    try:
        return within_64_bits(int(value))
    except (ValueError, OverflowError):
        raise Fault(f"{shown(value)} is no int") from None


def _double(_run: Run, value: Any) -> float:
    if isinstance(value, str) and len(value) > PATTERN_CHARS:
        raise Fault("it is too long for a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise Fault(f"{shown(value)} is no double") from None


def _bool(_run: Run, value: Any) -> bool:
    named = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False, True: True, False: False}
    found = named.get(value[:_BOOL_CHARS].lower() if isinstance(value, str) else value)
    if found is None:
        raise Fault(f"{shown(value)} is no bool")
    return found


def _bytes(run: Run, value: str | bytes) -> bytes:
    run.pay(len(value) // STEP_CHARS)
    return value if isinstance(value, bytes) else utf8(value)


def _timestamp(_run: Run, value: str | int | Timestamp) -> Timestamp:
    match value:
        case str():
            return read_timestamp(value)
        case int():
            return timestamp(within_64_bits(value) * SECOND_NS)
        case _:
            return value


def _duration(_run: Run, value: str | Duration) -> Duration:
    return read_duration(value) if isinstance(value, str) else value


def _part(of: Callable[[datetime], int], unit_ns: int = 0) -> Function:
    """A part of a timestamp, maybe in a zone; of a duration as a whole in units of `unit_ns`."""

    def run_it(run: Run, value: Timestamp | Duration, *zone: str) -> int:
        if isinstance(value, Timestamp):
            run.pay(_ZONE_STEPS if zone else 1)
            return part(value, zone[0] if zone else "", of)
        if zone:
            raise Fault("a duration has no time zone")
        return value.over(unit_ns)

    kinds = ("timestamp", "duration") if unit_ns else ("timestamp",)
    return Function(run_it, (kinds, STRING), method=True, least=1)


_SIZED: Final = ("string", "bytes", "list", "map")

STANDARD_FUNCTIONS: Final[dict[str, Function]] = {
    "size": Function(_size, (_SIZED,)),
    "string": Function(_text, (("string", "int", "double", "bool", "bytes", "timestamp", "duration"),)),
    "int": Function(_int, (("string", "int", "double", "bool", "timestamp", "duration"),)),
    "uint": Function(_int, (("string", "int", "double"),)),
    "double": Function(_double, (("string", "int", "double"),)),
    "bool": Function(_bool, (("string", "bool"),)),
    "bytes": Function(_bytes, (("string", "bytes"),)),
    "timestamp": Function(_timestamp, (("string", "int", "timestamp"),)),
    "duration": Function(_duration, (("string", "duration"),)),
    "type": Function(lambda _run, value: kind(value), (ANY,)),
    "dyn": Function(lambda _run, value: value, (ANY,)),
    "matches": Function(_matches, (STRING, STRING)),
}
STANDARD_METHODS: Final[dict[str, Function]] = {
    "size": Function(_size, (_SIZED,), method=True),
    "matches": Function(_matches, (STRING, STRING), method=True),
    "contains": Function(of_text(lambda text, part: part in text), (STRING, STRING), method=True),
    "startsWith": Function(of_text(str.startswith), (STRING, STRING), method=True),
    "endsWith": Function(of_text(str.endswith), (STRING, STRING), method=True),
    # Months, and days but for getDate, are counted from 0; Sunday is 0.
    "getFullYear": _part(lambda at: at.year),
    "getMonth": _part(lambda at: at.month - 1),
    "getDayOfYear": _part(lambda at: at.timetuple().tm_yday - 1),
    "getDayOfMonth": _part(lambda at: at.day - 1),
    "getDate": _part(lambda at: at.day),
    "getDayOfWeek": _part(lambda at: at.isoweekday() % 7),
    "getHours": _part(lambda at: at.hour, 3600 * SECOND_NS),
    "getMinutes": _part(lambda at: at.minute, 60 * SECOND_NS),
    "getSeconds": _part(lambda at: at.second, SECOND_NS),
    "getMilliseconds": _part(lambda at: at.microsecond // 1000, SECOND_NS // 1000),
}
TYPES: Final = {
    **{name: name for name in ("bool", "bytes", "double", "int", "list", "map", "string")},
    "uint": "int",
    "null_type": "null",
}
"""What names of types stand for: `type(data.n) == int`."""

"""The functions and methods of expressions: those of CEL's standard library that suit JSON, and of its "strings"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import re2

from perdure_server.core.cel.values import STEP_CHARS, Fault, Run, kind, within_64_bits

PATTERN_CHARS: Final = 1000
_PATTERN_STEPS: Final = 500  # what compiling one costs
_PATTERN_MEMORY: Final = 1024 * 1024
_CACHED_INT_CHARS: Final = 20  # digits and sign of 64 bits


class Function(NamedTuple):
    """`types`: what each argument may be, "" for anything; of a method the first is what it is called on."""

    run: Callable[..., Any]
    types: tuple[tuple[str, ...], ...]
    method: bool
    least: int = 0  # arguments that are needed; 0: all


def pattern(text: str) -> Any:
    """The compiled regular expression (RE2: time is linear in the text). Raises `Fault`."""
    if len(text) > PATTERN_CHARS:
        raise Fault(f"the pattern is longer than {PATTERN_CHARS} characters")
    options = re2.Options()
    options.max_mem = _PATTERN_MEMORY
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        said = error.args[0] if error.args else ""
        detail = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
        raise Fault(f"bad pattern: {detail}") from None


def search(run: Run, text: str, compiled: Any) -> bool:
    run.pay(1 + len(text) // (STEP_CHARS // 8))
    return compiled.search(text) is not None


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
        case _:
            return str(value)


def _int(_run: Run, value: Any) -> int:
    if isinstance(value, str) and len(value) > _CACHED_INT_CHARS:
        raise Fault("the number has more than 64 bits")
    try:
        return within_64_bits(int(value))
    except (ValueError, OverflowError):
        raise Fault(f"{value!r:.40} is no int") from None


def _double(_run: Run, value: Any) -> float:
    if isinstance(value, str) and len(value) > PATTERN_CHARS:
        raise Fault("it is too long for a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        raise Fault(f"{value!r:.40} is no double") from None


def _bool(_run: Run, value: Any) -> bool:
    named = {"true": True, "t": True, "1": True, "false": False, "f": False, "0": False, True: True, False: False}
    found = named.get(value.lower() if isinstance(value, str) else value)
    if found is None:
        raise Fault(f"{value!r:.40} is no bool")
    return found


def _of_text(work: Callable[..., Any]) -> Callable[..., Any]:
    """A method whose cost is that of reading its text."""

    def run_it(run: Run, text: str, *arguments: Any) -> Any:
        run.pay(len(text) // STEP_CHARS)
        return work(text, *arguments)

    return run_it


def _lower(text: str) -> str:
    return "".join(c.lower() if c.isascii() else c for c in text) if not text.isascii() else text.lower()


def _upper(text: str) -> str:
    return "".join(c.upper() if c.isascii() else c for c in text) if not text.isascii() else text.upper()


def _substring(text: str, start: int, end: int | None = None) -> str:
    stop = len(text) if end is None else end
    if not 0 <= start <= stop <= len(text):
        raise Fault("the text has no such part")
    return text[start:stop]


def _replace(run: Run, text: str, old: str, new: str) -> str:
    found = text.count(old)
    run.pay((2 * len(text) + found * len(new)) // STEP_CHARS + found)
    return text.replace(old, new)


def _split(run: Run, text: str, by: str) -> list[str]:
    run.pay(len(text) // STEP_CHARS + (text.count(by) if by else len(text)))
    return text.split(by) if by else list(text)


def _join(run: Run, items: list[Any], by: str = "") -> str:
    if not all(isinstance(item, str) for item in items):
        raise Fault("only strings can be joined")
    run.pay(len(items) + (sum(map(len, items)) + len(by) * len(items)) // STEP_CHARS)
    return by.join(items)


_STRING: Final = ("string",)
_INT: Final = ("int",)
_SIZED: Final = ("string", "bytes", "list", "map")
_ANY: Final = ("",)

FUNCTIONS: Final[dict[str, Function]] = {
    "size": Function(_size, (_SIZED,), method=False),
    "string": Function(_text, (("string", "int", "double", "bool", "bytes"),), method=False),
    "int": Function(_int, (("string", "int", "double", "bool"),), method=False),
    "uint": Function(_int, (("string", "int", "double"),), method=False),
    "double": Function(_double, (("string", "int", "double"),), method=False),
    "bool": Function(_bool, (("string", "bool"),), method=False),
    "type": Function(lambda _run, value: kind(value), (_ANY,), method=False),
    "dyn": Function(lambda _run, value: value, (_ANY,), method=False),
    "matches": Function(_matches, (_STRING, _STRING), method=False),
}
METHODS: Final[dict[str, Function]] = {
    "size": Function(_size, (_SIZED,), method=True),
    "matches": Function(_matches, (_STRING, _STRING), method=True),
    "contains": Function(_of_text(lambda text, part: part in text), (_STRING, _STRING), method=True),
    "startsWith": Function(_of_text(str.startswith), (_STRING, _STRING), method=True),
    "endsWith": Function(_of_text(str.endswith), (_STRING, _STRING), method=True),
    "lowerAscii": Function(_of_text(_lower), (_STRING,), method=True),
    "upperAscii": Function(_of_text(_upper), (_STRING,), method=True),
    "trim": Function(_of_text(str.strip), (_STRING,), method=True),
    "indexOf": Function(_of_text(str.find), (_STRING, _STRING), method=True),
    "lastIndexOf": Function(_of_text(str.rfind), (_STRING, _STRING), method=True),
    "substring": Function(_of_text(_substring), (_STRING, _INT, _INT), method=True, least=2),
    "replace": Function(_replace, (_STRING, _STRING, _STRING), method=True),
    "split": Function(_split, (_STRING, _STRING), method=True),
    "join": Function(_join, (("list",), _STRING), method=True, least=1),
}

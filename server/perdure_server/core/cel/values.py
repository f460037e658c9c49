"""What the values of CEL do: here they are those of JSON, bytes, timestamps and durations.

Whatever takes longer for longer values pays for it (`Run.pay`), in steps; so does what makes longer ones.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

from perdure_server.core.cel.run import STEP_CHARS, Fault, Run
from perdure_server.core.cel.times import Duration, Timestamp, difference, total

_INT_BITS: Final = 63
COMPARABLE: Final = frozenset({"bool", "int", "double", "string", "bytes", "timestamp", "duration"})


def kind(value: Any) -> str:
    """The name of the value's type."""
    match value:
        case None:
            return "null"
        case bool():
            return "bool"
        case int():
            return "int"
        case float():
            return "double"
        case str():
            return "string"
        case bytes():
            return "bytes"
        case list():
            return "list"
        case Timestamp():
            return "timestamp"
        case Duration():
            return "duration"
        case _:
            return "map"


def truth(value: Any) -> bool:
    """Raises `Fault` for what is neither true nor false: nothing else counts as one of them."""
    if value is True or value is False:
        return value
    raise Fault(f"{kind(value)} is neither true nor false")


def utf8(text: str) -> bytes:
    """Halves of surrogate pairs, which JSON may have, are U+FFFD."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def fixed_point(value: float) -> str:
    """The shortest text that means this number, without an exponent."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return format(Decimal(repr(value)), "f").removesuffix(".0")


def shown(value: Any) -> str:
    """A value in a message: no more of it than its beginning, which costs the same however long it is."""
    return f"{value[:40] if isinstance(value, (str, bytes)) else value!r:.40}"


def is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def equal(run: Run, left: Any, right: Any) -> bool:
    """Numbers by value; all else only within one type. Not recursive: data may be deep."""
    todo = [(left, right)]
    while todo:
        left, right = todo.pop()
        run.pay(1)
        if is_number(left) and is_number(right):
            same = left == right
        elif kind(left) != kind(right):
            return False
        elif isinstance(left, (str, bytes)):
            run.pay(min(len(left), len(right)) // STEP_CHARS)
            same = left == right
        elif isinstance(left, list):
            same = len(left) == len(right)
            if same:
                run.pay(len(left))
                todo += zip(left, right, strict=True)
        elif isinstance(left, dict):
            run.pay(len(left))
            same = left.keys() == right.keys()
            if same:
                todo += ((value, right[name]) for name, value in left.items())
        else:
            same = left == right
        if not same:
            return False
    return True


def ordered(run: Run, left: Any, right: Any) -> None:
    """Raise `Fault` unless one may be less than the other."""
    if is_number(left) and is_number(right):
        return
    if kind(left) == kind(right) and kind(left) in COMPARABLE:
        if isinstance(left, (str, bytes)):
            run.pay(min(len(left), len(right)) // STEP_CHARS)
        return
    raise Fault(f"{kind(left)} and {kind(right)} have no order")


def contains(run: Run, item: Any, container: Any) -> bool:
    """`item in container`."""
    if isinstance(container, list):
        return any(equal(run, item, each) for each in container)
    if isinstance(container, dict):
        if isinstance(item, str):
            run.pay(len(item) // STEP_CHARS)
        return isinstance(item, (str, int)) and item in container
    raise Fault(f"nothing is in {kind(container)}")


def within_64_bits(value: int) -> int:
    if value.bit_length() > _INT_BITS and value != -(2**_INT_BITS):
        raise Fault("the number has more than 64 bits")
    return value


def arithmetic(run: Run, operator: str, left: Any, right: Any) -> Any:
    """`left operator right`, for + - * / %."""
    if is_number(left) and is_number(right):
        if isinstance(left, int) and isinstance(right, int):
            return within_64_bits(_of_ints(operator, within_64_bits(left), within_64_bits(right)))
        return _of_floats(operator, left, right)
    if operator == "+" and kind(left) == kind(right) and isinstance(left, (str, bytes, list)):
        length = len(left) + len(right)
        run.pay(length if isinstance(left, list) else length // STEP_CHARS)
        return left + right
    found = total(left, right) if operator == "+" else difference(left, right) if operator == "-" else None
    if found is not None:
        return found
    raise Fault(f"{kind(left)} {operator} {kind(right)} has no meaning")


def _of_ints(operator: str, left: int, right: int) -> int:
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
    if right == 0:
        raise Fault("division by zero")
    quotient = abs(left) // abs(right)
    if (left < 0) != (right < 0):
        quotient = -quotient
    return quotient if operator == "/" else left - quotient * right  # towards zero, as in C


def _of_floats(operator: str, left: float, right: float) -> float:
    try:
        left, right = float(left), float(right)
    except OverflowError:
        raise Fault("the number is too large") from None
    match operator:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/" if right:
            return left / right
        case "/":
            return float("nan") if left == 0 or left != left else float("inf") * left
        case _:
            raise Fault("double % double has no meaning")

"""cel-go's ext/math.go. Numbers that JSON writes without a fraction are ints: `math.ceil` takes doubles, as there."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from perdure_server.core.cel.calls import ANY, DOUBLE, INT, NUMBER, Function
from perdure_server.core.cel.run import Fault, Run
from perdure_server.core.cel.tree import CelError, ListOf, Literal, MapOf, Node
from perdure_server.core.cel.values import is_number, kind, ordered, within_64_bits

_BITS: Final = 64
_ALL: Final = (1 << _BITS) - 1


def _signed(value: int) -> int:
    """The lowest 64 bits as a number with a sign."""
    low = value & _ALL
    return low - _ALL - 1 if low >> (_BITS - 1) else low


def _of_ints(work: Callable[..., int]) -> Callable[..., int]:
    return lambda _run, *values: work(*map(within_64_bits, values))


def _of_double(work: Callable[[float], Any]) -> Callable[..., Any]:
    return lambda _run, value: work(value)


def _whole(work: Callable[[float], int]) -> Callable[..., float]:
    """A rounding. What is not finite stays as it is."""
    return lambda _run, value: float(work(value)) if math.isfinite(value) else value


def _round(value: float) -> int:
    """Halves go away from zero."""
    below = math.floor(abs(value))
    return int(math.copysign(below + (abs(value) - below >= 0.5), value))


def _left(value: int, by: int) -> int:
    if by < 0:
        raise Fault(f"math.bitShiftLeft() negative offset: {by}")
    return _signed(value << by) if by < _BITS else 0


def _right(value: int, by: int) -> int:
    """Zeros come in from the left."""
    if by < 0:
        raise Fault(f"math.bitShiftRight() negative offset: {by}")
    return _signed((value & _ALL) >> by) if by < _BITS else 0


def _abs(_run: Run, value: Any) -> Any:
    return abs(value) if isinstance(value, float) else within_64_bits(abs(within_64_bits(value)))


def _sign(_run: Run, value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isnan(value) else float((value > 0) - (value < 0))
    return (value > 0) - (value < 0)


def _extreme(name: str, *, greatest: bool) -> Function:
    """`math.least` and `math.greatest`: of their arguments, or of the one list that they have."""

    def run_it(run: Run, *values: Any) -> Any:
        numbers = values[0] if len(values) == 1 and isinstance(values[0], list) else values
        if not numbers:
            raise Fault(f"{name}(list) argument must not be empty")
        run.pay(len(numbers))
        for value in numbers:
            if not is_number(value):
                raise Fault(f"{name}() takes numbers, not {kind(value)}")
        best = numbers[0]
        for value in numbers[1:]:
            ordered(run, best, value)
            if value > best if greatest else value < best:
                best = value
        return best

    def check(arguments: tuple[Node, ...]) -> None:
        match arguments:
            case [ListOf(items=items) as single] if not items or not all(map(_may_be_number, items)):
                raise CelError(f"{name}() takes numbers", single.offset)
            case [ListOf()]:
                return
        for argument in arguments:
            if not _may_be_number(argument):
                raise CelError(f"{name}() takes numbers", argument.offset)

    return Function(run_it, (ANY,), least=1, many=True, check=check)


def _may_be_number(node: Node) -> bool:
    match node:
        case Literal(value=value):
            return is_number(value)
        case ListOf() | MapOf():
            return False
        case _:
            return True


FUNCTIONS: Final[dict[str, Function]] = {
    "math.least": _extreme("math.least", greatest=False),
    "math.greatest": _extreme("math.greatest", greatest=True),
    "math.ceil": Function(_whole(math.ceil), (DOUBLE,)),
    "math.floor": Function(_whole(math.floor), (DOUBLE,)),
    "math.round": Function(_whole(_round), (DOUBLE,)),
    "math.trunc": Function(_whole(math.trunc), (DOUBLE,)),
    "math.isInf": Function(_of_double(math.isinf), (DOUBLE,)),
    "math.isNaN": Function(_of_double(math.isnan), (DOUBLE,)),
    "math.isFinite": Function(_of_double(math.isfinite), (DOUBLE,)),
    "math.abs": Function(_abs, (NUMBER,)),
    "math.sign": Function(_sign, (NUMBER,)),
    "math.bitAnd": Function(_of_ints(lambda left, right: left & right), (INT, INT)),
    "math.bitOr": Function(_of_ints(lambda left, right: left | right), (INT, INT)),
    "math.bitXor": Function(_of_ints(lambda left, right: left ^ right), (INT, INT)),
    "math.bitNot": Function(_of_ints(lambda value: ~value), (INT,)),
    "math.bitShiftLeft": Function(_of_ints(_left), (INT, INT)),
    "math.bitShiftRight": Function(_of_ints(_right), (INT, INT)),
}

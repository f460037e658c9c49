"""Tuples, sets, decimals, dates, paths, enums, dataclasses, named tuples and None as results, with their types."""

import collections
import datetime
import decimal
import enum
import fractions
import pathlib
import typing
import uuid
from dataclasses import dataclass

import perdure


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@dataclass(frozen=True)
class Point:
    x: int
    y: int = 0


class Pair(typing.NamedTuple):
    left: str
    right: Point


VALUES = [
    None,
    (1, (2, [3])),
    {1, 2},
    frozenset({"a"}),
    decimal.Decimal("1.10"),
    fractions.Fraction(1, 3),
    datetime.datetime(2026, 11, 21, 12, tzinfo=datetime.timezone.utc),
    datetime.timedelta(days=1, microseconds=5),
    datetime.date(2026, 1, 2),
    pathlib.PurePosixPath("/a/b"),
    Level.HIGH,
    Point(1),
    Pair("l", Point(2, 3)),
    uuid.UUID(int=7),
    collections.OrderedDict(b=1, a=2),
    collections.Counter("abca"),
    collections.deque([1, 2], maxlen=2),
    range(3),
    Ellipsis,
    int,
    Point,
]


@perdure.activity
def give(index):
    return VALUES[index]


def main(event):
    for index, expected in enumerate(VALUES):
        value = give(index)
        assert value == expected and type(value) is type(expected), (value, expected)
    return len(VALUES)


CASE = {"result": 21, "calls": ["activity rich_results.give"] * 21, "effects": 0}

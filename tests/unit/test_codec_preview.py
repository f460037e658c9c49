"""Previews: short, and made without running anybody's code."""

import collections
import dataclasses
import datetime as dt
import enum
import functools
import re
import types
import uuid
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_runner.child.values.codec import preview, preview_call


def refuse(*_args, **_kwargs):
    raise AssertionError("user code ran")


class Meta(type):
    __repr__ = __instancecheck__ = __subclasscheck__ = __getattribute__ = refuse


class Hostile(metaclass=Meta):
    __repr__ = __str__ = __format__ = __len__ = __iter__ = __bool__ = __hash__ = __eq__ = refuse
    __getattribute__ = __getattr__ = __dir__ = __sizeof__ = __reduce_ex__ = __index__ = refuse
    __class__ = property(refuse)


class HostileList(list):
    __repr__ = __iter__ = __len__ = __getitem__ = __getattribute__ = refuse


class HostileDict(dict):
    __repr__ = __iter__ = __len__ = items = keys = __getitem__ = __getattribute__ = refuse


class HostileText(str):
    __slots__ = ()
    __repr__ = __str__ = __len__ = __getitem__ = __getattribute__ = refuse


class HostileInt(int):
    __repr__ = __str__ = __int__ = __index__ = __getattribute__ = refuse


class HostileError(Exception):
    __repr__ = __str__ = __getattribute__ = refuse


class HostileZone(dt.tzinfo):
    utcoffset = dst = tzname = __repr__ = __getattribute__ = refuse


@dataclasses.dataclass
class Order:
    id: int
    note: object = None

    __repr__ = __getattribute__ = refuse


class Colour(enum.Enum):
    RED = 1
    __repr__ = __str__ = refuse


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is the case


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Hostile(), "<test_codec_preview.Hostile>"),
        (Hostile, "<class 'test_codec_preview.Hostile'>"),
        ([Hostile()], "[<test_codec_preview.Hostile>]"),
        (HostileList([1]), "[1]"),
        (HostileDict(a=1), "{'a': 1}"),
        (HostileText("x"), "'x'"),
        (HostileInt(5), "5"),
        (HostileError("x", 1), "HostileError('x', 1)"),
        (Order(1, [Hostile()]), "Order(id=1, note=[<test_codec_preview.Hostile>])"),
        (Colour.RED, "Colour.RED"),
        (Point(1, (2,)), "Point(x=1, y=(2,))"),
        (dt.datetime(2026, 1, 2, tzinfo=HostileZone()), None),
        (dt.datetime(2026, 1, 2, tzinfo=dt.UTC), "datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)"),
        ({1: {2}, "x": frozenset()}, "{1: {2}, 'x': frozenset()}"),
        (collections.deque([1]), "deque([1])"),
        (b"x", "b'x'"),
        (10**400, "<int of 1329 bits>"),
        (1.5, "1.5"),
        (None, "None"),
        (re.compile("a"), "re.compile('a')"),
        (Path("/x"), "PosixPath('/x')"),
        (uuid.UUID(int=1), "UUID('00000000-0000-0000-0000-000000000001')"),
        (len, "<function len>"),
        (refuse, "<function test_codec_preview.refuse>"),
        ("x".upper, "<function upper>"),
        (types, "<module types>"),
        (functools.partial(len), "<functools.partial>"),
        (ExceptionGroup("g", [ValueError(1)]), "ExceptionGroup('g', [ValueError(1)])"),
    ],
    ids=lambda value: value if type(value) is str else "",
)
def test_previews(value, text):
    shown = preview(value)
    if text is None:
        assert "HostileZone" in shown
    else:
        assert shown == text


def test_bounds():
    loop: list = []
    loop.append(loop)
    wide = [list(range(1000))] * 1000
    for value in ("x" * 10**6, wide, dict.fromkeys(range(100), wide), loop, b"x" * 10**6):
        for limit in (0, 1, 3, 50, 200):
            assert len(preview(value, limit)) <= limit
    assert preview(loop) == "[[[[...]]]]"
    assert preview(list(range(30)), 1000).endswith("19, ... 10 more]")
    assert preview("x" * 300) == "'" + "x" * 196 + "..."


@given(st.recursive(st.integers() | st.text() | st.floats(), lambda inner: st.lists(inner) | st.tuples(inner)))
@settings(deadline=None)
def test_small_values_look_as_their_repr(value):
    if len(repr(value)) <= 60 and repr(value).count("[") + repr(value).count("(") <= 4:
        assert preview(value) == repr(value)


def test_calls():
    assert preview_call((1, "a"), {"key": [2]}) == "1, 'a', key=[2]"
    assert preview_call((), {"key": 2}) == "key=2"
    assert preview_call((), {}) == ""
    assert preview_call(("x" * 100,), {}, 10) == "'xxxxxx..."

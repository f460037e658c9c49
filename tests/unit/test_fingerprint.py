"""Fingerprints: the same for the same structure everywhere, another after every change."""

import collections
import copy
import dataclasses
import datetime as dt
import decimal
import enum
import functools
import json
import pathlib
import pickle
import re
import subprocess
import sys
import threading
import types
import uuid

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_runner.child.values import fingerprint as module
from perdure_runner.child.values.codec import fingerprint, fingerprint_call


class Thing:
    def __init__(self, **state):
        self.__dict__.update(state)


class Slotted:
    __slots__ = ("a",)

    def __init__(self, a):
        self.a = a


@dataclasses.dataclass
class Order:
    id: int
    lines: list = dataclasses.field(default_factory=list)


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Level(enum.IntEnum):
    LOW = 1


class Text(str):
    __slots__ = ()


class Listing(list):
    pass


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is the case


def function():
    pass


ZONE = dt.timezone(dt.timedelta(hours=1))

# No two of these are the same.
DIFFERENT = [
    None,
    0,
    False,
    0.0,
    -0.0,
    0j,
    "",
    b"",
    (),
    [],
    {},
    set(),
    frozenset(),
    bytearray(),
    memoryview(b""),
    "0",
    "x",
    b"x",
    bytearray(b"x"),
    (1, 2),
    [1, 2],
    {1, 2},
    frozenset({1, 2}),
    {1: 2},
    {"1": 2},
    {"1": "2"},
    [[1], 2],
    [[1, 2]],
    [1, [2]],
    [(1,), 2],
    {"a": [1]},
    {"a": (1,)},
    {"a": {"b": [1]}},
    {(1,): [1]},
    {frozenset({1}), (2,)},
    {frozenset({1, 2})},
    range(2),
    slice(2),
    Ellipsis,
    Text("x"),
    Listing([1, 2]),
    Point(1, 2),
    Level.LOW,
    Colour.RED,
    Colour.BLUE,
    Thing(),
    Thing(a=1),
    Thing(a=2),
    Thing(b=1),
    Thing(a=[1]),
    Slotted(1),
    Slotted(2),
    Order(1),
    Order(1, [1]),
    ValueError("x"),
    ValueError("y"),
    KeyError("x"),
    collections.deque([1, 2]),
    collections.deque([1, 2], maxlen=2),
    collections.OrderedDict(a=1),
    collections.OrderedDict(a=1, b=2),
    collections.OrderedDict(b=2, a=1),
    collections.defaultdict(list, a=1),
    collections.defaultdict(int, a=1),
    collections.Counter(a=1),
    collections.UserDict(a=1),
    types.SimpleNamespace(a=1),
    dt.datetime(2026, 1, 2),
    dt.datetime(2026, 1, 2, fold=1),
    dt.datetime(2026, 1, 2, tzinfo=dt.UTC),
    dt.datetime(2026, 1, 2, tzinfo=ZONE),
    dt.date(2026, 1, 2),
    dt.time(1, 2),
    dt.timedelta(1, 2),
    dt.timedelta(1, 3),
    decimal.Decimal("1.0"),
    decimal.Decimal("1.00"),
    uuid.UUID(int=1),
    uuid.UUID(int=2),
    pathlib.Path("/x"),
    pathlib.PurePosixPath("/x"),
    re.compile("a"),
    re.compile("a", re.IGNORECASE),
    re.compile(b"a"),
    function,
    len,
    min,
    [].append,
    [1].append,
    Thing(a=1).__init__,
    functools.partial(len, "x"),
    functools.partial(len, "y"),
    Thing,
    Order,
    json,
    types,
    threading.Lock(),
    object(),
]


def test_different_values_differ():
    found = {}
    for value in DIFFERENT:
        digest = fingerprint(value)
        assert len(digest) == 16
        assert digest not in found, (value, found.get(digest))
        found[digest] = value


def fresh(value):
    try:
        return pickle.loads(pickle.dumps(value))
    except TypeError:
        return value


@pytest.mark.parametrize("value", DIFFERENT, ids=lambda value: type(value).__name__)
def test_equal_copies_are_equal(value):
    assert fingerprint(fresh(value)) == fingerprint(value)
    assert fingerprint([fresh(value), value]) == fingerprint([value, value])


def test_sharing_and_interning_do_not_count():
    text = "".join(["a", "b"])
    shared = [{"k": [1]}]
    assert fingerprint([text, sys.intern(text)]) == fingerprint(["ab", "ab"])
    assert fingerprint([shared, shared]) == fingerprint([shared, copy.deepcopy(shared)])
    assert fingerprint(Thing(a=shared, b=shared)) == fingerprint(Thing(b=copy.deepcopy(shared), a=shared))


def test_cycles():
    def ring(n):
        first = node = Thing(value=0)
        for value in range(1, n):
            node.next = Thing(value=value, back=node)
            node = node.next
        node.next = first
        return first

    assert fingerprint(ring(5)) == fingerprint(ring(5))
    assert fingerprint(ring(5)) != fingerprint(ring(6))
    loop: list = []
    loop.append(loop)
    other: list = []
    other.append(other)
    assert fingerprint(loop) == fingerprint(other)


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner)
        | st.dictionaries(st.text() | st.integers(), inner, max_size=4)
        | st.builds(Thing, a=inner)
        | st.sets(st.text() | st.tuples(st.integers()), max_size=4)
    ),
    max_leaves=20,
)


@given(values)
@settings(max_examples=200, deadline=None)
def test_copies_of_anything_are_equal(value):
    assert fingerprint(copy.deepcopy(value)) == fingerprint(value)


@given(values, st.integers(0, 10**6))
@settings(max_examples=200, deadline=None)
def test_every_change_in_place_is_seen(value, where):
    holder = Thing(root=[value])
    before = fingerprint(holder)
    places = list(mutable(holder))
    place = places[where % len(places)]
    match place:
        case list():
            place.append(None)
        case dict():
            place["new key"] = None
        case set():
            place.add("new item")
        case _:
            place.new_attribute = None
    assert fingerprint(holder) != before


def mutable(value):
    if isinstance(value, list | dict | set | Thing):
        yield value
    inside = value.__dict__ if isinstance(value, Thing) else value
    if isinstance(inside, dict):
        inside = inside.values()
    if not isinstance(inside, str | bytes | int | float | None):
        for part in inside:
            yield from mutable(part)


def test_changes_deep_in_a_large_value_are_seen():
    value = [{"id": i, "tags": [{"n": i}]} for i in range(10_000)]
    before = fingerprint(value)
    value[9_999]["tags"][0]["n"] = -1
    assert fingerprint(value) != before


def test_bounds():
    bomb: list = [[]]
    for _ in range(200):
        bomb = [bomb, bomb]
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    frozen: frozenset = frozenset()
    for _ in range(2_000):
        frozen = frozenset({frozen, "x"})
    for value in (bomb, deep, frozen):
        assert fingerprint(value) == fingerprint(value)
    assert fingerprint([[]] * (module.MAX_NODES + 5)) != fingerprint([[]] * (module.MAX_NODES + 6))


def refuse(*_args, **_kwargs):
    raise AssertionError("user code ran")


class Meta(type):
    __repr__ = __getattribute__ = __instancecheck__ = __subclasscheck__ = refuse


class Hostile(metaclass=Meta):
    __repr__ = __hash__ = __eq__ = __len__ = __iter__ = __bool__ = __getattribute__ = __reduce_ex__ = refuse
    __class__ = property(refuse)


class HostileDict(dict):
    items = keys = __iter__ = __len__ = __getattribute__ = refuse


class HostileInt(int):
    __int__ = __index__ = __repr__ = __getattribute__ = refuse


class HostilePath(pathlib.PurePosixPath):
    __slots__ = ()
    __str__ = __fspath__ = refuse


class HostileZone(dt.tzinfo):
    utcoffset = dst = tzname = __reduce__ = __getattribute__ = refuse


def test_no_user_code_runs():
    one, other = Hostile(), Hostile()
    object.__getattribute__(other, "__dict__")["a"] = 1
    assert fingerprint(one) != fingerprint(other)
    for value in (
        Hostile,
        HostileDict(a=1),
        HostileInt(5),
        HostilePath("x"),
        dt.datetime(2026, 1, 1, tzinfo=HostileZone()),
    ):
        assert len(fingerprint([value])) == 16


def test_objects_of_libraries_count_by_type_only():
    one, other = threading.Lock(), threading.Lock()
    assert fingerprint(one) == fingerprint(other)
    event = threading.Event()
    before = fingerprint(event)
    event.set()
    assert fingerprint(event) == before
    session = requests.Session()
    before = fingerprint(session)
    session.headers["x"] = "y"
    assert fingerprint(session) == before
    assert fingerprint(session) != fingerprint(requests.Request())


def test_calls():
    assert fingerprint_call((1,), {}) == fingerprint_call((1,), {})
    calls = [((1,), {}), ((), {"a": 1}), ((1, {}), {}), (((1,),), {}), (([1],), {}), (([[1]],), {}), ((), {"a": [[1]]})]
    assert len({fingerprint_call(args, kwargs) for args, kwargs in calls}) == len(calls)


GOLDEN = {
    "atoms": ((None, True, 5, 2**100, -1.5, "ü", b"\x00"), {}),
    "plain": (({"a": [1, {"b": ("x", {1, 2, 3})}]},), {"key": frozenset({"p", "q"})}),
    "objects": ((decimal.Decimal("1.5"), dt.date(2026, 1, 2), uuid.UUID(int=7), collections.deque([1])), {}),
}
EXPECTED = {
    "atoms": "2f5d41d047d36e8537f5b5a081d1a503",
    "objects": "f09450f7a51a4a36669bf82eeeff771e",
    "plain": "008e1b4a6c73c5ed8ea751b905c6100e",
}


def test_the_same_in_every_process_version_and_hash_seed():
    """Journals are kept: the golden ones may never change. The sets show that hash order does not count."""
    code = (
        "from perdure_runner.child.values.codec import fingerprint_call as f\n"
        "texts = set(map(str, range(100)))\n"
        "print(f((texts, {(text,) for text in texts}, [{'a': texts}, frozenset({frozenset(texts)})]), {}).hex())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout
        for seed in ("0", "1", "2")
    }
    assert len(found) == 1
    assert {name: fingerprint_call(*call).hex() for name, call in GOLDEN.items()} == EXPECTED

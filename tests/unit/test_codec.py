"""Values as the journal keeps them."""

import array
import collections
import ctypes
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import functools
import io
import ipaddress
import itertools
import json
import pathlib
import pickle
import random
import re
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import types
import typing
import urllib.parse
import uuid
import xml.etree.ElementTree as ET
import zoneinfo

import perdure
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_runner.child.values import plain
from perdure_runner.child.values.codec import JSON, PICKLE, Codec, encode_json, load_cloudpickle
from perdure_runner.child.values.pickles import CLOUDPICKLE

LIMIT = 1 << 20
codec = Codec(b"k" * 32, LIMIT)


def there_and_back(value):
    encoded = codec.encode(value)
    assert len(encoded.mac) == 16
    assert len(encoded.preview) <= 200
    return codec.decode(encoded.encoding, encoded.data, encoded.mac)


def same(a, b):
    """Equal, and of exactly the same types throughout."""
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, float):
        return repr(a) == repr(b)
    return a == b


@dataclasses.dataclass
class Order:
    id: int
    lines: list = dataclasses.field(default_factory=list)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    id: int


class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    LOW = 1


Point = collections.namedtuple("Point", "x y")  # noqa: PYI024 - the untyped kind is the case


class TypedPoint(typing.NamedTuple):
    x: int
    y: int = 0


class Slotted:
    __slots__ = ("a", "b")

    def __init__(self, a):
        self.a = a

    def __eq__(self, other):
        return self.a == other.a

    __hash__ = None


class Plain:
    def __init__(self, **state):
        self.__dict__.update(state)

    def __eq__(self, other):
        return self.__dict__ == other.__dict__

    __hash__ = None


class Text(str):
    __slots__ = ()


class Bag(dict):
    pass


def module_function(x):
    return x + 1


atoms = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
plain_data = st.recursive(
    atoms, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5), max_leaves=30
)
keys = atoms | st.binary() | st.tuples(st.integers(), st.text())
any_data = st.recursive(
    atoms | st.binary() | st.decimals(allow_nan=False) | st.datetimes() | st.uuids() | st.text(st.characters()),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.tuples(inner, inner)
        | st.dictionaries(keys.filter(lambda key: key == key), inner, max_size=5)
        | st.sets(st.integers() | st.text(), max_size=5)
    ),
    max_leaves=30,
)


@given(plain_data)
@settings(max_examples=300, deadline=None)
def test_plain_data_comes_back_exactly(value):
    assert same(there_and_back(value), value)


@given(any_data)
@settings(max_examples=300, deadline=None)
def test_data_comes_back_exactly(value):
    assert same(there_and_back(value), value)


@pytest.mark.parametrize(
    "value",
    [None, True, 0, -1, 2**63, -(2**63) - 1, 1.5, -0.0, 5e-324, "", "ü\U0001f600\x00", [], {}, {"a": [1, {"b": None}]}],
)
def test_json_where_it_is_exact(value):
    encoded = codec.encode(value)
    assert encoded.encoding == JSON
    assert same(json.loads(encoded.data), value)
    assert encoded.preview == repr(value)


shared = [1]


@pytest.mark.parametrize(
    "value",
    [
        float("inf"),
        float("nan"),
        "\ud800",
        10**5000,
        (1, 2),
        {1: "int key"},
        {"a": (1,)},
        b"bytes",
        {1, 2},
        Level.LOW,
        Text("x"),
        Bag(a=1),
        [shared, shared],
        {Text("key"): 1},
        [Level.LOW],
    ],
    ids=lambda value: type(value).__name__,
)
def test_pickle_where_json_is_not_exact(value):
    encoded = codec.encode(value)
    assert encoded.encoding == PICKLE
    assert same(codec.decode(PICKLE, encoded.data, encoded.mac), value)


def test_what_is_one_object_stays_one_object():
    again = there_and_back({"a": shared, "b": shared})
    assert again["a"] is again["b"]
    loop = [1]
    loop.append(loop)
    again = there_and_back(loop)
    assert again[1] is again


@pytest.mark.parametrize(
    "value",
    [
        Order(1, [Order(2)]),
        Frozen(1),
        Colour.RED,
        Point(1, 2),
        TypedPoint(1),
        Slotted([1]),
        Plain(a=Plain(b=1)),
        collections.OrderedDict(a=1),
        collections.Counter("aab"),
        collections.deque([1, 2], maxlen=3),
        collections.defaultdict(list, a=[1]),
        collections.ChainMap({"a": 1}),
        collections.UserDict(a=1),
        dt.datetime(2026, 1, 2, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")),
        dt.timedelta(days=1),
        decimal.Decimal("1.10"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=5),
        pathlib.Path("/tmp/x"),
        ipaddress.ip_network("10.0.0.0/8"),
        array.array("d", [1.5]),
        bytearray(b"x"),
        frozenset({1}),
        range(5),
        slice(1, 2),
        complex(1, 2),
        urllib.parse.urlparse("http://x/y"),
        types.SimpleNamespace(a=1),
        re.compile("a+", re.IGNORECASE),
        module_function,
        json.dumps,
        len,
        Order,
        typing,
        Ellipsis,
        NotImplemented,
        type(None),
        functools.partial(int, base=2).keywords,
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_that_equal_what_they_were(value):
    assert same(there_and_back(value), value)


class TestReducers:
    @pytest.mark.parametrize(
        "match",
        [
            re.match("(a)(b)?", "abc"),
            re.search(r"(?<=b)c", "abc"),
            re.fullmatch("(?P<x>a)b*", "ab"),
            re.compile("b").search("abcb", 2),
            list(re.finditer("a", "banana"))[2],
            re.compile(rb"\d+").search(b"ab12"),
        ],
    )
    def test_matches(self, match):
        again = there_and_back(match)
        assert (again.regs, again.groups(), again.string) == (match.regs, match.groups(), match.string)

    @pytest.mark.parametrize("view", [{"a": 1}.keys(), {"a": 1}.values(), {"a": 1}.items()], ids=["k", "v", "i"])
    def test_dict_views(self, view):
        again = there_and_back(view)
        assert (type(again), list(again)) == (type(view), list(view))

    def test_mapping_proxy(self):
        assert there_and_back(types.MappingProxyType({"a": (1,)})) == {"a": (1,)}

    def test_memory(self):
        again = there_and_back(memoryview(bytearray(b"abc")))
        assert (again.tobytes(), again.readonly) == (b"abc", False)
        again = there_and_back(memoryview(array.array("d", [1.5, 2.5])))
        assert again.tolist() == [1.5, 2.5]


class TestCloudpickle:
    def test_local_functions_and_classes(self):
        base = 10

        def add(x):
            return x + base

        class Local:
            def __init__(self):
                self.x = add(1)

        assert there_and_back(add)(5) == 15
        assert there_and_back(lambda: base)() == 10
        assert there_and_back(Local()).x == 11

    def test_it_is_private_and_loaded_only_when_needed(self):
        code = (
            "import sys\n"
            "from perdure_runner.child.values.codec import Codec\n"
            "codec = Codec(b'k', 10000)\n"
            "codec.encode({1: (2, b'x')}); codec.encode_error(ValueError('x'))\n"
            "assert '_perdure_cloudpickle' not in sys.modules\n"
            "one = codec.encode(lambda x: x * 2)\n"
            "assert '_perdure_cloudpickle' in sys.modules and 'cloudpickle' not in sys.modules\n"
            "print(one.data.hex(), one.mac.hex())\n"
        )
        written = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        code = (
            "import sys\n"
            "from perdure_runner.child.values.codec import Codec\n"
            f"data, mac = map(bytes.fromhex, {written!r}.split())\n"
            "print(Codec(b'k', 10000).decode(2, data, mac)(21), 'cloudpickle' in sys.modules)\n"
        )
        read = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        assert read.split() == ["42", "False"]

    def test_the_path_may_be_given(self, monkeypatch):
        file = load_cloudpickle().__file__
        for path in (file, str(pathlib.Path(file).parent)):
            monkeypatch.delitem(sys.modules, CLOUDPICKLE)
            assert load_cloudpickle(path).__file__ == file
        monkeypatch.delitem(sys.modules, CLOUDPICKLE)
        with pytest.raises(ModuleNotFoundError, match="nowhere"):
            load_cloudpickle("/nowhere")


class NoLock:
    def __init__(self):
        self.lock = threading.Lock()


class Liar:
    """Can be pickled, but not loaded."""

    def __reduce__(self):
        return int, ("no number",)


class Hungry:
    def __reduce__(self):
        raise MemoryError


class Asserting:
    def __reduce__(self):
        raise AssertionError


class Unwilling:
    def __getstate__(self):
        raise RuntimeError("not me")


def generator():
    yield 1


def closing_over(connection):
    def inner():
        return connection

    return inner


class TestRefused:
    @pytest.mark.parametrize(
        ("value", "place", "kind"),
        [
            (threading.Lock(), "result is", "_thread.lock"),
            ({"a": [1, {"conn": sqlite3.connect(":memory:")}]}, "result['a'][1]['conn'] is", "sqlite3.Connection"),
            ([NoLock()], "result[0].lock is", "_thread.lock"),
            (Order(1, [generator()]), "result.lines[0] is", "generator"),
            (Liar(), "result is", "test_codec.Liar"),
            ((1, Unwilling()), "result[1] is", "test_codec.Unwilling"),
            (closing_over(threading.Lock()), "result.<closure>.connection is", "_thread.lock"),
            ({Frozen(1): threading.Lock()}, "result[<test_codec.Frozen>] is", "_thread.lock"),
            (threading.local(), "result is", "_thread._local"),
        ],
        ids=lambda value: value if isinstance(value, str) else type(value).__name__,
    )
    def test_the_message_names_place_and_type(self, value, place, kind):
        with pytest.raises(perdure.UnrecordableValue) as caught:
            codec.encode(value)
        assert str(caught.value).startswith(f"{place} a {kind}, which cannot be recorded")
        assert "@perdure.activity" in caught.value.help

    def test_live_objects(self, tmp_path):
        near, far = socket.socketpair()
        with near, far, open(tmp_path / "x", "w") as text, open(tmp_path / "x", "rb") as binary:
            for value in (near, text, binary, iter(text)):
                with pytest.raises(perdure.UnrecordableValue):
                    codec.encode([value])
        with pytest.raises(perdure.UnrecordableValue, match="cannot set '__doc__'"):
            codec.encode(ctypes.CDLL(None))  # its class of functions can be written, and not made again
        folder = tempfile.TemporaryDirectory()
        with folder, pytest.raises(perdure.UnrecordableValue, match="finalize"):
            codec.encode(folder)

    def test_too_large(self):
        for value in ("x" * LIMIT, b"x" * LIMIT, [bytes(1000)] + [bytes([i % 256]) * 1000 for i in range(2000)]):
            with pytest.raises(perdure.ValueTooLarge, match=r"takes 1\.\d MiB recorded; the limit is 1\.0 MiB"):
                codec.encode(value)
        assert there_and_back("x" * (LIMIT - 2)) == "x" * (LIMIT - 2)

    def test_no_memory_to_record_it(self):
        with pytest.raises(perdure.ValueTooLarge, match="more memory than the session has left") as caught:
            codec.encode(Hungry())
        assert "limits: memory" in caught.value.help

    def test_an_error_without_a_message_is_named(self):
        with pytest.raises(perdure.UnrecordableValue, match=r"cannot be recorded \(AssertionError\)"):
            codec.encode(Asserting())

    @pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: (inner,), lambda inner: {"a": inner}])
    def test_deep_nesting_is_refused_or_comes_back(self, wrap):
        value = None
        for _ in range(100_000):
            value = wrap(value)
        with pytest.raises(perdure.UnrecordableValue, match="nested too deeply"):
            codec.encode(value)
        value = None
        for _ in range(250):  # more than JSON is trusted with
            value = wrap(value)
        assert codec.encode(value).encoding == PICKLE
        assert there_and_back(value) == value


class Loads:
    """Counts how often it is loaded."""

    count = 0

    def __setstate__(self, state):
        Loads.count += 1


def test_a_type_is_loaded_once_to_see_that_it_can_be():
    fresh = Codec(b"k", LIMIT)
    Loads.count = 0
    for _ in range(3):
        value = Loads()
        value.x = 1
        fresh.encode(value)
    assert Loads.count == 1


class TestDigest:
    def test_nothing_is_loaded_that_the_session_did_not_write(self):
        encoded = codec.encode(Order(1))
        for data, mac in (
            (encoded.data + b".", encoded.mac),
            (encoded.data, bytes(16)),
            (encoded.data, b""),
            (pickle.dumps(Loads()), encoded.mac),
        ):
            with pytest.raises(perdure.PayloadCorrupt, match="digest"):
                codec.decode(PICKLE, data, mac)

    def test_another_session_has_another_key(self):
        encoded = codec.encode(1)
        with pytest.raises(perdure.PayloadCorrupt):
            Codec(b"l" * 32, LIMIT).decode(encoded.encoding, encoded.data, encoded.mac)

    def test_json_is_not_passed_off_as_a_pickle(self):
        encoded = codec.encode("x")
        for encoding in (PICKLE, 0, 3):
            with pytest.raises(perdure.PayloadCorrupt):
                codec.decode(encoding, encoded.data, encoded.mac)

    @given(st.binary(max_size=50), st.binary(min_size=16, max_size=16), st.sampled_from([JSON, PICKLE]))
    def test_garbage(self, data, mac, encoding):
        with pytest.raises(perdure.PayloadCorrupt):
            codec.decode(encoding, data, mac)

    def test_a_class_that_is_gone(self, monkeypatch):
        encoded = codec.encode(Frozen(1))
        monkeypatch.delattr(sys.modules[__name__], "Frozen")
        with pytest.raises(perdure.PayloadCorrupt, match="Frozen") as caught:
            codec.decode(encoded.encoding, encoded.data, encoded.mac)
        assert "fork" in caught.value.help


class TestJson:
    @given(plain_data)
    @settings(deadline=None)
    def test_what_json_can_carry(self, value):
        if codec.encode(value).encoding == PICKLE:  # infinity, surrogates
            with pytest.raises(perdure.UnrecordableValue, match="value"):
                encode_json(value)
        else:
            assert same(json.loads(encode_json(value)), value)
            assert same(codec.decode_json(encode_json(value)), value)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ((1,), "value is a tuple"),
            ({"a": [1, {"b": {2}}]}, r"value\['a'\]\[1\]\['b'\] is a set"),
            ({"a": {1: 2}}, r"value\['a'\] has a key that is a int"),
            ([float("nan")], "JSON cannot carry"),
            (["\ud800"], "JSON cannot carry"),
            ([Level.LOW], r"value\[0\] is a test_codec.Level"),
            ({"a": Order(1)}, r"value\['a'\] is a test_codec.Order"),
        ],
    )
    def test_what_it_cannot(self, value, message):
        with pytest.raises(perdure.UnrecordableValue, match=message):
            encode_json(value)

    def test_sharing_is_allowed_and_cycles_are_not(self):
        assert encode_json([shared, shared]) == b"[[1],[1]]"
        loop: list = []
        loop.append({"a": loop})
        with pytest.raises(perdure.UnrecordableValue, match="contains itself"):
            encode_json(loop)

    def test_bombs_and_depth_end(self, monkeypatch):
        monkeypatch.setattr(plain, "MAX_CONTAINERS", 10_000)
        value: list = [[]]
        for _ in range(60):
            value = [value, value]
        with pytest.raises(perdure.UnrecordableValue, match="too many containers"):
            encode_json(value)
        for _ in range(100_000):
            value = [value]
        with pytest.raises(perdure.UnrecordableValue, match="nested too deeply"):
            encode_json(value)

    @pytest.mark.parametrize("data", [b"", b"{", b"1 2", b"\xff", b"nul"])
    def test_bad_text(self, data):
        with pytest.raises(perdure.PayloadCorrupt):
            codec.decode_json(data)


def test_iterators_and_generators_of_random_keep_their_state():
    counter = itertools.count(5)
    next(counter)
    assert next(there_and_back(counter)) == 6
    generator = random.Random(1)
    assert there_and_back(generator).random() == random.Random(1).random()
    buffer = io.BytesIO(b"abc")
    buffer.read(1)
    assert there_and_back(buffer).read() == b"bc"
    tree = ET.fromstring("<a><b/></a>")
    assert there_and_back(tree)[0].tag == "b"

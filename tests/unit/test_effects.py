"""What calls do to what they are given: seen, recorded and applied again."""

import array
import collections
import dataclasses
import io
import itertools
import random

import perdure
import pytest
from perdure_runner.child.effects import given as effects
from perdure_runner.child.effects.given import Given
from perdure_runner.child.values.codec import JSON, Codec, fingerprint_call

codec = Codec(b"k" * 32, 1 << 20)


@dataclasses.dataclass(slots=True)
class Slotted:
    a: int = 0
    b: object = None


class Thing:
    def __init__(self):
        self.a = 1
        self.parts = [1]


def live_and_replayed(make, f):
    """Arguments and outcome of the live call, and of its replay with arguments made anew."""
    args = make()
    given = Given(args, {}, f)
    given.watch()
    encoded = given.encode(codec, f(*args), None)
    again = make()
    replayed = Given(again, {}, f)
    assert replayed.digest == given.digest == fingerprint_call(again, {})
    data = encoded.encoding, encoded.data, encoded.mac
    first = effects.settle(codec.decode(*data, given.references(None)))
    second = effects.settle(codec.decode(*data, replayed.references(None)))
    return (args, first), (again, second), encoded


CHANGES = {
    "list": (lambda: [3, 1], lambda xs: xs.sort()),
    "list of lists": (lambda: [[1], [2]], lambda xs: xs[0].append(xs[1])),
    "dict order": (lambda: {"a": 1, "b": 2}, lambda d: d.update(a=d.pop("a"))),
    "equal of another type": (lambda: {"a": 1}, lambda d: d.update(a=True)),
    "set": (lambda: {1, 2}, lambda s: s.remove(1)),
    "deque": (lambda: collections.deque([1], maxlen=1), lambda q: q.append(2)),
    "defaultdict": (lambda: collections.defaultdict(list), lambda d: d["x"].append(1)),
    "ordered": (lambda: collections.OrderedDict(a=1, b=2), lambda d: d.move_to_end("a")),
    "bytearray grows": (lambda: bytearray(b"a"), lambda b: b.extend(b"bc")),
    "array": (lambda: array.array("i", [1]), lambda a: a.append(2)),
    "slots": (Slotted, lambda s: setattr(s, "b", {"x": s.a})),
    "buffer": (io.BytesIO, lambda b: b.write(b"abc")),
    "random": (lambda: random.Random(1), lambda r: r.random()),
}


def shown(value):
    if isinstance(value, io.BytesIO):
        return value.getvalue(), value.tell()
    if isinstance(value, random.Random):
        return value.getstate()
    return repr(value)


@pytest.mark.parametrize(("make", "f"), CHANGES.values(), ids=CHANGES)
def test_changed(make, f):
    plain = make()
    f(plain)
    live, replayed, _ = live_and_replayed(lambda: (make(),), f)
    assert shown(live[0][0]) == shown(replayed[0][0]) == shown(plain)


def test_unchanged_plain_data_stays_json():
    _, replayed, encoded = live_and_replayed(lambda: ({"a": [1]}, Thing()), lambda _d, _t: {"ok": [1]})
    assert (encoded.encoding, replayed[1]) == (JSON, {"ok": [1]})


def test_what_was_given_comes_back_itself():
    for args, value in live_and_replayed(lambda: ([1], Thing()), lambda xs, t: [xs, (t.parts, t)])[:2]:
        assert value[0] is args[0]
        assert value[1][0] is args[1].parts
        assert value[1][1] is args[1]


def test_new_parts_are_shared_as_they_were():
    def link(one, two):
        one.parts.append(two)
        one.fresh = two.fresh = [one]
        return one.fresh

    for (one, two), value in live_and_replayed(lambda: (Thing(), Thing()), link)[:2]:
        assert one.parts[1] is two
        assert one.fresh is two.fresh is value
        assert value[0] is one


def test_with_an_exception():
    xs, error = [1], ValueError("text")
    given = Given((xs,), {})
    given.watch()
    xs.append(error)
    error.xs = xs
    encoded = given.encode_error(codec, error, None)
    again = [1]
    refs = Given((again,), {}).references(None)
    replayed = effects.settle(codec.decode(encoded.encoding, encoded.data, encoded.mac, refs))
    assert replayed.xs is again
    assert again[1] is replayed


def test_a_state_that_cannot_be_put_back_is_refused():
    with pytest.raises(perdure.InPlaceChange, match=r"itertools\.count"):
        live_and_replayed(lambda: (itertools.count(),), next)


def test_a_new_state_that_is_no_value_is_refused():
    with pytest.raises(perdure.InPlaceChange, match="generator"):
        live_and_replayed(lambda: ([],), lambda xs: xs.append(i for i in "a"))

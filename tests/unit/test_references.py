"""Tokens that stand for live objects in recorded values."""

import dataclasses
import socket
import threading

import perdure
import pytest
from perdure_runner.child.values.codec import JSON, PICKLE, Codec
from perdure_runner.child.values.references import Chain

LOCK = type(threading.Lock())
codec = Codec(b"k" * 32, 1 << 20)


class Desk:
    """References to locks: named once they are known, adopted when a pickle fails on one."""

    def __init__(self, kind=LOCK, label="lock"):
        self.kind, self.label = kind, label
        self.things = []
        self.asked = 0

    def name(self, thing):
        self.asked += 1
        for number, known in enumerate(self.things):
            if known is thing:
                return self.label, number
        return None

    def find(self, token):
        if token[0] != self.label:
            raise KeyError(token)
        return self.things[token[1]]

    def adopt(self, thing, why):
        assert isinstance(why, Exception)
        if type(thing) is not self.kind:
            return None
        self.things.append(thing)
        return self.label, len(self.things) - 1


@dataclasses.dataclass
class Worker:
    name: str
    lock: object


def there_and_back(value, refs):
    encoded = codec.encode(value, refs)
    return codec.decode(encoded.encoding, encoded.data, encoded.mac, refs)


def test_plain_values_never_ask():
    desk = Desk()
    encoded = codec.encode({"a": [1, 2, {"b": None}]}, desk)
    assert (encoded.encoding, desk.asked) == (JSON, 0)


def test_adopted_wherever_it_is():
    desk = Desk()
    one, two = threading.Lock(), threading.Lock()
    value = {"workers": [Worker("a", one), Worker("b", two)], "again": (one,), "self": None}
    value["self"] = value
    back = there_and_back(value, desk)
    assert [worker.lock for worker in back["workers"]] == [one, two]
    assert back["again"][0] is one
    assert back["self"] is back
    assert len(desk.things) == 2
    assert there_and_back(one, desk) is one  # known now: not adopted again
    assert len(desk.things) == 2


def test_named_without_trying():
    desk = Desk()
    known = Worker("known", 1)
    desk.things.append(known)
    assert there_and_back([known, known], desk) == [known, known]
    assert there_and_back((known,), desk)[0] is known


def test_with_functions_that_cloudpickle_writes():
    desk = Desk()
    lock = threading.Lock()
    function = there_and_back(lambda: lock, desk)
    assert function() is lock


def test_refused_what_nobody_takes():
    desk = Desk()
    with socket.socket() as plug, pytest.raises(perdure.UnrecordableValue, match=r"result\['plug'\] is a socket"):
        codec.encode({"lock": threading.Lock(), "plug": plug}, desk)


def test_many_but_not_endlessly_many():
    desk = Desk()
    assert len(there_and_back([threading.Lock() for _ in range(100)], desk)) == 100
    with pytest.raises(perdure.UnrecordableValue):
        codec.encode([threading.Lock() for _ in range(101)], Desk())


def test_chain_takes_the_first_that_knows():
    locks, events = Desk(), Desk(threading.Event, "event")
    lock, event = threading.Lock(), threading.Event()
    chain = Chain(locks, events)
    assert there_and_back((lock, event), chain) == (lock, event)
    assert (locks.things, events.things) == ([lock], [event])
    with pytest.raises(LookupError):
        chain.find(("other", 1))


def test_of_an_exception():
    desk = Desk()
    error = ValueError("text")
    error.lock = threading.Lock()
    encoded = codec.encode_error(error, desk)
    assert encoded.encoding == PICKLE
    assert codec.decode(encoded.encoding, encoded.data, encoded.mac, desk).lock is error.lock


def test_a_token_that_nobody_knows():
    encoded = codec.encode(threading.Lock(), Desk())
    with pytest.raises(perdure.PayloadCorrupt):
        codec.decode(encoded.encoding, encoded.data, encoded.mac, Chain())

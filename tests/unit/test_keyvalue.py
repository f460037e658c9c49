"""The key-value store against a model: in order, in batches that share a transaction, and across a crash."""

import asyncio
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure import RequestRefused
from perdure._local_store import LocalStore
from perdure_server.coordinator.requests.operations import Asker
from perdure_server.coordinator.requests.values import OPERATIONS
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.store import Done, Mutation, Store, StoredRow

ASKER = Asker("ses_1", "p", "dep_1", "b" * 64, "", durable=True, now_us=5)
BIG = 10**400

keys = st.sampled_from(["a", "b", "ä/c"])
numbers = st.one_of(st.integers(-(10**30), 10**30), st.floats(allow_nan=False, allow_infinity=False))
values = st.recursive(
    st.one_of(st.none(), st.booleans(), numbers, st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=3), inner, max_size=3)),
    max_leaves=5,
)
asked = st.one_of(
    st.tuples(st.just("get"), st.fixed_dictionaries({"key": keys}, optional={"versioned": st.booleans()})),
    st.tuples(st.just("set"), st.fixed_dictionaries({"key": keys, "value": values})),
    st.tuples(st.just("set"), st.fixed_dictionaries({"key": keys, "value": values, "version": st.integers(0, 3)})),
    st.tuples(st.just("del"), st.fixed_dictionaries({"key": keys})),
    st.tuples(st.just("add"), st.fixed_dictionaries({"key": keys, "operand": values})),
    st.tuples(st.just("check_and_set"), st.fixed_dictionaries({"key": keys, "value": values, "expected": values})),
    st.tuples(st.just("list"), st.fixed_dictionaries({"prefix": st.sampled_from(["", "a", "ä"])})),
    st.tuples(st.sampled_from(["publish", "unpublish"]), st.fixed_dictionaries({"key": keys})),
)


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store.memory()
    yield store
    store.close()


def operation(name: str, body: dict[str, Any], asker: Asker = ASKER) -> Mutation[Any]:
    """What the coordinator writes for a session that asks."""
    return Mutation(lambda tx: OPERATIONS[f"store.{name}"].run(tx, asker, body).value)


def do(store: Store, name: str, **body: Any) -> Any:
    result = store.apply(operation(name, body))
    assert isinstance(result, Done)
    return result.value


@contextmanager
def refused(code: str) -> Iterator[None]:
    """The block must raise `PerdureError` of this code."""
    with pytest.raises(PerdureError) as caught:
        yield
    assert caught.value.code == code


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit: 1 is not 1.0 here."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


class Model(LocalStore):
    """The store of plain scripts does the same, in memory."""

    def answer(self, name: str, body: dict[str, Any]) -> Any:
        try:
            return self.request(f"store.{name}", body)
        except RequestRefused as refused:
            return refused.code


async def together(store: Store, items: list[tuple[str, dict[str, Any]]]) -> list[Any]:
    """The answers to what is asked at the same time; of a refusal its code."""

    async def answer(name: str, body: dict[str, Any]) -> Any:
        try:
            result = await store.commit(operation(name, body))
        except PerdureError as error:
            return error.code
        assert isinstance(result, Done)
        return result.value

    return await asyncio.gather(*(answer(*item) for item in items))


@settings(max_examples=40, deadline=None)
@given(st.lists(asked, max_size=40), st.data())
def test_any_order_of_operations_has_the_answers_of_a_dict(asking: list[Any], data: st.DataObject) -> None:
    """Some share a transaction, as in group commit; between transactions the process ends."""
    with tempfile.TemporaryDirectory() as folder:
        model, left = Model(), list(asking)
        while left:
            size = data.draw(st.integers(1, len(left)))
            items, left = left[:size], left[size:]
            store = Store.open(Path(folder))
            try:
                answers = asyncio.run(together(store, items))
            finally:
                store.close()
            for (name, body), answer in zip(items, answers, strict=True):
                assert same(answer, model.answer(name, body)), (name, body)


def test_numbers_stay_exact(store: Store) -> None:
    assert do(store, "add", key="n", operand=BIG) == BIG
    assert do(store, "add", key="n", operand=1) == BIG + 1
    assert do(store, "get", key="n") == BIG + 1
    assert do(store, "add", key="f", operand=0.1) == 0.1
    assert do(store, "add", key="f", operand=1) == 1.1


@pytest.mark.parametrize(
    ("stored", "operand"),
    [("text", 1), (True, 1), (1, True), (1, None), ([], 1), (1.7e308, 1.7e308), (10**999, 10**1000)],
)
def test_what_cannot_be_added_changes_nothing(store: Store, stored: Any, operand: Any) -> None:
    do(store, "set", key="k", value=stored)
    with refused("P0224"):
        store.apply(operation("add", {"key": "k", "operand": operand}))
    assert same(do(store, "get", key="k"), stored)


@pytest.mark.parametrize(
    ("stored", "expected", "equal"),
    [(1, 1.0, True), (1, True, False), (None, None, True), ({"a": [1]}, {"a": [1.0]}, True), ([1], [1, 2], False)],
)
def test_check_and_set_compares_as_json(store: Store, stored: Any, expected: Any, equal: bool) -> None:
    do(store, "set", key="k", value=stored)
    assert do(store, "check_and_set", key="k", expected=expected, value="new") is equal
    assert same(do(store, "get", key="k"), "new" if equal else stored)


def test_a_version_is_never_given_again(store: Store) -> None:
    assert [do(store, "set", key="k", value=n) for n in (1, 2)] == [1, 2]
    assert do(store, "del", key="k") is True
    assert do(store, "get", key="k", versioned=True) == {"value": None, "version": 0}
    assert do(store, "set", key="k", value=1, version=0) == 3
    with refused("P0227"):
        store.apply(operation("set", {"key": "k", "value": 1, "version": 2}))
    assert do(store, "list") == ["k"]


def test_who_publishes_and_deletes(store: Store) -> None:
    with refused("P0235"):
        store.apply(operation("publish", {"key": "k"}))
    do(store, "set", key="k", value=1)
    do(store, "publish", key="k")
    do(store, "set", key="k", value=2)
    assert store.stored_value("p", "k") == StoredRow("p", "k", 2, published=True, set_us=5, value=b"2")
    do(store, "set", key="k", value=None)
    do(store, "set", key="k", value=3)
    row = store.stored_value("p", "k")
    assert row is not None
    assert not row.published


def test_limits_and_bad_keys_are_refused(store: Store) -> None:
    small = replace(ASKER, settings=Settings(value_bytes=10, project_values=2))
    assert store.apply(operation("set", {"key": "a", "value": "x" * 8}, small)) == Done(1)
    for code, body in [
        ("P0224", {"key": "a", "value": "x" * 9}),
        ("P0224", {"key": "", "value": 1}),
        ("P0224", {"key": "k" * 257, "value": 1}),
        ("P0224", {"key": "two\nlines", "value": 1}),
        ("P0224", {"key": 7, "value": 1}),
        ("P0224", {"key": "a", "value": "\ud800"}),
        ("P0103", {"key": "a", "value": 1, "version": "1"}),
    ]:
        with refused(code):
            store.apply(operation("set", body, small))
    store.apply(operation("set", {"key": "b", "value": 1}, small))
    with refused("P0226"):
        store.apply(operation("set", {"key": "c", "value": 1}, small))
    assert store.apply(operation("set", {"key": "b", "value": 2}, small)) == Done(2)
    assert store.stored_values("other") == []


def test_many_at_once_lose_nothing(store: Store) -> None:
    asyncio.run(together(store, [("add", {"key": "n", "operand": 1})] * 300))
    assert do(store, "get", key="n") == 300

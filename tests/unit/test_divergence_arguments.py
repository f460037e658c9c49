"""The first argument that differs is named by its path: from previews where they tell all, else from digests."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure_runner.child import divergence
from perdure_runner.child.values.preview import preview_call
from perdure_server.core.arguments import Change, Described, changes, leaves


class Pair(NamedTuple):
    left: int
    right: int


@dataclasses.dataclass
class Order:
    number: int
    items: list[Any]


class Plain:
    def __init__(self, **state: Any) -> None:
        self.__dict__.update(state)


class Slotted:
    __slots__ = ("__dict__", "kept")


def arguments(*args: Any, **kwargs: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, kwargs


def differences(recorded: Any, called: Any) -> list[str]:
    """As the journal and the diverging runner tell it to the server."""
    shown = preview_call(*recorded)
    old = Described(shown, [bytes.fromhex(part) for part in divergence.journaled(shown, *recorded)])
    new = Described(preview_call(*called), [bytes.fromhex(part) for part in divergence.described(*called)])
    return [str(change) for change in changes(old, new)]


SMALL = [
    (
        arguments(1, {"items": ["a", "b", "tea"]}),
        arguments(1, {"items": ["a", "b", "coffee"]}),
        "args[1]['items'][2]: 'tea' -> 'coffee'",
    ),
    (arguments(timeout=1), arguments(timeout=2), "kwargs['timeout']: 1 -> 2"),
    (arguments(1), arguments(True), "args[0]: 1 -> True"),
    (arguments("a"), arguments(["a"]), "args[0]: 'a' -> ['a']"),
    (arguments(), arguments(1), "args[0]: absent -> 1"),
    (arguments(1, 2), arguments(1), "args[1]: 2 -> absent"),
    (arguments([1]), arguments([1, 2]), "args[0][1]: absent -> 2"),
    (arguments({"a": 1}), arguments({"b": 1}), "args[0]['b']: absent -> 1"),
    (arguments({1, 2}), arguments({1, 3}), "args[0]: {1, 2} -> {1, 3}"),
    (arguments({"a": 1, "b": 2}), arguments({"b": 2, "a": 1}), "arguments: {'a': 1, 'b': 2} -> {'b': 2, 'a': 1}"),
    (arguments(Order(1, [1])), arguments(Order(1, [2])), "args[0].items[0]: 1 -> 2"),
    (arguments(Pair(1, 2)), arguments(Pair(1, 3)), "args[0].right: 2 -> 3"),
    (arguments("it's, [a"), arguments('say "no"]'), 'args[0]: "it\'s, [a" -> \'say "no"]\''),
    (arguments({"k, 1": {"x:": 1}}), arguments({"k, 1": {"x:": 2}}), "args[0]['k, 1']['x:']: 1 -> 2"),
]
LARGE = [
    (
        arguments({f"k{n}": n for n in range(40)}),
        arguments({f"k{n}": n if n != 33 else "new" for n in range(40)}),
        "args[0]['k33']: another value -> 'new'",
    ),
    (arguments(Plain(a=1, b=[1])), arguments(Plain(a=1, b=[3])), "args[0].b[0]: another value -> 3"),
    (arguments("x" * 300, 5), arguments("x" * 300, 6), "args[1]: another value -> 6"),
    (arguments([1, {"a": 2}, "x" * 300]), arguments([1, {"a": 3}, "x" * 300]), "args[0][1]['a']: 2 -> 3"),
    (arguments([1] * 30), arguments([1] * 31), "args[0][30]: absent -> 1"),
]


@pytest.mark.parametrize(("recorded", "called", "first"), SMALL + LARGE)
def test_the_first_difference_is_named(recorded: Any, called: Any, first: str) -> None:
    assert differences(recorded, called)[0] == first


def test_a_container_too_large_for_its_parts_is_told_in_ranges() -> None:
    numbers = list(range(10_000))
    changed = [*numbers[:5000], -1, *numbers[5001:]]
    (found,) = differences(arguments(numbers), arguments(changed))
    path = found.partition(":")[0] + ":" + found.split(":")[1].partition("]")[0] + "]"
    first, _, last = path.removeprefix("args[0][").removesuffix("]").partition(":")
    assert int(first) <= 5000 < int(last)


def test_small_arguments_cost_the_journal_nothing() -> None:
    for recorded, _, _ in SMALL:
        assert divergence.journaled(preview_call(*recorded), *recorded) == ()


@given(
    st.recursive(
        st.integers() | st.text(max_size=60),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=300,
    )
)
def test_parts_are_bounded_and_repeatable(value: Any) -> None:
    parts = divergence.described((value,), {})
    assert 1 <= len(parts) <= divergence.MAX_PARTS
    assert parts == divergence.described((value,), {})
    assert all(len(part) <= 2 * 2048 for part in parts)
    assert differences(arguments(value), arguments(value)) == []


@given(st.text(max_size=200))
def test_any_text_is_taken_for_a_preview(text: str) -> None:
    assert all(isinstance(path, str) for path in leaves(text))


def test_objects_that_hold_themselves_and_odd_names_are_no_trouble() -> None:
    loop: list[Any] = []
    loop.append(loop)
    odd = Slotted()
    odd.kept = 1
    odd.__dict__[7] = 2  # type: ignore[index]  # on purpose
    assert len(divergence.described((loop, odd), {})) <= divergence.MAX_PARTS


def test_no_code_of_the_users_runs() -> None:
    class Bomb(dict):  # type: ignore[type-arg]
        def _no(self, *_: object) -> Any:
            raise AssertionError("user code ran")

        __repr__ = __len__ = __iter__ = __getitem__ = items = keys = values = __eq__ = __hash__ = _no  # type: ignore[assignment]
        __getattribute__ = _no

    assert divergence.described((Bomb(a=1),), {})


def test_a_handle_is_a_token() -> None:
    class Proxy:
        __perdure_handle__ = True

        def __init__(self) -> None:
            self.live = object()

    (part,) = divergence.parts((Proxy(),), {})
    assert part.path == "args[0]"


def test_what_a_preview_leaves_out_is_not_said_to_be_absent() -> None:
    cut = Described("[1, 2, ... 4 more], 7")
    assert changes(cut, Described("[1, 2, 3, 4, 5, 6], 8")) == (Change("args[1]", "7", "8"),)

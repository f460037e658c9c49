"""Store, outcomes and children of the SDK in a plain script, and what they refuse before anything is sent."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import perdure
import pytest
from perdure import _children, _runtime, _store
from perdure._local_store import LocalStore


@pytest.fixture(autouse=True)
def empty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_store, "_local", LocalStore())
    monkeypatch.setattr(_children, "_ended", {})


def test_the_store_is_a_dict() -> None:
    store = perdure.store
    store["a"] = {"n": (1, 2)}
    store.update({"b": 1}, c=None)
    assert (store["a"], "b" in store, "c" in store, 7 in store) == ({"n": [1, 2]}, True, False, False)
    assert (list(store), len(store), dict(store), sorted(store.keys())) == (
        ["a", "b"],
        2,
        {"a": {"n": [1, 2]}, "b": 1},
        ["a", "b"],
    )
    assert (store.get("z"), store.get("z", 5), store.setdefault("b", 9), store.setdefault("d", 9)) == (None, 5, 1, 9)
    assert store.pop("b") == 1
    with pytest.raises(KeyError):
        del store["b"]
    with pytest.raises(KeyError):
        store["b"]
    store["a"] = None
    assert list(store) == ["d"]
    store.clear()
    assert not store


def test_functions_do_what_they_say() -> None:
    assert (perdure.set_value("k", 1), perdure.set_value("k", 2), perdure.get_value("k")) == (1, 2, 2)
    assert (perdure.add_values("k", 1.5), perdure.add_values("new", 10**30)) == (3.5, 10**30)
    assert not perdure.check_and_set_value("k", 3, 4)
    assert perdure.check_and_set_value("k", 3.5, 4)
    assert perdure.mutate_value("k", perdure.Op.ADD, 1) == perdure.mutate_value("k", "get") == 5
    assert perdure.list_values_keys("n") == ["new"]
    perdure.publish_value("k")
    perdure.unpublish_value("k")
    perdure.del_value("k")
    perdure.del_value("k")
    with pytest.raises(perdure.RequestRefused, match="no 'k'"):
        perdure.publish_value("k")
    with pytest.raises(perdure.Error, match="no address"):
        perdure.get_store_public_url()


def test_versions_hold_off_who_comes_late() -> None:
    perdure.set_value("k", 1, version=0)
    value, version = perdure.store.versioned("k")
    perdure.set_value("k", "of somebody else")
    with pytest.raises(perdure.RequestRefused) as caught:
        perdure.set_value("k", value, version=version)
    assert caught.value.code == "P0227"


def test_a_change_is_made_anew_when_somebody_was_faster() -> None:
    seen: list[Any] = []

    def longer(value: Any) -> list[int]:
        seen.append(value)
        if len(seen) == 1:
            perdure.set_value("k", [0])
        return [*(value or []), 1]

    assert perdure.store.change("k", longer) == [0, 1]
    assert seen == [None, [0]]
    with pytest.raises(TypeError):
        perdure.store.change("k", lambda _value: object())


def test_what_is_stored_is_a_copy() -> None:
    value = [1]
    perdure.set_value("k", value)
    value.append(2)
    perdure.get_value("k").append(3)
    assert perdure.get_value("k") == [1]


@pytest.mark.parametrize("value", [{1: 2}, {1, 2}, object(), b"x", float("nan"), float("inf"), [{"a": {None: 1}}]])
def test_what_json_cannot_say_is_refused_at_once(value: Any) -> None:
    with pytest.raises(TypeError):
        perdure.set_value("k", value)
    with pytest.raises(TypeError):
        perdure.status(value)
    assert perdure.get_value("k") is None


def test_what_holds_itself_is_too_deep() -> None:
    endless: list[Any] = []
    endless.append(endless)
    with pytest.raises(ValueError, match="deep"):
        perdure.set_value("k", endless)


@pytest.mark.parametrize("key", ["", "x" * 257, "a\nb", "\ud800", 7, None])
def test_bad_keys(key: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        perdure.set_value(key, 1)


def test_children_need_a_session_and_outcomes_do_not() -> None:
    for call in (
        lambda: perdure.start("main.py:f"),
        lambda: perdure.wait([]),
        lambda: perdure.signal("ses_1", "go"),
    ):
        with pytest.raises(perdure.NotInSession):
            call()
    perdure.outcome({"a": 1})
    perdure.http_outcome(201, body=b"\0", headers={"a": "b"}, more=True)
    perdure.status("busy")
    for wrong in ({"status_code": 99}, {"status_code": True}, {"body": "a", "json": 1}):
        with pytest.raises(ValueError, match="http_outcome"):
            perdure.http_outcome(**wrong)  # type: ignore[arg-type]


class Session:
    """A runtime whose coordinator says what a test wants."""

    def __init__(self, ends: dict[str, Any]) -> None:
        self.ends = ends
        self.now_us = 0
        self.asked: list[Any] = []
        self.limits: list[float | None] = []

    def request(self, operation: str, body: dict[str, Any]) -> Any:
        self.asked.append((operation, body))
        return {"now_us": self.now_us}

    def next_signal(self, names: tuple[str, ...], timeout: float | None) -> Any:
        self.limits.append(timeout)
        self.now_us += 400_000
        end = self.ends.get(names[0])
        return end and SimpleNamespace(payload={"value": None, "error": None} | end)


@pytest.fixture(name="session")
def session_fixture(monkeypatch: pytest.MonkeyPatch) -> Session:
    session = Session(
        {
            "ses_a": {"state": "completed", "value": 7},
            "ses_b": {"state": "failed", "error": {"type": "ValueError", "message": "no"}},
            "ses_c": {"state": "completed", "preview": "(1, 2)"},
        }
    )
    monkeypatch.setattr(_runtime, "current", session)
    return session


def test_children_come_in_order_and_are_waited_for_once(session: Session) -> None:
    b, a, again, c = perdure.wait(["ses_b", "ses_a", "ses_b", "ses_c"])
    assert (a.result, a.completed, b.state, again is b) == (7, True, "failed", True)
    assert perdure.wait("ses_a") == [a]
    assert session.limits == [None, None, None]
    with pytest.raises(perdure.ChildFailed, match="ValueError: no") as caught:
        b.result  # noqa: B018 - it raises
    assert caught.value.outcome is b
    with pytest.raises(perdure.ChildFailed, match=r"\(1, 2\)"):
        c.result  # noqa: B018 - as above


def test_a_timeout_is_one_for_all_of_them(session: Session) -> None:
    found = perdure.wait(["ses_a", "ses_x", "ses_y"], timeout=0.5)
    assert [child.state for child in found] == ["completed", "running", "running"]
    assert session.limits == pytest.approx([0.5, 0.1, 0.0])


def test_children_are_named_by_texts(session: Session) -> None:
    with pytest.raises(TypeError):
        perdure.wait([1])  # type: ignore[list-item]
    assert perdure.wait([]) == session.asked == []

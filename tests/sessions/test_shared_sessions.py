"""Store, children, signals and outcomes in real sessions, with a crash after every entry of their journals."""

import asyncio

import perdure
import pytest
from perdure import testing


def counting(event):
    mine = "mine/"
    perdure.store.update({mine + "a": 1, mine + "b": [1, 2]})
    total = sum(perdure.add_values(mine + "n", n) for n in range(4))
    perdure.store.change(mine + "b", lambda items: [*items, 3])
    swapped = [perdure.check_and_set_value(mine + "a", 1.0, "one"), perdure.check_and_set_value(mine + "a", 1, "no")]
    everything = {key.removeprefix(mine): perdure.store[key] for key in perdure.store if key.startswith(mine)}
    popped = perdure.store.pop(mine + "a")
    del perdure.store[mine + "b"]
    left = [key.removeprefix(mine) for key in perdure.list_values_keys(mine)]
    return {"total": total, "swapped": swapped, "everything": everything, "popped": popped, "left": left}


def refused(event):
    codes = []
    for ask in (
        lambda: perdure.set_value("k", "x" * 70_000),
        lambda: perdure.set_value("k", 1, version=7),
        lambda: perdure.publish_value("k"),
        lambda: perdure.start("nowhere"),
        lambda: perdure.start("test_shared_sessions.py:pack", project="nobody's"),
        lambda: perdure.signal("ses_ghost", "go"),
        lambda: perdure.signal(perdure.session_id(), "ses_forged"),
        lambda: perdure.wait(["ses_ghost"]),
        lambda: perdure.outcome(1, event_id="evt_ghost"),
        lambda: perdure.status("x" * 20_000),
    ):
        try:
            ask()
        except perdure.RequestRefused as error:
            codes.append(error.code)
    return codes


def pack(order):
    if order is None:
        raise ValueError("nothing to pack")
    return (order,) if order == "tuple" else {"packed": order, "by": perdure.session_id()[:4]}


def family(event):
    children = [perdure.start("test_shared_sessions.py:pack", order) for order in ("tea", None, "tuple")]
    tea, nothing, odd = perdure.wait(children, timeout=3600)
    again = perdure.wait([children[0]])
    return [tea.result, nothing.state, nothing.error["message"], odd.value, odd.preview, again == [tea]]


def waits_long(event):
    return perdure.next_signal("never").payload


def impatient(event):
    child = perdure.start("test_shared_sessions.py:waits_long", on_parent_end="terminate")
    first = perdure.wait(child, timeout=0.01)
    perdure.signal(child, "never", [1])
    return [first[0].state, perdure.wait(child)[0].value]


async def at_once(event):
    async def one(order):
        child = perdure.start("test_shared_sessions.py:pack", order)
        return (await perdure.await_children(child))[0].value["packed"]

    return sorted(await asyncio.gather(*map(one, ["a", "b", "c"])))


@perdure.activity
def inside():
    return [perdure.add_values("n", 1), perdure.get_value("n")]


def in_an_activity(event):
    perdure.status({"step": 1})
    perdure.http_outcome(json={"ok": True})
    return [inside(), perdure.get_value("n")]


@pytest.mark.parametrize("entry", [None, 1, 2, 10, 21, 36])
def test_the_store_in_a_session(entry):
    """A crash after an entry of either kind, request or answer, changes nothing, and repeats nothing."""
    outcome = testing.run(counting, crash_after=entry)
    assert outcome.result == {
        "total": 0 + 1 + 3 + 6,
        "swapped": [True, False],
        "everything": {"a": "one", "b": [1, 2, 3], "n": 6},
        "popped": "one",
        "left": ["n"],
    }
    assert set(outcome.functions()) >= {"perdure.store.add", "perdure.store.get", "perdure.store.list"}


def test_refusals_are_errors_with_codes():
    codes = ["P0224", "P0227", "P0235", "P0114", "P0206", "P0204", "P0103", "P0204", "P0222", "P0402"]
    assert testing.run(refused).result == codes
    assert testing.run(refused, crash_after=9).result == codes


@pytest.mark.parametrize("entry", [None, 1, 6, 9, 14])
def test_parents_wait_for_children(entry):
    outcome = testing.run(family, crash_after=entry)
    packed = {"packed": "tea", "by": "ses_"}
    assert outcome.result == [packed, "failed", "nothing to pack", None, "('tuple',)", True]


@pytest.mark.parametrize("entry", [None, 3, 5, 7])
def test_a_child_that_takes_too_long_can_be_waited_for_again(entry):
    assert testing.run(impatient, crash_after=entry).result == ["running", [1]]


def test_children_of_tasks():
    assert testing.run(at_once).result == ["a", "b", "c"]
    assert testing.run(at_once, crash_after=8).result == ["a", "b", "c"]


def test_an_activity_may_ask_too():
    assert testing.run(in_an_activity).result == [[1, 1], 1]

"""The queue for hosts: who comes first, and whom others may pass."""

from __future__ import annotations

from perdure_server.coordinator.choosing import Need
from perdure_server.coordinator.queueing import Queue

ANY, GPU = Need(), Need(runs_on=frozenset({("gpu", "yes")}))


def queue() -> Queue[str]:
    """a and c want any host, b and d one with a label."""
    made: Queue[str] = Queue()
    for demand, item in ((ANY, "a"), (GPU, "b"), (ANY, "c"), (GPU, "d")):
        made.append(demand, item)
    return made


def drained(line: Queue[str]) -> str:
    return "".join(iter(lambda: line.take(lambda _: True) or "", ""))


def test_first_come_first_served() -> None:
    line = queue()
    assert len(line) == 4
    assert drained(line) == "abcd"
    assert len(line) == 0


def test_who_can_be_served_passes_who_cannot() -> None:
    line = queue()
    assert line.take(lambda demand: demand == GPU) == "b"
    assert line.take(lambda demand: demand == GPU) == "d"
    assert line.take(lambda demand: demand == GPU) is None
    assert drained(line) == "ac"


def test_who_was_first_before_is_first_again() -> None:
    line = queue()
    line.appendleft(GPU, "y")
    line.appendleft(ANY, "x")
    assert drained(line) == "xyabcd"


def test_who_does_not_want_any_more_is_gone() -> None:
    line = queue()
    assert line.keep(lambda item: item in "ad") == ["c", "b"]
    assert len(line) == 2
    assert line.keep(lambda _: True) == []
    assert drained(line) == "ad"


def test_those_whom_nobody_serves_are_asked_for_by_demand_not_one_by_one() -> None:
    line: Queue[str] = Queue()
    for number in range(1_000):
        line.append(GPU, str(number))
    line.append(ANY, "last")
    asked: list[Need] = []

    def served(demand: Need) -> bool:
        asked.append(demand)
        return demand == ANY

    assert line.take(served) == "last"
    assert asked == [GPU, ANY]


def test_owners_take_turns_each_in_its_own_order() -> None:
    line: Queue[str] = Queue()
    for item in ("a1", "a2", "a3", "a4"):
        line.append(ANY, item, "a")
    assert line.take(lambda _: True) == "a1"
    for item in ("b1", "b2"):
        line.append(GPU, item, "b")
    line.append(ANY, "c1", "c")
    assert drained(line) == "a2b1c1a3b2a4"


def test_who_waited_for_nothing_has_saved_up_nothing() -> None:
    line: Queue[str] = Queue()
    for item in ("a1", "a2"):
        line.append(ANY, item, "a")
    assert drained(line) == "a1a2"
    for item in ("b1", "b2", "b3"):
        line.append(ANY, item, "b")
    line.append(ANY, "a3", "a")
    assert drained(line) == "b1a3b2b3"


def test_who_comes_back_to_the_front_takes_turns_with_others() -> None:
    """Sessions of a deployment that may have so many at once: each that ends sends another one here."""
    line: Queue[str] = Queue()
    for item in ("b1", "b2", "b3"):
        line.append(ANY, item, "b")
    order = ""
    for number in range(4):
        line.appendleft(ANY, f"a{number}", "a")
        order += (line.take(lambda _: True) or "") + (line.take(lambda _: True) or "")
    assert order + drained(line) == "a0b1a1b2a2b3a3"


def test_who_gives_up_delays_nobody() -> None:
    line: Queue[str] = Queue()
    for number in range(100):
        line.append(ANY, f"a{number} ", "a")
    assert len(line.keep(lambda item: item == "a99 ")) == 99
    line.append(ANY, "b ", "b")
    line.append(ANY, "b ", "b")
    assert drained(line) == "b b a99 "
    line.append(ANY, "a ", "a")
    line.append(ANY, "b ", "b")
    assert drained(line) == "a b "

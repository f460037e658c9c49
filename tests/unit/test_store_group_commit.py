"""Group commit, on a loop whose time is a number and whose turns are taken by hand."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from perdure_server.store.group_commit import CAUTION, LINGER_S, SLOW_COMMIT_S, GroupCommit
from perdure_server.store.model import Append, Done, Item, Result


class Handle:
    cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """call_soon, call_later and call_soon_threadsafe in virtual time."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Handle, Callable[..., None], tuple[Any, ...]]] = []
        self._count = 0
        self._from_threads = threading.Semaphore(0)
        self.complaints: list[dict[str, Any]] = []

    def call_later(self, delay: float, callback: Callable[..., None], *arguments: Any) -> Handle:
        handle = Handle()
        self._count += 1
        self._due.append((self.now + delay, self._count, handle, callback, arguments))
        return handle

    def call_soon(self, callback: Callable[..., None], *arguments: Any) -> Handle:
        return self.call_later(0.0, callback, *arguments)

    def call_soon_threadsafe(self, callback: Callable[..., None], *arguments: Any) -> Handle:
        handle = self.call_soon(callback, *arguments)
        self._from_threads.release()
        return handle

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.complaints.append(context)

    def advance(self, seconds: float = 0.0) -> None:
        """Run everything that is due within so many seconds."""
        end = self.now + seconds
        while due := [call for call in self._due if call[0] <= end]:
            call = min(due, key=lambda entry: entry[:2])
            self._due.remove(call)
            self.now = max(self.now, call[0])
            if not call[2].cancelled:
                call[3](*call[4])
        self.now = end

    def await_thread(self) -> None:
        assert self._from_threads.acquire(timeout=60)


@dataclass
class Disk:
    """Remembers its transactions; `gate` closed keeps a writing thread waiting."""

    transactions: list[list[str]] = field(default_factory=list)
    threads: list[str] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    entered: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def write(self, items: Sequence[Item]) -> list[Result]:
        self.entered.release()
        if threading.current_thread().name == "perdure-store":
            assert self.gate.wait(60)
        self.transactions.append([item.session_id for item in items if isinstance(item, Append)])
        self.threads.append(threading.current_thread().name)
        return [Done(item.session_id) for item in items if isinstance(item, Append)]


@dataclass
class Bench:
    """A GroupCommit on fakes, and what it delivered."""

    on_loop_items: int = 16
    clock: Callable[[], float] = lambda: 0.0
    loop: FakeLoop = field(default_factory=FakeLoop)
    disk: Disk = field(default_factory=Disk)
    delivered: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.group = GroupCommit(
            self.disk.write,
            self.loop,  # type: ignore[arg-type]  # the four methods that it uses
            on_loop_items=self.on_loop_items,
            clock=self.clock,
        )

    def submit(self, name: str, lazy: bool = False) -> None:
        self.group.submit(Append(name, 1, lazy=lazy), lambda result: self.delivered.append(result.value))  # type: ignore[union-attr]


def test_what_arrives_in_one_turn_of_the_loop_shares_a_transaction() -> None:
    bench = Bench()
    for name in "abc":
        bench.submit(name)
    assert not bench.disk.transactions
    bench.loop.advance()
    assert bench.disk.transactions == [["a", "b", "c"]]
    assert bench.delivered == ["a", "b", "c"]


def test_lazy_items_linger_for_company_but_not_longer() -> None:
    bench = Bench()
    bench.submit("a", lazy=True)
    bench.loop.advance(LINGER_S / 2)
    bench.submit("b", lazy=True)
    bench.loop.advance(LINGER_S * 0.49)
    assert not bench.disk.transactions
    bench.loop.advance(LINGER_S * 0.02)
    assert bench.disk.transactions == [["a", "b"]]


def test_a_waited_for_item_flushes_everything_before_it() -> None:
    bench = Bench()
    bench.submit("lazy", lazy=True)
    bench.submit("urgent")
    bench.submit("late", lazy=True)
    bench.loop.advance()
    assert bench.disk.transactions == [["lazy", "urgent", "late"]]
    bench.loop.advance(1)
    assert len(bench.disk.transactions) == 1


def test_what_arrives_while_the_thread_writes_goes_together_into_the_next_transaction() -> None:
    bench = Bench(on_loop_items=0)
    bench.submit("a")
    bench.loop.advance()
    assert bench.disk.entered.acquire(timeout=60)
    for name in "bcd":
        bench.submit(name, lazy=name == "b")
    bench.loop.advance(1)
    assert not bench.disk.transactions
    bench.disk.gate.set()
    bench.loop.await_thread()
    bench.disk.gate.clear()  # what is written next is not there at once
    bench.loop.advance()
    assert bench.delivered == ["a"]
    bench.disk.gate.set()
    bench.loop.await_thread()
    bench.loop.advance()
    assert bench.disk.transactions == [["a"], ["b", "c", "d"]]
    assert bench.delivered == list("abcd")
    bench.group.flush()


def test_lazy_items_that_arrive_while_the_thread_writes_linger_after_it() -> None:
    bench = Bench(on_loop_items=0)
    bench.disk.gate.set()
    bench.submit("a")
    bench.loop.advance()
    bench.submit("b", lazy=True)
    bench.loop.await_thread()
    bench.loop.advance()
    assert bench.disk.transactions == [["a"]]
    bench.loop.advance(LINGER_S)
    bench.loop.await_thread()
    bench.loop.advance()
    assert bench.delivered == ["a", "b"]
    bench.group.flush()


def test_after_a_slow_transaction_the_thread_writes_until_enough_in_a_row_were_quick() -> None:
    took = iter([2.0, *[0.0] * (CAUTION - 1), 2.0, *[0.0] * (CAUTION + 1)])  # the first one, and the last of caution
    ticks = (tick for times in took for tick in (0.0, SLOW_COMMIT_S * times))
    bench = Bench(clock=lambda: next(ticks))
    bench.disk.gate.set()
    cautious = 2 * CAUTION
    for name in range(cautious + 2):
        bench.submit(str(name))
        bench.loop.advance()
        if 0 < name <= cautious:
            bench.loop.await_thread()
            bench.loop.advance()
    assert bench.disk.threads.count("perdure-store") == cautious
    assert "perdure-store" not in (bench.disk.threads[0], bench.disk.threads[-1])
    bench.group.flush()


def test_flush_waits_for_the_thread_and_keeps_the_order() -> None:
    bench = Bench(on_loop_items=0)
    bench.submit("a")
    bench.loop.advance()
    bench.submit("b", lazy=True)
    bench.submit("c")
    bench.disk.gate.set()
    bench.group.flush()
    assert bench.delivered == ["a", "b", "c"]
    bench.loop.advance(1)
    assert bench.delivered == ["a", "b", "c"]


def test_a_listener_that_fails_silences_no_other() -> None:
    bench = Bench()
    bench.group.submit(Append("x", 1), lambda result: 1 / 0)  # type: ignore[arg-type,return-value]
    bench.submit("y")
    bench.loop.advance()
    assert bench.delivered == ["y"]
    assert isinstance(bench.loop.complaints[0]["exception"], ZeroDivisionError)


def test_a_listener_may_submit() -> None:
    bench = Bench()
    bench.group.submit(Append("x", 1), lambda result: bench.submit("y"))
    bench.loop.advance()
    assert bench.disk.transactions == [["x"], ["y"]]


def test_a_turn_asked_for_by_a_listener_begins_no_second_transaction_beside_the_first() -> None:
    bench = Bench(on_loop_items=0)
    bench.disk.gate.set()
    bench.group.submit(Append("x", 1), lambda result: bench.submit("y"))
    bench.loop.advance()
    bench.loop.await_thread()
    bench.disk.gate.clear()
    bench.loop.call_soon(bench.submit, "z")  # between the delivery of x, which begins y, and the turn y asked for
    bench.loop.advance()
    bench.disk.gate.set()
    bench.group.flush()
    assert bench.disk.transactions == [["x"], ["y"], ["z"]]
    assert bench.delivered == ["y", "z"]


@given(
    steps=st.lists(
        st.one_of(st.booleans(), st.sampled_from([0.0, LINGER_S / 3, LINGER_S * 2])), min_size=1, max_size=40
    ),
    on_loop_items=st.sampled_from([0, 2, 16]),
)
@pytest.mark.timeout(300)
def test_every_item_is_written_and_reported_once_in_order(steps: list[bool | float], on_loop_items: int) -> None:
    bench = Bench(on_loop_items=on_loop_items)
    bench.disk.gate.set()
    names: list[str] = []
    for step in steps:
        if isinstance(step, bool):
            names.append(str(len(names)))
            bench.submit(names[-1], lazy=step)
        else:
            bench.loop.advance(step)
    bench.group.flush()
    assert bench.delivered == names
    assert [name for transaction in bench.disk.transactions for name in transaction] == names

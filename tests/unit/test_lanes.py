"""The scheduler, the clock and what the history says of the order of lanes, without a process, a socket or a sleep."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from perdure_runner.child.lanes.clock import LANE, Clock, time_us
from perdure_runner.child.lanes.lanes import Lanes, Strand
from perdure_runner.child.lanes.pending import Key, Pending, Waiting
from perdure_runner.child.lanes.scheduler import Scheduler
from perdure_runner.child.lanes.watch import Watch
from perdure_runner.child.replay import Call, Form, History, How, Kind, Replay, Resolved, Row, Run, Wait

HOUR_US = 3_600_000_000


class FakeLink:
    """What the scheduler sees of the host: resolutions that it is given, and what it says."""

    def __init__(self) -> None:
        self.resolutions: dict[Key, Row] = {}
        self.said: list[dict[str, Any]] = []
        self.when_listening: list[Any] = []
        self.may_read = lambda: True
        self.wake = -1

    def say(self, kind: str, **fields: Any) -> None:
        self.said.append({"t": kind, **fields})

    def listen(self, _timeout_s: float | None) -> None:
        self.when_listening.pop(0)()


class FakeJournal:
    """Nothing recorded, everything durable."""

    def __init__(self) -> None:
        self.orders: list[Key] = []
        self.places: list[int] = []
        self.asked = False

    def left(self) -> int:
        return 0

    def played(self, position: int) -> None:
        self.places.append(position)

    def stuck(self) -> None:
        raise AssertionError("stuck")

    def live(self) -> None:
        """Anything may happen."""

    def order(self, key: Key) -> None:
        self.orders.append(key)

    def may_start(self) -> bool:
        return True

    def stopping(self) -> bool:
        return self.asked

    def stops(self) -> bool:
        return self.asked


class World:
    def __init__(self, rows: list[Row] | None = None) -> None:
        history = History()
        for row in rows or ():
            history.add(row)
        self.lanes, self.link, self.journal = Lanes(), FakeLink(), FakeJournal()
        self.armed: list[tuple[Key, int]] = []
        self.clock = Clock(history, 0, lambda key, due_us: self.armed.append((key, due_us)))
        self.scheduler = Scheduler(self.lanes, self.link, self.journal, self.clock)  # type: ignore[arg-type]

    def park(self, *pendings: Pending, deadline_us: int | None = None) -> list[Any]:
        waiting = Waiting()
        for pending in pendings:
            waiting.add(pending)
        if deadline_us is not None:
            waiting.deadline, waiting.due_us = deadline_us / 1e6, deadline_us
        return self.scheduler.park(self.lanes.main, waiting)


@pytest.fixture(name="world")
def world_fixture() -> World:
    return World()


def test_replay_delivers_in_the_order_of_the_journal(world: World) -> None:
    late, early, new = Pending(position=9), Pending(position=4), Pending(starts=True)
    waiting = Waiting()
    for pending in (late, new, early):
        waiting.add(pending)
    got = [world.scheduler.park(world.lanes.main, waiting) for _ in range(3)]
    assert got == [[early], [late], [new]]
    assert world.journal.places == [4, 9]


def test_live_the_first_to_end_is_delivered_first(world: World) -> None:
    one, two = Pending(outside=True), Pending(outside=True)
    waiting = Waiting()
    for pending in (one, two):
        waiting.add(pending)
        world.scheduler.started()
    world.scheduler.finished(two)
    world.scheduler.finished(one)
    assert [world.scheduler.park(world.lanes.main, waiting) for _ in range(2)] == [[two], [one]]
    assert world.scheduler.running_outside == 0


def test_all_that_may_start_starts_at_once_but_what_speaks_is_alone(world: World) -> None:
    quiet, other, loud = Pending(starts=True), Pending(starts=True), Pending(starts=True)
    loud.speaks = True
    waiting = Waiting()
    for pending in (loud, quiet, other):
        waiting.add(pending)
    assert [world.scheduler.park(world.lanes.main, waiting) for _ in range(2)] == [[quiet, other], [loud]]


def test_the_end_of_one_wait_among_others_is_ordered(world: World) -> None:
    go, stay = Pending(key=("main", 1)), Pending(key=("main.1", 1))
    row: Row = {"lane": "main", "ord": 1, "kind": 6, "how": int(How.FIRED)}
    world.link.when_listening = [lambda: world.link.resolutions.update({("main", 1): row})]
    assert world.park(go, stay) == [go]
    assert go.row == row
    assert world.journal.orders == [("main", 1)]
    assert world.link.said == [{"t": "wait", "waits": [["main", 1], ["main.1", 1]], "busy": 0}]


def test_the_end_of_the_only_wait_needs_no_order(world: World) -> None:
    only = Pending(key=("main", 1))
    row: Row = {"lane": "main", "ord": 1, "kind": 6, "how": int(How.FIRED)}
    world.link.when_listening = [lambda: world.link.resolutions.update({("main", 1): row})]
    assert world.park(only) == [only]
    assert not world.journal.orders


def test_a_far_timer_is_the_coordinators_and_a_near_one_ours(world: World) -> None:
    due = time_us() + HOUR_US
    row: Row = {"lane": LANE, "ord": 1, "kind": 6, "how": int(How.FIRED), "at": due}
    world.link.when_listening = [lambda: world.link.resolutions.update({(LANE, 1): row})]
    assert world.park(deadline_us=due) == [None]
    assert world.armed == [((LANE, 1), due)]
    assert world.clock.now_us == due
    assert world.park(deadline_us=time_us() - 1) == [None]
    assert len(world.armed) == 1
    assert world.journal.orders == [(LANE, 1), (LANE, 2)]


def test_busy_sessions_are_not_suspended(world: World) -> None:
    outside, signal = Pending(outside=True), Pending(key=("main.1", 1))
    world.scheduler.started()
    world.link.when_listening = [lambda: world.scheduler.finished(outside)]
    assert world.park(outside, signal) == [outside]
    assert [said["busy"] for said in world.link.said] == [1]


def test_a_recorded_firing_comes_in_its_place() -> None:
    world = World([{"lane": "main", "ord": 1, "kind": 1}, {"lane": LANE, "ord": 1, "kind": int(Kind.ORDER)}])
    before, after = Pending(position=1), Pending(position=3)
    waiting = Waiting()
    waiting.add(before)
    waiting.add(after)
    waiting.deadline = 5.0
    assert [world.scheduler.park(world.lanes.main, waiting) for _ in range(2)] == [[before], [None]]
    assert (world.clock.now_us, world.journal.places) == (5_000_000, [1, 2])


def test_a_cancelled_timer_reaches_the_main_lane(world: World) -> None:
    row: Row = {"lane": LANE, "ord": 1, "kind": 6, "how": int(How.CANCELLED)}
    world.link.when_listening = [lambda: world.link.resolutions.update({(LANE, 1): row})]
    assert world.park(deadline_us=time_us() + HOUR_US) == [row]


def test_strands_take_turns(world: World) -> None:
    """Two threads: exactly one has the baton, and who is woken first goes on first."""
    said: list[str] = []
    other = Strand(world.lanes.main.lane.child())

    def run() -> None:
        world.lanes.enter(other)
        world.scheduler.begin(other)
        said.append("other")
        world.scheduler.wake(world.lanes.main)
        said.append("other still")
        world.scheduler.end(other)

    thread = threading.Thread(target=run)
    thread.start()
    world.scheduler.add(other)
    assert not world.scheduler.alone
    said.append("main")
    world.scheduler.park(world.lanes.main, Waiting())
    said.append("main again")
    thread.join()
    assert said == ["main", "other", "other still", "main again"]
    assert world.scheduler.alone


# ---- the history's part


def call(lane: str, ordinal: int, form: Form = Form.ACTIVITY) -> Call:
    return Call(lane, ordinal, form, "f", "")


def wait_rows(*after: Kind) -> History:
    history = History()
    history.add({"lane": "main", "ord": 1, "kind": int(Kind.WAIT), "wk": 1, "fn": "f"})
    for kind in after:
        history.add({"lane": "main", "ord": 1, "kind": int(kind), "how": 1})
    return history


def test_the_order_row_places_the_end_of_a_wait() -> None:
    timer = call("main", 1, Form.TIMER)
    assert isinstance(wait_rows().next(timer), Wait)
    resolved = wait_rows(Kind.RESOLVED).next(timer)
    assert isinstance(resolved, Resolved)
    assert resolved.position is None
    ordered = wait_rows(Kind.RESOLVED, Kind.ORDER).next(timer)
    assert isinstance(ordered, Resolved)
    assert (ordered.position, ordered.row["kind"]) == (3, Kind.RESOLVED)


def test_lanes_are_consumed_apart() -> None:
    history = History()
    for lane in ("main.1", "main.2"):
        history.add({"lane": lane, "ord": 1, "kind": int(Kind.ACTIVITY), "fn": "f"})
    assert isinstance(history.next(call("main.3", 1)), Run)
    second = history.next(call("main.2", 1))
    assert isinstance(second, Replay)
    assert second.position == 2
    assert (history.left("main.1"), history.left("main.2"), history.left("main.3")) == (1, 0, 0)


def test_what_is_played_ascends() -> None:
    history = History()
    assert history.in_order(3)
    assert history.in_order(5)
    assert not history.in_order(4)


def test_a_lane_that_only_runs_is_stuck_after_a_while() -> None:
    seen: list[object] = [None, 1, 1, 2, 2, 2]
    watch = Watch(iter(seen).__next__)
    assert [watch.is_stuck(now) for now in (0.0, 100.0, 159.0, 161.0, 200.0, 221.0)] == [False] * 5 + [True]

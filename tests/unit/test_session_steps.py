"""The session's state machine: its table is total, and its invariants hold whatever happens in whatever order."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from perdure_server.core import effects as fx
from perdure_server.core import events as ev
from perdure_server.core.session import TABLE, step
from perdure_server.core.state import ENDED, Ending, Phase, Resolving, Rules, Runner, SessionState, Stop, WaitPoint

RULES = Rules(suspend_after_s=1.0, max_crashes=3)
TIMER = WaitPoint("main", 1, fires_at_us=5_000_000)
SIGNAL = WaitPoint("main", 1, fires_at_us=0, signals=("go",))
CONCRETE = sorted(
    (c for c in vars(ev).values() if isinstance(c, type) and issubclass(c, ev.Event)), key=lambda c: c.__name__
)
EVENTS = [c for c in CONCRETE if c not in {ev.Event, ev.OfRunner}]


def kinds(effects: tuple[fx.Effect, ...]) -> list[str]:
    return [type(effect).__name__ for effect in effects]


def run(session: SessionState, *events: ev.Event) -> tuple[SessionState, list[str]]:
    names: list[str] = []
    for event in events:
        session, effects = step(session, event, RULES)
        names += kinds(effects)
    return session, names


def attached(**changes: object) -> SessionState:
    session, _ = run(SessionState(), ev.RunnerWanted(), ev.Placed(), ev.Attached(1))
    return dataclasses.replace(session, **changes)


def test_the_table_has_every_event_and_five_columns() -> None:
    assert set(TABLE) == set(EVENTS)
    assert {len(row) for row in TABLE.values()} == {5}


def test_a_session_runs_waits_suspends_wakes_and_completes() -> None:
    session, did = run(SessionState(), ev.RunnerWanted(), ev.Placed(), ev.Attached(1), ev.RecordsReceived(1, 1, 1, 1))
    assert did == ["Place", "SendHistory", "ArmStartTimeout", "ArmRunTime", "Append"]
    assert (session.phase, session.next_no, session.next_seq) == (Phase.RUNNING, 2, 2)
    session, did = run(session, ev.WaitBegan(1, (TIMER,), 0), ev.SuspendDue(), ev.Suspended(1))
    assert did == ["ArmTimer", "ArmSuspend", "SendSuspend", "ArmLeaveTimeout", "Persist", "Rest"]
    assert (session.phase, session.runner) == (Phase.WAITING, Runner.NONE)
    session, did = run(session, ev.TimerDue(5_000_000), ev.Resolved(), ev.Placed(), ev.Attached(2))
    assert did == ["Resolve", "Place", "SendHistory", "ArmStartTimeout", "ArmRunTime"]
    session, did = run(session, ev.DoneReceived(2, 1, Phase.COMPLETED))
    assert (session.phase, did) == (Phase.COMPLETED, ["Finish"])


def test_a_near_timer_does_not_suspend_unless_everything_does() -> None:
    near = WaitPoint("main", 1, fires_at_us=500_000)
    assert run(attached(), ev.WaitBegan(1, (near,), 0))[1] == ["ArmTimer"]
    always = step(attached(), ev.WaitBegan(1, (near,), 0), Rules(suspend_after_s=0))[1]
    assert kinds(always) == ["ArmTimer", "ArmSuspend"]
    assert kinds(step(attached(durable=False), ev.WaitBegan(1, (TIMER,), 0), RULES)[1]) == ["ArmTimer"]


def test_a_wait_that_ends_while_its_runner_leaves_is_placed_when_it_is_gone() -> None:
    session, _ = run(attached(), ev.WaitBegan(1, (SIGNAL,), 0), ev.SuspendDue())
    session, did = run(session, ev.SignalArrived("go"), ev.SignalArrived("go"), ev.Resolved())
    assert did == ["Resolve"]
    assert session.resolving is Resolving.DURABLE
    session, did = run(session, ev.Suspended(1))
    assert (session.phase, did) == (Phase.STARTING, ["Place"])


REQUEST = WaitPoint("main", 1, fires_at_us=0, request=True)
EVENT = WaitPoint("main", 1, fires_at_us=9_000_000, subscriptions=("main.1",))


def test_a_request_is_answered_at_once_and_suspends_nothing() -> None:
    session, did = run(attached(), ev.WaitBegan(1, (TIMER, REQUEST), 0))
    assert (session.phase, session.resolving, did) == (Phase.RUNNING, Resolving.APPENDING, ["Answer"])
    assert step(session, ev.SuspendDue(), RULES) == (session, ())
    session, did = run(session, ev.WaitBegan(1, (TIMER,), 0), ev.Resolved())
    assert did == ["SendResolved"]


def test_a_request_whose_runner_dies_is_answered_all_the_same() -> None:
    _session, did = run(attached(), ev.WaitBegan(1, (REQUEST,), 0), ev.RunnerLost(1, "oops"), ev.Resolved())
    assert did == ["Answer", "Place"]


def test_a_request_of_a_session_that_is_to_stop_is_not_done() -> None:
    session = attached(stop=Stop.ASKED)
    assert run(session, ev.WaitBegan(1, (REQUEST,), 0))[1] == ["Resolve"]


def test_an_event_ends_the_wait_that_it_was_found_for() -> None:
    session, _ = run(attached(), ev.WaitBegan(1, (EVENT,), 0))
    assert step(session, ev.EventFound("main", 2), RULES) == (session, ())
    _, effects = step(session, ev.EventFound("main", 1), RULES)
    assert effects == (fx.Resolve(EVENT, Ending.EVENT, session.next_seq),)
    _, effects = step(session, ev.TimerDue(9_000_000), RULES)
    assert effects == (fx.Resolve(EVENT, Ending.TIMED_OUT, session.next_seq),)


def test_a_wait_that_got_an_outcome_is_over_even_while_its_runner_leaves() -> None:
    session, _ = run(attached(), ev.WaitBegan(1, (EVENT,), 0), ev.SuspendDue())
    session, did = run(session, ev.RecordsReceived(1, 1, 1, 1, frozenset({("main", 1)})), ev.EventFound("main", 1))
    assert (session.waits, did) == ((), ["Append"])
    session, did = run(session, ev.Suspended(1))
    assert (session.phase, did) == (Phase.STARTING, ["Place"])


def test_a_signal_of_another_name_changes_nothing() -> None:
    session, _ = run(attached(), ev.WaitBegan(1, (SIGNAL,), 0))
    assert step(session, ev.SignalArrived("other"), RULES) == (session, ())


@pytest.mark.parametrize("wait", [TIMER, SIGNAL])
def test_a_polite_stop_cancels_a_wait_and_is_not_told_twice(wait: WaitPoint) -> None:
    session, _ = run(attached(), ev.WaitBegan(1, (wait,), 0))
    session, did = run(session, ev.StopRequested("enough"), ev.Resolved())
    assert did == ["Persist", "ArmGrace", "Resolve", "SendResolved"]
    session, did = run(session, ev.RunnerLost(1, "oops"), ev.Placed(), ev.Attached(2))
    assert "SendStop" not in did
    assert session.stop is Stop.RECORDED


def test_a_polite_stop_of_a_running_session_is_told_again_to_the_next_runner() -> None:
    session, did = run(attached(), ev.StopRequested("enough"), ev.RunnerLost(1, "oops"), ev.Placed(), ev.Attached(2))
    assert did.count("SendStop") == 2
    session, did = run(session, ev.GraceOver())
    assert (session.phase, did) == (Phase.STOPPED, ["Kill", "Finish"])


def test_a_session_that_never_ran_stops_at_once_and_an_ended_one_refuses() -> None:
    session, did = run(SessionState(), ev.RunnerWanted(), ev.StopRequested("no"))
    assert (session.phase, did) == (Phase.STOPPED, ["Place", "Finish"])
    _, effects = step(session, ev.StopRequested("again"), RULES)
    assert effects == (fx.Refuse("P0205", "the session has ended: stopped"),)


def test_what_keeps_runners_from_being_started_is_told_and_no_runner_is_said_to_have_died() -> None:
    """A host that cannot install the requirements, or fetch the build, says so; there was no process to exit."""
    session, effects = run(SessionState(), ev.RunnerWanted())[0], ()
    why = "the requirements cannot be installed: error: Failed to fetch ... dns error"
    for epoch in (1, 2, 3):
        session, _ = run(session, ev.Placed())
        session, effects = step(session, ev.RunnerLost(epoch, why), RULES)
    assert isinstance(effects[-1], fx.Finish)
    assert effects[-1].code == "P0604"
    assert effects[-1].message == f"no runner could be started, 3 times in a row; at last: {why}"


def test_runners_that_die_without_progress_are_tried_later_each_time_and_then_given_up() -> None:
    session, delays = attached(), []
    for epoch in (1, 2):
        session, effects = step(session, ev.RunnerLost(epoch, "boom", -11), RULES)
        delays += [effect.after_s for effect in effects if isinstance(effect, fx.Place)]
        session, _ = run(session, ev.Placed(), ev.Attached(epoch + 1))
    assert delays == [0.0, RULES.backoff_s]
    session, effects = step(session, ev.RunnerLost(3, "boom", -11), RULES)
    assert session.phase is Phase.FAILED
    assert isinstance(effects[-1], fx.Finish)
    assert effects[-1].code == "P0604"
    assert "exit code -11" in effects[-1].message


def test_a_host_that_has_no_room_counts_as_nobodys_death() -> None:
    session, _ = run(SessionState(), ev.RunnerWanted(), ev.Placed())
    for epoch in range(1, 20):
        session, effects = step(session, ev.RunnerLost(epoch, "the host is full", refused=True), RULES)
        assert effects == (fx.Place(RULES.backoff_s),)
        session, _ = run(session, ev.Placed())
    assert (session.phase, session.crashes) == (Phase.STARTING, 0)


def test_progress_forgives_earlier_deaths() -> None:
    session = attached()
    for epoch in range(1, 20):
        session, _ = run(session, ev.RecordsReceived(epoch, 1, 1, 1), ev.RunnerLost(epoch, "boom"))
        session, _ = run(session, ev.Placed(), ev.Attached(epoch + 1))
    assert (session.phase, session.crashes) == (Phase.RUNNING, 1)


def test_a_gap_in_the_numbers_kills_the_runner() -> None:
    session, did = run(attached(), ev.RecordsReceived(1, 2, 1, 1))
    assert (session.phase, did) == (Phase.STARTING, ["Kill", "Place"])


def test_what_an_older_runner_says_is_fenced() -> None:
    session, _ = run(attached(), ev.HostGone("cut"), ev.Placed())
    assert kinds(step(session, ev.RecordsReceived(1, 1, 1, 1), RULES)[1]) == ["Kill"]
    assert step(session, ev.DoneReceived(1, 1, Phase.COMPLETED), RULES) == (session, ())
    assert step(session, ev.RunnerLost(1, "late"), RULES) == (session, ())


def test_a_fault_that_trying_again_cannot_help_fails_with_its_code() -> None:
    session, effects = step(attached(), ev.RunnerLost(1, "memory", -9, "P0603", "too much"), RULES)
    assert session.phase is Phase.FAILED
    assert effects == (fx.Finish(Phase.FAILED, "P0603", "too much"),)


class Life(RuleBasedStateMachine):
    """Everything that can happen, at random, against a coordinator that does what the effects say."""

    def __init__(self) -> None:
        super().__init__()
        self.session = SessionState()
        self.now_us = 0
        self.wanted = 0  # placements asked for and not served
        self.appending = False  # a RESOLVED row is on its way
        self.owed = 0  # resolutions that are durable, and neither sent nor replayed
        self.suspend_armed = False
        self.graceful = False  # a grace period runs
        self.finished = 0
        self.highest_epoch = 0
        self.do(ev.RunnerWanted())

    def do(self, event: ev.Event) -> None:
        before = self.session
        self.session, effects = step(before, event, RULES)
        if before.phase.ended:
            assert self.session.phase is before.phase or self.session.phase.ended
            assert not [e for e in effects if not isinstance(e, fx.Kill | fx.Refuse)]
        assert self.session.epoch >= before.epoch
        for effect in effects:
            self.carry_out(effect, before)
        if self.session.phase is not Phase.WAITING:
            self.suspend_armed = False

    def carry_out(self, effect: fx.Effect, before: SessionState) -> None:
        match effect:
            case fx.Place():
                self.wanted += 1
                self.owed = 0  # the next runner reads it in the journal
            case fx.SendHistory(epoch):
                assert epoch > self.highest_epoch, "an epoch only rises"
                assert before.runner is Runner.WANTED, "never two runners"
                self.highest_epoch = epoch
            case fx.Resolve(_, _, seq) | fx.Answer(_, seq):
                assert not self.appending, "a wait ends once"
                assert seq == before.next_seq
                self.appending = True
            case fx.SendResolved():
                assert self.owed == 1, "what is sent is durable and was not sent before"
                self.owed = 0
            case fx.ArmSuspend():
                self.suspend_armed = True
            case fx.ArmGrace():
                self.graceful = True
            case fx.Finish(phase):
                assert phase in ENDED
                self.finished += 1

    @property
    def attached(self) -> bool:
        return self.session.runner in {Runner.ATTACHED, Runner.LEAVING}

    @precondition(lambda self: self.wanted)
    @rule()
    def host_has_room(self) -> None:
        self.wanted -= 1
        self.do(ev.Placed())

    @rule()
    def runner_attaches(self) -> None:
        self.do(ev.Attached(self.session.epoch))

    @rule(entries=st.integers(0, 2), stale=st.booleans(), gap=st.booleans(), over=st.integers(0, 2))
    def records(self, entries: int, stale: bool, gap: bool, over: int) -> None:
        number = self.session.next_no + (1 if gap else 0)
        calls = frozenset({("", over)} if over and self.session.waits else ())
        self.do(ev.RecordsReceived(self.session.epoch - stale, number, max(1, entries), entries, calls))

    @precondition(lambda self: self.session.runner is Runner.ATTACHED and self.session.phase is Phase.RUNNING)
    @rule(signal=st.booleans(), far=st.booleans(), several=st.booleans(), busy=st.booleans())
    def waits(self, signal: bool, far: bool, several: bool, busy: bool) -> None:
        deadline = 0 if signal else self.now_us + (10_000_000 if far else 1_000)
        wait = WaitPoint("", 1, deadline, ("go",) if signal else None)
        also = (WaitPoint("", 2, 0, ("x",)),) if several else ()
        self.do(ev.WaitBegan(self.session.epoch, (wait, *also), self.now_us, busy))

    @precondition(lambda self: self.session.runner is Runner.ATTACHED and self.session.phase is Phase.RUNNING)
    @rule(event=st.booleans(), busy=st.booleans())
    def waits_for_us(self, event: bool, busy: bool) -> None:
        wait = WaitPoint("", 1, 0, subscriptions=("main.1",)) if event else WaitPoint("", 1, 0, request=True)
        self.do(ev.WaitBegan(self.session.epoch, (wait,), self.now_us, busy))
        assert event or self.session.phase is not Phase.WAITING or self.session.stop is not Stop.NONE

    @rule(ordinal=st.integers(1, 3))
    def event_is_found(self, ordinal: int) -> None:
        self.do(ev.EventFound("", ordinal))

    @precondition(lambda self: self.appending)
    @rule()
    def resolution_commits(self) -> None:
        self.appending = False
        self.owed = 1
        self.do(ev.Resolved())

    @rule(us=st.integers(0, 20_000_000))
    def time_passes(self, us: int) -> None:
        self.now_us += us
        self.do(ev.TimerDue(self.now_us))

    @precondition(lambda self: self.suspend_armed)
    @rule()
    def waited_long_enough(self) -> None:
        self.suspend_armed = False
        self.do(ev.SuspendDue())

    @rule(
        make=st.sampled_from(
            [
                ev.Suspended,
                ev.LeaveTimeout,
                ev.StartTimeout,
                lambda epoch: ev.RunnerLost(epoch, "died", -9),
                lambda epoch: ev.RunTimeOver(epoch, "too long"),
            ]
        ),
        stale=st.booleans(),
    )
    def runner_goes(self, make: object, stale: bool) -> None:
        self.do(make(self.session.epoch - stale))  # type: ignore[operator]

    @rule(event=st.sampled_from([ev.HostGone("cut"), ev.SignalArrived("go"), ev.SignalArrived("x"), ev.Woken()]))
    def something_else(self, event: ev.Event) -> None:
        self.do(event)

    @rule(force=st.booleans())
    def somebody_stops_it(self, force: bool) -> None:
        self.do(ev.StopRequested("enough", force))

    @precondition(lambda self: self.session.runner in {Runner.PLACED, Runner.ATTACHED})
    @rule(phase=st.sampled_from(sorted(ENDED, key=lambda p: p.value)))
    def ends(self, phase: Phase) -> None:
        self.do(ev.DoneReceived(self.session.epoch, self.session.next_no, phase))

    @invariant()
    def is_consistent(self) -> None:
        s = self.session
        match s.phase:
            case Phase.CREATED:
                assert s.runner is Runner.WANTED
            case Phase.STARTING:
                assert s.runner in {Runner.WANTED, Runner.PLACED}
            case Phase.RUNNING:
                assert s.runner in {Runner.ATTACHED, Runner.LEAVING}
            case Phase.WAITING:
                assert s.waits
                assert s.runner in {Runner.NONE, Runner.ATTACHED, Runner.LEAVING}
            case _:
                assert s.runner is Runner.NONE
                assert self.finished == 1, "the end is stored once"
        assert self.wanted or s.runner is not Runner.WANTED, "who wants a runner is in the queue"

    @invariant()
    def no_resolution_is_lost(self) -> None:
        s = self.session
        if not s.phase.ended:
            assert (s.resolving is Resolving.APPENDING) == self.appending
            assert (s.resolving is Resolving.DURABLE) == bool(self.owed)

    @invariant()
    def nothing_waits_in_a_process_for_ever(self) -> None:
        s = self.session
        if s.phase is Phase.WAITING and s.runner is Runner.ATTACHED and s.resolving is Resolving.NO:
            first = s.first_due()
            soon = first and first.fires_at_us <= self.now_us + 20_000_000
            assert self.suspend_armed or soon

    def teardown(self) -> None:
        """A stop ends every session, whatever state it is in."""
        if not self.session.phase.ended:
            self.do(ev.StopRequested("the end"))
            self.do(ev.GraceOver())
        assert self.session.phase.ended
        assert self.finished == 1


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)

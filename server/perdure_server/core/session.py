"""The life of a session as one pure function: `step(session, event, rules) -> (session, effects)`.

Nothing else moves a session. The coordinator turns what happens (messages, commits, timers, requests) into events and
does what the effects say. `TABLE`, at the end, is the whole machine: one row an event, one column a phase.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from perdure_server.core import effects as fx
from perdure_server.core import events as ev
from perdure_server.core.state import PRESENT, Ending, Phase, Resolving, Rules, Runner, SessionState, Stop, WaitPoint

Result = tuple[SessionState, tuple[fx.Effect, ...]]
Transition = Callable[[SessionState, Any, Rules], Result]


def step(session: SessionState, event: ev.Event, rules: Rules) -> Result:
    """What `event` makes of `session`, and what has to be done about it. Total: every pair is defined."""
    if isinstance(event, ev.OfRunner) and event.epoch != session.epoch:
        return session, (fx.Kill(event.epoch, "fenced: another runner has the session"),) if event.lives else ()
    return TABLE[type(event)][_COLUMN[session.phase]](session, event, rules)


# Answers that change nothing.


def _ignore(session: SessionState, _event: ev.Event, _rules: Rules) -> Result:
    return session, ()


def _stray(session: SessionState, event: ev.OfRunner, _rules: Rules) -> Result:
    """A live runner of a session that has no use for one."""
    return session, (fx.Kill(event.epoch, "the session has no use for this runner"),)


def _ended(session: SessionState, _event: ev.Event, _rules: Rules) -> Result:
    return session, (fx.Refuse("P0205", f"the session has ended: {session.phase.value}"),)


def _no_wait(session: SessionState, _event: ev.Event, _rules: Rules) -> Result:
    return session, (fx.Refuse("P0214", f"the session waits for no timer: it is {session.phase.value}"),)


# Placement.


def _want_runner(session: SessionState, _event: ev.Event, rules: Rules) -> Result:
    if session.runner is not Runner.NONE:
        return session, ()
    return _place(session, rules)


def _place(session: SessionState, _rules: Rules, after_s: float = 0.0) -> Result:
    phase = Phase.CREATED if session.phase is Phase.CREATED else Phase.STARTING
    wanted = replace(session, phase=phase, runner=Runner.WANTED, waits=(), resolving=Resolving.NO)
    return wanted, (fx.Place(after_s),)


def _placed(session: SessionState, _event: ev.Placed, rules: Rules) -> Result:
    if session.runner is not Runner.WANTED:
        return session, ()
    epoch = session.epoch + 1
    placed = replace(
        session, phase=Phase.STARTING, runner=Runner.PLACED, epoch=epoch, next_no=1, placed_seq=session.next_seq
    )
    return placed, (fx.SendHistory(epoch), fx.ArmStartTimeout(rules.start_timeout_s))


def _attached(session: SessionState, event: ev.Attached, rules: Rules) -> Result:
    if session.runner is not Runner.PLACED:
        return _stray(session, event, rules)
    running = replace(session, phase=Phase.RUNNING, runner=Runner.ATTACHED)
    if running.stop is not Stop.ASKED:
        return running, (fx.ArmRunTime(),)
    running, effects = _tell_stop(running)
    return running, (fx.ArmRunTime(), *effects)


def _start_timeout(session: SessionState, event: ev.StartTimeout, rules: Rules) -> Result:
    if session.runner is not Runner.PLACED:
        return session, ()
    lost = ev.RunnerLost(event.epoch, f"it did not come up within {rules.start_timeout_s:g} s")
    session, effects = _lost(session, lost, rules)
    return session, (fx.Kill(event.epoch, lost.reason), *effects)


# Records. A runner may speak before it attaches: code at the level of the module runs under the same rules.


def _records(session: SessionState, event: ev.RecordsReceived, rules: Rules) -> Result:
    if session.runner not in PRESENT:
        return _stray(session, event, rules)
    if event.first_no != session.next_no:
        reason = f"record {event.first_no} came where {session.next_no} was due"
        return _misbehaved(session, ev.Misbehaved(event.epoch, reason), rules)
    first_seq = session.next_seq
    after = replace(session, next_no=session.next_no + event.records, next_seq=first_seq + event.entries)
    if event.over:
        left = tuple(wait for wait in session.waits if (wait.lane, wait.ordinal) not in event.over)
        after = replace(after, waits=left, phase=Phase.RUNNING)  # until it says anew what it waits for
    return after, (fx.Append(first_seq),)


def _committed(session: SessionState, event: ev.Committed, _rules: Rules) -> Result:
    return session, (fx.Acknowledge(event.no),) if session.runner in PRESENT else ()


def _misbehaved(session: SessionState, event: ev.Misbehaved, rules: Rules) -> Result:
    session, effects = _lost(session, ev.RunnerLost(event.epoch, event.reason), rules)
    return session, (fx.Kill(event.epoch, event.reason), *effects)


def _doomed(session: SessionState, event: ev.Doomed, _rules: Rules) -> Result:
    return _finish(session, Phase.FAILED, event.code, event.message)


# Waiting.


def _wait_began(session: SessionState, event: ev.WaitBegan, rules: Rules) -> Result:
    if session.runner is not Runner.ATTACHED:
        return (session, ()) if session.runner is Runner.LEAVING else _stray(session, event, rules)
    waiting = replace(session, waits=event.waits)
    request = waiting.request()
    waiting = replace(waiting, phase=Phase.RUNNING if event.busy or request else Phase.WAITING)
    if waiting.resolving is not Resolving.NO:
        return waiting, ()  # what ended is on its way to the runner, which then speaks again
    if not event.waits:
        return replace(session, waits=()), ()
    if waiting.stop is Stop.ASKED:
        return _cancel_wait(waiting)
    if request:
        seq = waiting.next_seq
        return replace(waiting, resolving=Resolving.APPENDING, next_seq=seq + 1), (fx.Answer(request, seq),)
    first = waiting.first_due()
    effects: list[fx.Effect] = [fx.ArmTimer(first.fires_at_us)] if first else []
    near = first and first.fires_at_us <= event.now_us + rules.suspend_after_s * 1e6
    if waiting.durable and not near and not event.busy:
        effects.append(fx.ArmSuspend(rules.suspend_after_s))
    return waiting, tuple(effects)


def _resolve(session: SessionState, wait: WaitPoint, ending: Ending) -> Result:
    if session.resolving is not Resolving.NO:
        return session, ()
    seq = session.next_seq
    return replace(session, resolving=Resolving.APPENDING, next_seq=seq + 1), (fx.Resolve(wait, ending, seq),)


def _timer_due(session: SessionState, event: ev.TimerDue, _rules: Rules) -> Result:
    wait = session.first_due()
    if wait is None:
        return session, ()
    if event.now_us < wait.fires_at_us:
        return session, (fx.ArmTimer(wait.fires_at_us),)
    return _resolve(session, wait, wait.at_deadline)


def _signal(session: SessionState, event: ev.SignalArrived, _rules: Rules) -> Result:
    taker = next((wait for wait in session.waits if wait.takes(event.name)), None)
    return _resolve(session, taker, Ending.SIGNALLED) if taker else (session, ())


def _event_found(session: SessionState, event: ev.EventFound, _rules: Rules) -> Result:
    taker = next((wait for wait in session.waits if (wait.lane, wait.ordinal) == (event.lane, event.ordinal)), None)
    return _resolve(session, taker, Ending.EVENT) if taker else (session, ())


def _woken(session: SessionState, event: ev.Woken, rules: Rules) -> Result:
    wait = session.first_due()
    return _resolve(session, wait, wait.at_deadline) if wait else _no_wait(session, event, rules)


def _cancel_wait(session: SessionState) -> Result:
    """The first of the waits is the main lane's, if that one waits."""
    session, effects = _resolve(session, session.waits[0], Ending.CANCELLED)
    return (replace(session, stop=Stop.RECORDED) if effects else session), effects


def _resolved(session: SessionState, _event: ev.Resolved, rules: Rules) -> Result:
    if session.resolving is not Resolving.APPENDING:
        return session, ()
    match session.runner:
        case Runner.ATTACHED:
            running = replace(session, phase=Phase.RUNNING, waits=(), resolving=Resolving.NO)
            if running.stop is not Stop.ASKED:
                return running, (fx.SendResolved(),)
            running, effects = _tell_stop(running)
            return running, (fx.SendResolved(), *effects)
        case Runner.LEAVING:
            return replace(session, resolving=Resolving.DURABLE), ()
        case _:
            return _place(session, rules)


# Leaving.


def _suspend_due(session: SessionState, _event: ev.SuspendDue | ev.RunTimeOver, rules: Rules) -> Result:
    if session.runner is not Runner.ATTACHED or session.resolving is not Resolving.NO:
        return session, ()
    leaving = replace(session, runner=Runner.LEAVING)
    return leaving, (fx.SendSuspend(), fx.ArmLeaveTimeout(rules.leave_timeout_s))


def _suspended(session: SessionState, event: ev.Suspended, rules: Rules) -> Result:
    if session.runner is Runner.LEAVING:
        return _left(session, rules)
    return _lost(session, ev.RunnerLost(event.epoch, "it left without being asked to"), rules)


def _leave_timeout(session: SessionState, event: ev.LeaveTimeout, rules: Rules) -> Result:
    if session.runner is not Runner.LEAVING:
        return session, ()
    session, effects = _left(session, rules)
    return session, (fx.Kill(event.epoch, "it did not leave when asked to suspend"), *effects)


def _left(session: SessionState, rules: Rules) -> Result:
    """A waiting session has no runner any more, or one that went on while it was asked to leave."""
    session = replace(session, runner=Runner.NONE)
    match session.resolving:
        case Resolving.NO if session.phase is not Phase.WAITING:
            return _place(session, rules)
        case Resolving.NO:
            return session, (fx.Persist(), fx.Rest())
        case Resolving.APPENDING:
            return session, ()
        case Resolving.DURABLE:
            return _place(session, rules)


# Losing.


def _lost(session: SessionState, event: ev.RunnerLost, rules: Rules) -> Result:
    if session.runner not in PRESENT:
        return session, ()
    started = session.runner is not Runner.PLACED or session.next_no > 1
    session = replace(session, runner=Runner.NONE, stop=Stop.ASKED if session.stop is Stop.SENT else session.stop)
    if event.fatal or event.code:
        return _finish(session, Phase.FAILED, event.code or "P0604", event.message or event.reason)
    if not session.durable and started:
        return _finish(
            session, Phase.FAILED, "P0604", f"the runner of a session without a journal died: {event.reason}"
        )
    if session.phase is Phase.WAITING or session.resolving is Resolving.APPENDING:
        return _left(replace(session, phase=Phase.WAITING), rules)
    if event.refused and not started:
        return _place(session, rules, rules.backoff_s)  # no runner died
    crashes = 1 if session.next_seq > session.placed_seq else session.crashes + 1
    if crashes >= rules.max_crashes:
        if started or event.exit_code:
            why = f"the runner died {crashes} times without a new entry"
            last = f"{event.reason}, exit code {event.exit_code}"
        else:  # what it needs could not be had: its requirements, its build, a process
            why, last = f"no runner could be started, {crashes} times in a row", event.reason
        return _finish(session, Phase.FAILED, "P0604", f"{why}; at last: {last}")
    delay = 0.0 if crashes == 1 else min(rules.backoff_s * 2 ** (crashes - 2), rules.backoff_max_s)
    return _place(replace(session, crashes=crashes), rules, delay)


def _host_gone(session: SessionState, _event: ev.HostGone, rules: Rules) -> Result:
    """Like the loss of a runner, but no fault of the session's."""
    if session.runner not in PRESENT:
        return session, ()
    session = replace(session, runner=Runner.NONE, stop=Stop.ASKED if session.stop is Stop.SENT else session.stop)
    if not session.durable:
        return _finish(session, Phase.FAILED, "P0604", "the host of a session without a journal is gone")
    if session.phase is Phase.WAITING or session.resolving is Resolving.APPENDING:
        return _left(replace(session, phase=Phase.WAITING), rules)
    return _place(session, rules)


def _forget(session: SessionState, event: ev.Fenced | ev.StorageFailed, _rules: Rules) -> Result:
    kill = _kill(session, "its records could not be stored")
    code, message = (event.code, event.message) if isinstance(event, ev.StorageFailed) else ("", "fenced")
    return replace(session, runner=Runner.NONE), (*kill, fx.Forget(code, message))


# Stopping and ending.


def _stop(session: SessionState, event: ev.StopRequested, _rules: Rules) -> Result:
    never_ran = session.epoch == 0
    if event.force or never_ran:
        return _finish(replace(session, stop_reason=event.reason), Phase.STOPPED)
    if session.stop is not Stop.NONE:
        return session, ()
    asked = replace(session, stop=Stop.ASKED, stop_reason=event.reason)
    effects: tuple[fx.Effect, ...] = ()
    if asked.phase is Phase.WAITING:
        asked, effects = _cancel_wait(asked)
    elif asked.runner is Runner.ATTACHED:
        asked, effects = _tell_stop(asked)
    return asked, (fx.Persist(), fx.ArmGrace(event.grace_s), *effects)


def _tell_stop(session: SessionState) -> Result:
    return replace(session, stop=Stop.SENT), (fx.SendStop(session.stop_reason),)


def _grace_over(session: SessionState, _event: ev.GraceOver, _rules: Rules) -> Result:
    if session.stop is Stop.NONE:
        return session, ()
    return _finish(session, Phase.STOPPED, "P0605", "user code did not end within the grace period of the stop")


def _run_time_over(session: SessionState, event: ev.RunTimeOver, rules: Rules) -> Result:
    """One that only waits has nothing to be failed for: it leaves, and its next runner has the whole time again."""
    if session.runner is not Runner.ATTACHED:
        return session, ()
    if session.durable and session.phase is Phase.WAITING and session.resolving is Resolving.NO:
        return _suspend_due(session, event, rules)
    return _finish(session, Phase.FAILED, "P0608", event.message)


def _done(session: SessionState, event: ev.DoneReceived, rules: Rules) -> Result:
    if session.runner not in PRESENT:
        return session, ()
    if event.no != session.next_no:
        return _misbehaved(
            session, ev.Misbehaved(event.epoch, f"the end came as record {event.no}, {session.next_no} was due"), rules
        )
    ended = replace(session, phase=event.phase, runner=Runner.NONE, next_no=event.no + 1, waits=())
    return ended, (fx.Finish(event.phase),)


def _finish(session: SessionState, phase: Phase, code: str = "", message: str = "") -> Result:
    kill = _kill(session, message or session.stop_reason)
    ended = replace(session, phase=phase, runner=Runner.NONE, waits=())
    return ended, (*kill, fx.Finish(phase, code, message))


def _kill(session: SessionState, reason: str) -> tuple[fx.Effect, ...]:
    return (fx.Kill(session.epoch, reason),) if session.runner in PRESENT else ()


_COLUMN: Final = {Phase.CREATED: 0, Phase.STARTING: 1, Phase.RUNNING: 2, Phase.WAITING: 3} | dict.fromkeys(
    (Phase.COMPLETED, Phase.FAILED, Phase.STOPPED, Phase.DIVERGED), 4
)

# fmt: off
TABLE: Final[dict[type[ev.Event], tuple[Transition, ...]]] = {
    #                    created        starting        running         waiting         ended
    ev.RunnerWanted:    (_want_runner,  _want_runner,   _want_runner,   _ignore,        _ignore),
    ev.Placed:          (_placed,       _placed,        _ignore,        _ignore,        _ignore),
    ev.StartTimeout:    (_ignore,       _start_timeout, _ignore,        _ignore,        _ignore),
    ev.Attached:        (_stray,        _attached,      _stray,         _stray,         _stray),
    ev.RecordsReceived: (_stray,        _records,       _records,       _records,       _stray),
    ev.Committed:       (_ignore,       _committed,     _committed,     _committed,     _ignore),
    ev.WaitBegan:       (_stray,        _stray,         _wait_began,    _wait_began,    _stray),
    ev.Resolved:        (_ignore,       _ignore,        _resolved,      _resolved,      _ignore),
    ev.TimerDue:        (_ignore,       _ignore,        _timer_due,     _timer_due,     _ignore),
    ev.SignalArrived:   (_ignore,       _ignore,        _signal,        _signal,        _ended),
    ev.EventFound:      (_ignore,       _ignore,        _event_found,   _event_found,   _ignore),
    ev.Woken:           (_no_wait,      _no_wait,       _woken,         _woken,         _ended),
    ev.SuspendDue:      (_ignore,       _ignore,        _ignore,        _suspend_due,   _ignore),
    ev.Suspended:       (_ignore,       _suspended,     _suspended,     _suspended,     _ignore),
    ev.LeaveTimeout:    (_ignore,       _ignore,        _leave_timeout, _leave_timeout, _ignore),
    ev.RunnerLost:      (_ignore,       _lost,          _lost,          _lost,          _ignore),
    ev.HostGone:        (_ignore,       _host_gone,     _host_gone,     _host_gone,     _ignore),
    ev.Misbehaved:      (_stray,        _misbehaved,    _misbehaved,    _misbehaved,    _stray),
    ev.DoneReceived:    (_ignore,       _done,          _done,          _done,          _ignore),
    ev.Doomed:    (_doomed,        _doomed,         _doomed,         _doomed,         _ignore),
    ev.StopRequested:   (_stop,         _stop,          _stop,          _stop,          _ended),
    ev.RunTimeOver:     (_ignore,       _ignore,        _run_time_over, _run_time_over, _ignore),
    ev.GraceOver:       (_ignore,       _grace_over,    _grace_over,    _grace_over,    _ignore),
    ev.Fenced:          (_forget,       _forget,        _forget,        _forget,        _forget),
    ev.StorageFailed:   (_forget,       _forget,        _forget,        _forget,        _forget),
}
# fmt: on

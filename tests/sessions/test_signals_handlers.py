"""Signal handlers of user code, in real sessions: repeated where they can be, refused where they cannot."""

import os
import re
import signal

import perdure
import pytest
from perdure import testing


@perdure.activity
def note(text):
    return text


class Late(Exception):
    pass


def handling(_event):
    seen = []

    def handler(number, frame):
        seen.append([note(signal.Signals(number).name), frame.f_code.co_name])

    before = signal.signal(signal.SIGUSR2, handler)
    assert signal.getsignal(signal.SIGUSR2) is handler
    signal.raise_signal(signal.SIGUSR2)
    seen.append(note("after"))
    assert signal.signal(signal.SIGUSR2, before) is handler
    return seen


@perdure.activity
def kill(number):
    os.kill(os.getpid(), number)


@perdure.activity
def patient():
    before = signal.signal(signal.SIGALRM, lambda *_: be_late())
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    try:
        while True:  # pause() would wait for another one, if this one came just before it
            pass
    finally:
        signal.signal(signal.SIGALRM, before)


def be_late():
    raise Late


def raising(_event):
    def handler(_number, _frame):
        raise Late("too late")

    signal.signal(signal.SIGUSR2, handler)
    caught = []
    for f, args in ((kill, (signal.SIGUSR2,)), (patient, ())):
        try:
            f(*args)
        except Late as error:
            caught.append(str(error))
    return caught


def killed(_event):
    signal.signal(signal.SIGUSR2, lambda *_: None)
    kill(signal.SIGUSR2)
    return note("never")


def stealing(_event):
    signal.signal(signal.SIGUSR1, lambda *_: None)


def alarming(_event):
    signal.alarm(0)
    signal.alarm(5)


def routed(_event):
    signal.signal(signal.SIGUSR2, notice)
    signal.raise_signal(signal.SIGUSR2)


@perdure.activity
def notice(number, _frame):
    return number


@pytest.mark.parametrize("entry", range(5))
def test_a_signal_that_code_raises_itself_is_handled_where_it_was(entry):
    outcome = testing.run(handling, crash_after=entry or None)
    assert outcome.result == [["SIGUSR2", "handling"], "after"]
    assert outcome.functions() == ["test_signals_handlers.note"] * 2


@pytest.mark.parametrize("entry", range(5))
def test_a_handler_that_raises_in_an_activity_decides_its_outcome(entry):
    assert testing.run(raising, crash_after=entry or None).result == ["too late", ""]


@pytest.mark.parametrize(
    ("handler", "says"),
    [(killed, "SIGUSR2 came at a moment"), (stealing, "SIGUSR1 is how"), (alarming, r"signal.alarm\(\) sends")],
)
def test_what_cannot_be_repeated_is_refused(handler, says):
    outcome = testing.run(handler)
    assert outcome.state == "failed"
    assert re.match(f"perdure.ConcurrencyError: {says}", outcome.error)


def test_a_handler_that_is_an_activity_is_recorded():
    assert testing.run(routed).functions() == ["test_signals_handlers.notice"]

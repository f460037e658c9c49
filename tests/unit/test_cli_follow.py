"""Following a session: Ctrl-C leaves it, failures are raised, every line is shown once."""

import asyncio
import datetime as dt
import os
import signal
from collections.abc import AsyncIterator

import cli_samples as samples
import pytest
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_server.cli import render
from perdure_server.cli.follow import Follower, Left, attend
from perdure_server.cli.interrupts import until_interrupted
from perdure_server.cli.main import EXIT_INTERRUPTED
from perdure_server.core.errors import PerdureError


class Endless(samples.FakeControl):
    """A session that says one line and then runs on; the test is told when it has come to that."""

    def __init__(self) -> None:
        super().__init__(sessions=[samples.session("running")])
        self.said = asyncio.Event()

    async def watch_session(self, request: control.WatchSessionRequest) -> AsyncIterator[control.SessionUpdate]:
        yield control.SessionUpdate(log=samples.line(0, 0, "begun"))
        self.said.set()
        await asyncio.Event().wait()


async def interrupt(after: asyncio.Event, number: int) -> None:
    await after.wait()
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_an_interrupt_leaves_the_session_and_says_how_to_go_on(
    number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    remote = Endless()
    killer = asyncio.create_task(interrupt(remote.said, number))
    assert await attend(Follower(remote, "s1"), False, "perdure resume s1") == EXIT_INTERRUPTED
    await killer
    out, err = capsys.readouterr()
    assert out == "begun\n"
    assert err == "interrupted; session s1 can go on: perdure resume s1\n"


async def test_what_goes_wrong_while_following_is_raised() -> None:
    async def fails() -> None:
        raise PerdureError("P0207", "gone")

    with pytest.raises(PerdureError, match="gone"):
        await until_interrupted(fails())


async def test_lines_shown_before_are_not_shown_again(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [samples.line(0, 0, "a"), samples.line(1, 0, "b"), samples.line(1, 1, "c")]
    remote = samples.FakeControl(logs=lines[:2], updates=[control.SessionUpdate(log=line) for line in lines])
    assert await Follower(remote, "s1", after=(1, 0)).follow() is Left.ENDED
    assert capsys.readouterr().out == "c\n"


async def test_lines_from_before_the_watching_are_shown_too(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [samples.line(0, 0, "a"), samples.line(1, 0, "b")]
    updates = [control.SessionUpdate(session=samples.session("running")), control.SessionUpdate(log=lines[1])]
    await Follower(samples.FakeControl(logs=lines, updates=updates), "s1").follow()
    assert capsys.readouterr().out == "a\nb\n"


async def test_only_long_waits_are_spoken_of_each_once(capsys: pytest.CaptureFixture[str]) -> None:
    now = dt.datetime(2026, 11, 18, tzinfo=dt.UTC)

    def waits(seconds: float) -> control.SessionUpdate:
        at_us = int((now.timestamp() + seconds) * 1e6)
        wait = journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=at_us)
        return control.SessionUpdate(session=samples.session("waiting", waiting_for=wait))

    remote = samples.FakeControl(updates=[waits(0.5), waits(3600), waits(3600)])
    await Follower(remote, "s1", notice_s=2.0, now=lambda: now).follow()
    assert capsys.readouterr().err == "waiting for a timer, until 2026-11-18 01:00:00 UTC (in 60 min)\n"


async def test_a_wait_is_spoken_of_again_when_the_session_has_done_something(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The rows of a wait may become known after the wait; being suspended is no new wait, nor is being resumed."""

    def told(state: str, entries: int) -> control.SessionUpdate:
        wait = journal.Wait(kind=journal.WAIT_KIND_SIGNAL, names=["go"]) if state == "waiting" else None
        session = samples.session(state, waiting_for=wait)
        session.entries = entries
        return control.SessionUpdate(session=session)

    once = [told("waiting", 2), told("waiting", 3), told("starting", 3), told("running", 3), told("waiting", 3)]
    again = [told("running", 4), told("waiting", 6)]
    await Follower(samples.FakeControl(updates=once), "s1").follow()
    assert capsys.readouterr().err == "waiting for a signal named go, for as long as it takes\n"
    await Follower(samples.FakeControl(updates=[*once, *again]), "s1").follow()
    assert capsys.readouterr().err == "waiting for a signal named go, for as long as it takes\n" * 2


async def test_that_no_host_takes_it_up_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    said: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(render, "say", said.put_nowait)

    class Unplaced(samples.FakeControl):
        async def watch_session(self, request: control.WatchSessionRequest) -> AsyncIterator[control.SessionUpdate]:
            yield control.SessionUpdate(session=samples.session("created"))
            assert "waiting for a host" in await said.get()
            yield control.SessionUpdate(session=samples.session("completed"))

    assert await Follower(Unplaced(), "s1", notice_s=0.0).follow() is Left.ENDED


@pytest.mark.parametrize(("state", "quiet"), [("running", False), ("created", True)])
async def test_that_it_has_a_host_is_not_said(state: str, quiet: bool, capsys: pytest.CaptureFixture[str]) -> None:
    follower = Follower(samples.FakeControl(), "s1", quiet=quiet)
    follower._session(samples.session(state))
    follower._unplaced()
    assert capsys.readouterr().err == ""

"""Which of several sessions that all wait goes on next, under `perdure check`: the one whose time would come first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import cli_samples as samples
import pytest
from perdure_proto.v1 import control_pb2 as control
from perdure_proto.v1 import journal_pb2 as journal
from perdure_server.cli import skipping
from perdure_server.cli.skipping import Family, Skipping
from perdure_server.core.errors import PerdureError

NOW_US = samples.T0
HOUR_US = 3_600 * samples.SECOND
CHILD = "ses_1"


def timer(seconds: float) -> journal.Wait:
    return journal.Wait(kind=journal.WAIT_KIND_TIMER, fires_at_us=NOW_US + int(seconds * samples.SECOND))


def signal(*names: str, seconds: float | None = None) -> journal.Wait:
    fires = 0 if seconds is None else NOW_US + int(seconds * samples.SECOND)
    return journal.Wait(kind=journal.WAIT_KIND_SIGNAL, names=names, fires_at_us=fires)


def parent(wait: journal.Wait, entries: int = 1) -> control.Session:
    session = samples.session("waiting", "root", waiting_for=wait)
    session.entries = entries
    return session


def child(wait: journal.Wait, entries: int = 1, session_id: str = CHILD) -> control.Session:
    session = samples.session("waiting", session_id, parent_id="root", waiting_for=wait)
    session.entries = entries
    return session


def told(request: control.SignalSessionRequest | None) -> tuple[str, str]:
    assert request is not None
    return request.session_id, "wake" if request.wake else request.name


def test_the_first_time_that_comes_ends_the_first_wait() -> None:
    order = Skipping({})
    waits = [parent(signal("ready", seconds=7200)), child(timer(3600))]
    assert told(order.next(waits, NOW_US)) == (CHILD, "wake")


def test_what_was_skipped_has_passed() -> None:
    """The child sleeps twice for an hour; its parent waits for one and a half."""
    order = Skipping({})
    waiting = parent(signal("ready", seconds=5400))
    assert told(order.next([waiting, child(timer(3600))], NOW_US)) == (CHILD, "wake")
    again = child(timer(3601), entries=2)  # begun a second later, as clocks go
    assert told(order.next([waiting, again], NOW_US + samples.SECOND)) == ("root", "wake")


def test_nobody_is_skipped_while_a_short_delay_takes_its_time() -> None:
    order = Skipping({})
    assert order.next([parent(timer(3600)), child(timer(0.5))], NOW_US) is None
    assert order.next([parent(timer(3600)), child(signal("go", seconds=0.5))], NOW_US) is None
    assert order.next([child(timer(0.5))], NOW_US) is None
    assert told(order.next([child(signal("go", seconds=0.5))], NOW_US)) == (CHILD, "wake")


def test_who_looks_again_and_again_is_not_waited_for() -> None:
    order = Skipping({})
    waiting = parent(timer(3600))
    looks = [order.next([waiting, child(timer(0.5), entries=n)], NOW_US) for n in range(50)]
    first = next(look for look in looks if look is not None)
    assert told(first) == ("root", "wake")
    assert looks.index(first) > 10


def test_signals_that_are_given_come_at_once() -> None:
    order = Skipping({"go": b"1"})
    waits = [parent(signal(f"{CHILD}")), child(signal("go", seconds=10))]
    assert told(order.next(waits, NOW_US)) == (CHILD, "go")
    assert told(order.next([parent(signal("go"))], NOW_US)) == ("root", "go")


@pytest.mark.parametrize(
    ("waits", "says"),
    [
        ([parent(signal("ready"))], "the handler waits for ready"),
        ([parent(signal(CHILD)), child(signal("go"))], "main.py:main, which the handler has started, waits for go"),
        ([parent(signal("a", "b")), child(signal("go"))], "the handler waits for a or b, which none of the sessions"),
        ([parent(journal.Wait(kind=journal.WAIT_KIND_EVENT, names=[".1"]))], "nothing happens outside"),
    ],
)
def test_what_nobody_brings_is_told(waits: list[control.Session], says: str) -> None:
    with pytest.raises(PerdureError, match=says):
        Skipping({}).next(waits, NOW_US)


class Two(samples.FakeControl):
    """A parent that waits for its child's signal, and the child, which sends it when it is woken."""

    def __init__(self, *, sends: bool) -> None:
        self.child_waits = signal("go") if not sends else timer(1e9)
        super().__init__(sessions=[child(self.child_waits), parent(signal("ready"))])
        self.ended = asyncio.Event()

    async def watch_session(self, request: control.WatchSessionRequest) -> AsyncIterator[control.SessionUpdate]:
        yield control.SessionUpdate(session=next(s for s in self.sessions if s.session_id == request.session_id))
        await self.ended.wait()

    async def signal_session(self, request: control.SignalSessionRequest) -> control.SignalSessionResponse:
        self.ended.set()
        return await super().signal_session(request)


@pytest.fixture
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skipping, "_SETTLING_S", 0.0)
    monkeypatch.setattr(skipping, "_STUCK_S", 0.0)


@pytest.mark.usefixtures("_hasty")
async def test_a_child_is_woken_that_nobody_waits_for_by_name() -> None:
    remote = Two(sends=True)
    await Family(remote, "root", Skipping({})).end()
    asked = [told(each) for each in remote.asked if isinstance(each, control.SignalSessionRequest)]
    assert asked == [(CHILD, "wake")]


@pytest.mark.usefixtures("_hasty")
async def test_a_family_in_which_all_wait_for_each_other_is_told() -> None:
    with pytest.raises(PerdureError, match="the handler waits for ready, which none of the sessions here sends"):
        await Family(Two(sends=False), "root", Skipping({})).end()

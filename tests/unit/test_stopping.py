"""A stop, and the reason that user code is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import perdure
import pytest
from perdure_runner.child.stopping import Stop


class FakeLink:
    """The frame with the reason is in the socket: the host sends it before the signal."""

    def __init__(self) -> None:
        self.stop_asked = False
        self.stop_reason: str | None = None
        self.guard = SimpleNamespace(postpone=lambda _later: False)

    def poll(self) -> None:
        self.stop_reason = "closing time"


@pytest.fixture(name="stop")
def stop_fixture() -> Iterator[Stop]:
    lane = SimpleNamespace(stopped=False)
    lanes: Any = SimpleNamespace(current=lambda: lane, strand=lambda: lane, main=lane, hear_of_stop=lambda: None)
    before = signal.getsignal(signal.SIGUSR1)
    yield Stop(FakeLink(), lanes)  # type: ignore[arg-type]
    signal.signal(signal.SIGUSR1, before)


def test_an_activity_that_a_stop_interrupts_says_why(stop: Stop) -> None:
    with pytest.raises(perdure.Cancelled, match="closing time"), stop.may_interrupt():
        os.kill(os.getpid(), signal.SIGUSR1)


def test_one_that_begins_between_the_signal_and_the_reason_does_too(stop: Stop) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    with pytest.raises(perdure.Cancelled, match="closing time"), stop.may_interrupt():
        pytest.fail("it began")


def test_what_the_journal_has_is_said_again(stop: Stop) -> None:
    assert stop.cancelled("as it was").args == ("as it was",)

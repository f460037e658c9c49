"""A host's lease: from the sending of the newest heartbeat that was answered."""

from __future__ import annotations

import pytest
from perdure_runner.host import lease as module
from perdure_runner.host.lease import Lease
from perdure_server.coordinator.settings import Settings


@pytest.fixture(name="clock")
def clock_fixture(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module, "_now", lambda: now[0])
    return now


def test_it_counts_from_the_sending_not_from_the_answer(clock: list[float]) -> None:
    lease = Lease()
    lease.asked()
    clock[0] += 1
    lease.granted(2.0)
    assert lease.left_s == 5.0
    lease.asked()
    clock[0] += 4
    assert lease.left_s == 1.0, "nothing was answered meanwhile"
    lease.answered()
    assert lease.left_s == 2.0
    lease.check()
    clock[0] += 2
    with pytest.raises(TimeoutError):
        lease.check()


def test_answers_come_in_order_and_those_to_nothing_are_none(clock: list[float]) -> None:
    lease = Lease()
    lease.granted(2.0)
    lease.asked()
    clock[0] += 3
    lease.asked()
    lease.answered()
    assert lease.left_s == 3.0, "the first was answered: it is three seconds old"
    lease.answered()
    assert lease.left_s == 6.0
    clock[0] += 5
    lease.answered()
    assert lease.left_s == 1.0


def test_a_process_that_was_stopped_has_lost_it_whatever_it_reads_then(clock: list[float]) -> None:
    """The answers wait in the socket; they are to heartbeats that were sent before the stop."""
    lease = Lease()
    lease.asked()
    lease.granted(2.0)
    lease.asked()
    clock[0] += 60
    lease.answered()
    with pytest.raises(TimeoutError):
        lease.check()


def test_the_coordinator_is_more_patient_than_its_hosts(clock: list[float]) -> None:
    settings = Settings()
    lease = Lease()
    lease.asked()
    lease.granted(settings.heartbeat_s)
    assert settings.heartbeat_s < lease.left_s < settings.host_timeout_s

"""A runner that is not sure whether its session is still its own asks before it does something outside."""

from __future__ import annotations

import hashlib
import socket
from pathlib import Path
from typing import Any

import pytest
from host_support import FakeCoordinator, running, tarball
from perdure_proto.v1.journal_pb2 import ENTRY_KIND_ACTIVITY, ENTRY_KIND_STARTED
from perdure_runner import frames
from perdure_runner.child import link as module
from perdure_runner.child.link import TRUST_S, Link
from perdure_runner.host import launch
from perdure_runner.host.config import HostConfig
from perdure_runner.host.lease import Lease
from perdure_server.coordinator.settings import Settings

BUILD = tarball(handlers__py="import os\n\ndef main(event):\n    os.mkdir(event)\n    os.rmdir(event)\n")


class Ended(Lease):
    """The host was stopped so long that it has lost its lease, and does not know that yet."""

    @property
    def left_s(self) -> float:
        return -1.0


def coordinator() -> FakeCoordinator:
    return FakeCoordinator({hashlib.sha256(BUILD).hexdigest(): BUILD}, commits=False)


def begin(asked: FakeCoordinator, folder: Path) -> None:
    asked.start("handlers.py:main", build=hashlib.sha256(BUILD).hexdigest(), event=f'"{folder}"'.encode())


def real(state_dir: Path) -> dict[str, Any]:
    ours = {"timeless_runner": str(Path(__file__).with_name("timeless_runner.py"))}
    return {"main": "timeless_runner:main", "packages": {**launch.packages(HostConfig(state_dir)), **ours}}


async def test_one_that_is_sure_begins_at_once(tmp_path: Path) -> None:
    async with running(tmp_path / "state", coordinator(), **real(tmp_path)) as (_host, asked):
        begin(asked, tmp_path / "made")
        kinds: list[int] = []
        while ENTRY_KIND_ACTIVITY not in kinds:
            kinds += [record.entry.kind for record in (await asked.next("records")).records]
        assert (tmp_path / "made").exists(), "nothing was committed, and it did its first effect"


async def test_one_that_is_not_sure_has_its_attempt_committed_first(tmp_path: Path) -> None:
    async with running(tmp_path / "state", coordinator(), **real(tmp_path)) as (host, asked):
        host.lease = Ended()
        begin(asked, tmp_path / "made")
        first = await asked.next("records")
        assert [record.entry.kind for record in first.records] == [ENTRY_KIND_STARTED]
        assert first.sync, "it waits for the answer"
        assert not (tmp_path / "made").exists()
        asked.commit("s", 1, first.records[-1].no)
        while ENTRY_KIND_ACTIVITY not in [record.entry.kind for record in (await asked.next("records")).records]:
            pass
        assert (tmp_path / "made").exists()


@pytest.fixture(name="clock")
def clock_fixture(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module, "_now", lambda: now[0])
    return now


def test_an_acknowledgement_counts_from_when_its_record_was_sent(clock: list[float]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        link = Link(ours)
        assert not link.sure
        for passes_s, sure in ((TRUST_S - 0.1, True), (TRUST_S + 0.1, False)):
            number = link.record({"kind": 2}, sync=True)
            clock[0] += passes_s
            link.record({"kind": 2}, sync=True)  # younger ones prove nothing before they are acknowledged
            theirs.sendall(frames.encode({"t": "ack", "no": number}))
            link.wait_acked(number)
            assert link.sure is sure
            theirs.sendall(frames.encode({"t": "ack", "no": link.sent}))
            link.wait_acked(link.sent)


def test_it_is_sure_for_no_longer_than_any_coordinator_is_patient(clock: list[float]) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        link = Link(ours)
        link.trust(60.0)
        assert link.sure
        clock[0] += TRUST_S
        assert not link.sure
    assert Settings().host_timeout_s > TRUST_S

"""What a host makes before a session asks for it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

from host_support import BUILD, DIGEST, FakeCoordinator, running, tarball
from perdure_proto.v1 import runner_pb2 as runner

OTHERS = [tarball(handlers__py=f"NUMBER = {number}\n") for number in range(3)]
DIGESTS = [hashlib.sha256(data).hexdigest() for data in OTHERS]
MISSING = "0" * 64


class SlowCoordinator(FakeCoordinator):
    """Gives no blob before it is told to."""

    def __init__(self) -> None:
        super().__init__(dict(zip(DIGESTS, OTHERS, strict=True)) | {DIGEST: BUILD})
        self.asked: list[str] = []
        self.sessions_waited: list[bool] = []  # when it was asked
        self.gives = asyncio.Event()

    async def fetch_blob(self, digest: str) -> AsyncIterator[bytes]:
        self.asked.append(digest)
        self.sessions_waited.append(bool(self.host._preparing))
        self._news.set()
        await self.gives.wait()
        async for chunk in super().fetch_blob(digest):
            yield chunk

    async def until_asked(self, digest: str) -> None:
        async with asyncio.timeout(60):
            while digest not in self.asked:
                self._news.clear()
                await self._news.wait()


def prepare(coordinator: FakeCoordinator, build: str, **fields: str) -> None:
    message = runner.Prepare(deployment_id=f"dep-{build}", build=build, **fields)
    coordinator.host.receive(runner.ToHost(prepare=message))


def answers(coordinator: FakeCoordinator) -> list[str]:
    return [message.prepared.deployment_id for message in coordinator.heard if message.HasField("prepared")]


async def test_the_first_session_is_launched_at_once(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        prepare(coordinator, DIGEST)
        assert await coordinator.next("prepared") == runner.Prepared(deployment_id=f"dep-{DIGEST}")
        assert coordinator.fetched == 1
        coordinator.start("echo:3")
        assert not host._preparing
        assert coordinator.fetched == 1


async def test_what_cannot_be_had_is_told_and_is_no_fault_of_the_host(tmp_path: Path) -> None:
    async with running(tmp_path) as (host, coordinator):
        for build, fields, code, says in (
            (MISSING, {}, "P0212", "no blob"),
            (DIGEST, {"environment": MISSING}, "P0212", "no blob"),
            (DIGEST, {"python": "2.7"}, "P0213", "2.7"),
        ):
            prepare(coordinator, build, **fields)
            prepared = await coordinator.next("prepared")
            assert (prepared.deployment_id, prepared.code) == (f"dep-{build}", code)
            assert says in prepared.message
        assert MISSING not in host._environments_in_use()
        prepare(coordinator, DIGEST)
        assert not (await coordinator.next("prepared")).message


async def test_one_after_the_other_and_the_newest_next(tmp_path: Path) -> None:
    coordinator = SlowCoordinator()
    async with running(tmp_path, coordinator):
        for digest in DIGESTS:
            prepare(coordinator, digest)
        await coordinator.until_asked(DIGESTS[0])
        assert coordinator.asked == DIGESTS[:1]
        coordinator.gives.set()
        for digest in (DIGESTS[0], DIGESTS[2]):
            assert (await coordinator.next("prepared")).deployment_id == f"dep-{digest}"
        assert coordinator.asked == [DIGESTS[0], DIGESTS[2]]


async def test_what_a_session_waits_for_comes_first(tmp_path: Path) -> None:
    coordinator = SlowCoordinator()
    async with running(tmp_path, coordinator):
        coordinator.start("echo:3")
        prepare(coordinator, DIGESTS[0])
        await coordinator.until_asked(DIGEST)
        coordinator.gives.set()
        assert (await coordinator.next("prepared")).message == ""
        assert coordinator.asked == [DIGEST, DIGESTS[0]]
        assert coordinator.sessions_waited == [True, False]


async def test_the_environment_is_in_use_while_it_is_made(tmp_path: Path) -> None:
    coordinator = SlowCoordinator()
    async with running(tmp_path, coordinator) as (host, _):
        prepare(coordinator, DIGEST, environment=MISSING)
        await coordinator.until_asked(MISSING)
        assert MISSING in host._environments_in_use()
        coordinator.gives.set()
        await coordinator.next("prepared")
        assert MISSING not in host._environments_in_use()


async def test_a_host_that_drains_stops_it_and_ends(tmp_path: Path) -> None:
    coordinator = SlowCoordinator()
    async with running(tmp_path, coordinator) as (host, _):
        prepare(coordinator, DIGESTS[0])
        await coordinator.until_asked(DIGESTS[0])
        task = host._ahead._task
        assert task is not None
        host.drain()
        assert host.drained.is_set()
        prepare(coordinator, DIGESTS[1])
        coordinator.gives.set()
        await asyncio.wait((task,))
    assert answers(coordinator) == []
    assert coordinator.asked == DIGESTS[:1]


async def test_what_a_lost_coordinator_asked_for_is_not_begun(tmp_path: Path) -> None:
    coordinator = SlowCoordinator()
    async with running(tmp_path, coordinator) as (host, _):
        prepare(coordinator, DIGESTS[0])
        prepare(coordinator, DIGESTS[1])
        await coordinator.until_asked(DIGESTS[0])
        host.closed("the link is gone")
        coordinator.gives.set()
        await coordinator.next("prepared")
        prepare(coordinator, DIGESTS[2])
        await coordinator.next("prepared")
    assert answers(coordinator) == [f"dep-{digest}" for digest in (DIGESTS[0], DIGESTS[2])]


async def test_a_message_that_it_does_not_know_is_ignored(tmp_path: Path) -> None:
    """So a coordinator may be newer: this has field 111, which is none."""
    async with running(tmp_path) as (host, coordinator):
        host.receive(runner.ToHost.FromString(b"\xfa\x06\x00"))
        coordinator.start("echo:3")
        await coordinator.next("attached")

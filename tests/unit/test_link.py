"""The link at message level: a host behind a fake link that delays, reorders, repeats, drops and cuts.

A session's messages stay in order among themselves, as on a stream; those of different sessions may pass each other.
Whatever is cut off, the coordinator starts its sessions again under the next epoch, and every session ends once.
"""

import asyncio
import collections
import random
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from host_support import BUILD, DIGEST, config
from perdure_proto.v1 import runner_pb2 as runner
from perdure_runner.host.host import Host

SESSIONS = 6
RECORDS = 5


class Weather:
    """The fake link. Deliveries happen one at a time, in an order and with losses that a seed decides."""

    def __init__(self, seed: int, cuts: set[int]) -> None:
        self.random = random.Random(seed)
        self.cuts = cuts  # after so many deliveries
        self.on_cut: Callable[[], None]
        self.queues: dict[tuple[str, str], collections.deque] = collections.defaultdict(collections.deque)
        self.delivered = 0
        self._scheduled = False

    def send(self, way: str, session: str, deliver, message) -> None:
        self.queues[way, session].append((deliver, message))
        self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._deliver)

    def _deliver(self) -> None:
        self._scheduled = False
        waiting = [key for key, queue in self.queues.items() if queue]
        if not waiting:
            return
        deliver, message = self.queues[self.random.choice(waiting)].popleft()
        self.delivered += 1
        deliver(message)
        if self.delivered in self.cuts:
            self.queues.clear()
            self.on_cut()
        self._schedule()


class Coordinator:
    """A small coordinator with a journal in memory: fences by epoch, refuses gaps, starts again what was cut off."""

    def __init__(self, weather: Weather) -> None:
        self.weather = weather
        self.host: Host
        self.epochs = {f"s{number}": 0 for number in range(SESSIONS)}
        self.numbers: dict[str, int] = {}
        self.done: dict[str, int] = {}
        self.stale = 0
        self.finished = asyncio.Event()
        self.connection = 0

    def receive(self, message: runner.FromHost) -> None:
        kind = message.WhichOneof("message")
        body = getattr(message, kind)
        connection = self.connection

        def take(_: object) -> None:
            if connection == self.connection:
                self.take(kind, body)

        self.weather.send("up", getattr(body, "session_id", ""), take, message)

    def take(self, kind: str, body) -> None:
        if kind == "hello":
            for session in self.epochs:
                self.begin(session)
            return
        session, epoch = body.session_id, body.epoch
        if epoch != self.epochs[session] or session in self.done:
            self.stale += 1
            return
        match kind:
            case "records":
                for record in body.records:
                    assert record.no == self.numbers[session] + 1
                    self.numbers[session] = record.no
                committed = runner.Committed(session_id=session, epoch=epoch, no=self.numbers[session])
                self.tell(session, runner.ToHost(committed=committed))
                if self.weather.random.random() < 0.2:  # a repetition, and one that is out of date
                    self.tell(session, runner.ToHost(committed=committed))
                    stale = runner.Stop(session_id=session, epoch=epoch - 1, kind=runner.STOP_KIND_KILL)
                    self.tell(session, runner.ToHost(stop=stale))
            case "done":
                assert body.no == self.numbers[session] + 1
                self.done[session] = epoch
                if len(self.done) == SESSIONS:
                    self.finished.set()
            case "lost":
                self.begin(session)

    def begin(self, session: str) -> None:
        if session in self.done:
            return
        self.epochs[session] += 1
        self.numbers[session] = 0
        identity = {"session_id": session, "epoch": self.epochs[session]}
        start = runner.Start(build=DIGEST, entry_point=f"echo:{RECORDS}", event=b"null", **identity)
        self.tell(session, runner.ToHost(start=start))
        self.tell(session, runner.ToHost(history=runner.HistoryPage(last=True, **identity)))

    def tell(self, session: str, message: runner.ToHost) -> None:
        self.weather.send("down", session, self.host.receive, message)

    def cut(self) -> None:
        """Both ends notice, what was under way is gone, and the host dials again."""
        self.connection += 1
        self.host.closed("cut")
        self.host.hello()

    async def fetch_blob(self, digest: str) -> AsyncIterator[bytes]:
        yield BUILD


@pytest.mark.parametrize("cuts", [set(), {8}, {15, 16, 17}, {30}, {40, 70}, {60}], ids=str)
async def test_every_session_ends_once_whatever_the_weather(tmp_path: Path, cuts: set[int]) -> None:
    weather = Weather(sum(cuts), cuts)
    coordinator = Coordinator(weather)
    weather.on_cut = coordinator.cut
    host = coordinator.host = Host(config(tmp_path, capacity=SESSIONS), coordinator)
    await host.start()
    async with asyncio.timeout(60):
        await coordinator.finished.wait()
    assert set(coordinator.done) == set(coordinator.epochs)
    assert max(coordinator.epochs.values()) == 1 + len(cuts)
    await host.stop()
    assert not host.sessions

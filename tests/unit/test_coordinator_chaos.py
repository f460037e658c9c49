"""Both ends of the stream over a link that loses, delays, reorders and cuts: sessions end as if it had not."""

from __future__ import annotations

import asyncio
import random
import tempfile
from pathlib import Path
from typing import Any

from coordinator_support import FakeHost, Step, World
from hypothesis import given, settings
from hypothesis import strategies as st
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1.runner_pb2 import FromHost, ToHost
from perdure_server.coordinator.hosts import Connection
from perdure_server.coordinator.settings import Settings
from perdure_server.core.state import Rules

PROGRAM: list[Step] = [
    ("activity", "a"),
    ("log", "one"),
    ("signal", "go"),
    ("activity", "b"),
    ("sleep", 0.3),
    ("big", "c"),
    ("signal", "go", "else"),
    ("sleep", 60.0),
    ("log", "two"),
    ("activity", "d"),
]
SESSIONS = ("s", "t", "u")


class BadHost(FakeHost):
    """A stream as bad as `chance` says. What is lost is always followed by a cut, as on a real stream."""

    def __init__(self, world: World, name: str, chance: random.Random, badness: float) -> None:
        self.chance = chance
        self.badness = badness
        self.late: list[tuple[Connection | None, FromHost]] = []
        self.cuts = 0
        super().__init__(world, name)

    def bad(self) -> bool:
        return self.chance.random() < self.badness

    def deliver(self, connection: Connection | None, message: FromHost) -> None:
        if self.bad():
            self.late.append((connection, message))  # overtaken by what comes next
        elif self.bad():
            self.cut()  # it is lost, with all that is late
        else:
            super().deliver(connection, message)
            late, self.late = self.late, []
            for arrived in late:
                super().deliver(*arrived)

    def receive(self, message: ToHost) -> None:
        if message.WhichOneof("message") not in {"welcome", "heartbeat"} and self.bad():
            asyncio.get_running_loop().call_soon(self.cut)  # and the message is lost
        else:
            super().receive(message)

    def join(self) -> None:
        if self.connection is None:
            super().join()

    def cut(self) -> None:
        self.late.clear()
        if self.connection is not None:
            self.cuts += 1
            self.connection.close("cut")
            asyncio.get_running_loop().call_soon(self.join)

    def flush(self) -> None:
        """A message that nothing follows is not late for ever."""
        late, self.late = self.late, []
        for arrived in late:
            FakeHost.deliver(self, *arrived)


@given(st.integers(0, 2**32), st.sampled_from([0.01, 0.05, 0.1]), st.sampled_from([0.0, 1.0]))
@settings(max_examples=12, deadline=None)
def test_whatever_the_link_does_every_session_ends_right(seed: int, badness: float, suspend_after_s: float) -> None:
    asyncio.run(live_through(random.Random(seed), badness, suspend_after_s))


async def live_through(chance: random.Random, badness: float, suspend_after_s: float) -> None:
    rules = Rules(suspend_after_s=suspend_after_s, max_crashes=10**6, backoff_s=0.01, backoff_max_s=0.01)
    with tempfile.TemporaryDirectory() as folder:
        # No sweep comes to the rescue, and no host is silent for too long.
        world = World(Path(folder), PROGRAM, Settings(rules=rules, host_timeout_s=1e9, sweep_s=1e9))
        await world.begin()
        hosts = [BadHost(world, name, chance, badness) for name in ("first", "second")]
        try:
            for session in SESSIONS:
                await world.start(session)
                for number in range(3):
                    name = ("go", "go", "else")[number]
                    payload = str(number).encode()
                    await world.control.signal_session(
                        cpb.SignalSessionRequest(session_id=session, name=name, payload=payload)
                    )
            while not all(world.state(session) == "completed" for session in SESSIONS):
                world.clock.advance(0.1)
                for host in hosts:
                    host.flush()
                await turn(world)
                if chance.random() < badness / 20:
                    await world.restart()
                    for host in hosts:
                        host.join()
            for session in SESSIONS:
                check(world, session)
        finally:
            await world.coordinator.close()
            world.store.close()


async def turn(world: World) -> None:
    """Let the loop and the store do what they have to do."""
    await asyncio.sleep(0)
    states = [world.state(session) for session in SESSIONS]
    assert not {"failed", "stopped", "diverged"} & set(states), states


def check(world: World, session: str) -> None:
    """Each call is in the journal once and whole, in order, and the result is that of an undisturbed run."""
    rows: dict[int, list[Any]] = {}
    for entry in world.journal(session):
        rows.setdefault(entry.ordinal, []).append(entry)
    for ordinal, (kind, *_) in enumerate(PROGRAM, 1):
        kinds = [entry.kind for entry in rows.get(ordinal, [])]
        match kind:
            case "log":
                assert not kinds
            case "activity" | "big":
                assert kinds[-1] == jpb.ENTRY_KIND_ACTIVITY
                assert set(kinds[:-1]) == {jpb.ENTRY_KIND_STARTED}
            case _:
                assert kinds == [jpb.ENTRY_KIND_WAIT, jpb.ENTRY_KIND_RESOLVED]
    taken = [row[-1].resolution.payload.data for row in rows.values() if row[-1].resolution.name]
    assert taken == [b"0", b"1"]
    assert [signal.payload for signal in world.store.signals(session)] == [b"2"]
    logs = [jpb.LogLine.FromString(row.line).text for row in world.store.logs(session)]
    assert logs == ["one", "two"]

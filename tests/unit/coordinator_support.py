"""A coordinator on a store in memory, a clock that is turned by hand, and hosts that only pretend."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from perdure_proto.v1 import control_pb2 as cpb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_proto.v1.runner_pb2 import FromHost, ToHost
from perdure_server.coordinator.control import Control
from perdure_server.coordinator.engine import Coordinator
from perdure_server.coordinator.hosts import Connection
from perdure_server.coordinator.settings import Settings
from perdure_server.core.errors import PerdureError
from perdure_server.store import BlobStore, Build, Mutation, SessionKeys, Store

BUILD = "b" * 64
SECOND_US = 1_000_000
Step = tuple[Any, ...]
"""("activity", name), ("big", name), ("sleep", seconds), ("signal", name...), ("log", text), ("hang",),
("request", operation, body), ("event", seconds or None, subscription...), ("lose", subscription...)"""


class VirtualClock:
    """Time passes only in `advance`; in `set` somebody sets the time of day."""

    def __init__(self) -> None:
        self._now_us = 1_700_000_000 * SECOND_US
        self._set_by_us = 0
        self._calls: list[tuple[int, int, Callable[[], None]]] = []
        self._cancelled: set[int] = set()
        self._numbers = itertools.count()

    def now_us(self) -> int:
        return self._now_us + self._set_by_us

    def running_us(self) -> int:
        return self._now_us

    def set(self, seconds: float) -> None:
        self._set_by_us += int(seconds * SECOND_US)

    def call_at(self, at_us: int, callback: Callable[[], None]) -> Any:
        number = next(self._numbers)
        heapq.heappush(self._calls, (at_us - self._set_by_us, number, callback))
        clock = self

        class Handle:
            def cancel(self) -> None:
                clock._cancelled.add(number)

        return Handle()

    def advance(self, seconds: float) -> None:
        until = self._now_us + int(seconds * SECOND_US)
        while self._calls and self._calls[0][0] <= until:
            at_us, number, callback = heapq.heappop(self._calls)
            self._now_us = max(self._now_us, at_us)
            if number not in self._cancelled:
                callback()
        self._now_us = until


@dataclass
class FakeRunner:
    """Runs a program as a child half would: replays what it knows, records before each effect, waits for the word."""

    host: FakeHost
    start: rpb.Start
    program: list[Step]
    rows: dict[int, list[jpb.Entry]] = field(default_factory=dict)
    place: int = 0
    no: int = 1
    acknowledged: int = 0
    begun: bool = False
    waiting: bool = False
    dead: bool = False
    logged: int = 0
    outcome: list[Any] = field(default_factory=list)

    @property
    def name(self) -> dict[str, Any]:
        return {"session_id": self.start.session_id, "epoch": self.start.epoch}

    def history(self, page: rpb.HistoryPage) -> None:
        for entry in page.entries:
            self.rows.setdefault(entry.ordinal, []).append(entry)
        if page.last:
            self.host.send(attached=rpb.Attached(pid=4711, **self.name))
            self.advance()

    def stop(self, stop: rpb.Stop) -> None:
        match stop.kind:
            case rpb.STOP_KIND_SUSPEND:
                self.host.send(suspended=rpb.Suspended(**self.name))
            case rpb.STOP_KIND_POLITE:
                self.done(rpb.DONE_STATE_STOPPED)
        self.dead = True

    def resolved(self, entry: jpb.Entry) -> None:
        assert self.waiting, "only who waits is told"
        self.waiting = False
        self.rows.setdefault(entry.ordinal, []).append(entry)
        self.advance()

    def committed(self, no: int) -> None:
        assert no >= self.acknowledged
        self.acknowledged = no
        self.advance()

    def advance(self) -> None:
        while not self.dead and self.place < len(self.program):
            kind, *rest = self.program[self.place]
            if not getattr(self, f"do_{kind}")(*rest):
                return
            self.place += 1
            self.begun = False
        if not self.dead:
            self.done(rpb.DONE_STATE_COMPLETED)

    def do_activity(self, name: str, data: bytes = b"1") -> bool:
        rows = self.rows.get(self.place + 1, [])
        if rows and rows[-1].kind == jpb.ENTRY_KIND_ACTIVITY:
            self.outcome.append(rows[-1].outcome.data)
            return True
        if not self.begun:
            self.begun = True
            unsure = self.acknowledged < self.no - 1
            self.record(jpb.ENTRY_KIND_STARTED, sync=unsure, function=name, attempt=1)
        if self.acknowledged < self.no - 2:
            return False
        self.host.effects[name] += 1
        self.outcome.append(data)
        payload = jpb.Payload(encoding=jpb.ENCODING_JSON, data=data, size=len(data))
        self.record(jpb.ENTRY_KIND_ACTIVITY, sync=True, function=name, attempt=1, outcome=payload)
        return True

    def do_big(self, name: str) -> bool:
        return self.do_activity(name, b'"' + b"x" * 100_000 + b'"')

    def do_sleep(self, seconds: float) -> bool:
        fires = self.host.world.clock.now_us() + int(seconds * SECOND_US)
        return self.do_wait(jpb.Wait(kind=jpb.WAIT_KIND_TIMER, fires_at_us=fires))

    def do_signal(self, *names: str) -> bool:
        return self.do_wait(jpb.Wait(kind=jpb.WAIT_KIND_SIGNAL, names=names))

    def do_request(self, operation: str, body: Any) -> bool:
        data = json.dumps(body).encode()
        payload = jpb.Payload(encoding=jpb.ENCODING_JSON, data=data, size=len(data))
        return self.do_wait(jpb.Wait(kind=jpb.WAIT_KIND_REQUEST, names=[operation]), outcome=payload)

    def do_event(self, seconds: float | None, *subscriptions: str) -> bool:
        fires = 0 if seconds is None else self.host.world.clock.now_us() + int(seconds * SECOND_US)
        return self.do_wait(jpb.Wait(kind=jpb.WAIT_KIND_EVENT, names=subscriptions, fires_at_us=fires))

    def do_lose(self, *subscriptions: str) -> bool:
        """Wait for an event in a task that is cancelled before it gets it."""
        rows = self.rows.setdefault(self.place + 1, [])
        if rows and rows[-1].kind == jpb.ENTRY_KIND_SYSTEM:
            return True
        if not rows or rows[-1].kind != jpb.ENTRY_KIND_RESOLVED:
            return self.do_wait(jpb.Wait(kind=jpb.WAIT_KIND_EVENT, names=subscriptions))
        gone = jpb.Payload(encoding=jpb.ENCODING_PICKLE, data=b"!", size=1)
        self.record(jpb.ENTRY_KIND_SYSTEM, sync=True, outcome=gone, is_error=True)
        return True

    def do_wait(self, wait: jpb.Wait, **more: Any) -> bool:
        rows = self.rows.setdefault(self.place + 1, [])
        if not rows:
            self.record(jpb.ENTRY_KIND_WAIT, sync=True, wait=wait, function="wait", **more)
            if self.host.dies_at_waits:
                self.host.send(leaving=rpb.Leaving())  # what stands for its death: the link breaks after the row
                return False
            rows.append(jpb.Entry())
        if rows[-1].kind == jpb.ENTRY_KIND_RESOLVED:
            how = rows[-1].resolution
            if how.kind == jpb.RESOLUTION_KIND_CANCELLED:
                self.done(rpb.DONE_STATE_STOPPED)
                return False
            self.outcome.append(how.payload.data or jpb.ResolutionKind.Name(how.kind))
            return True
        if not self.waiting:
            self.waiting = True
            waits = [rpb.WaitingFor(ordinal=self.place + 1)]
            self.host.send(waiting=rpb.Waiting(waits=waits, **self.name))
        return False

    def do_log(self, text: str) -> bool:
        line = jpb.LogLine(ordinal=self.place, index=0, text=text, stream=jpb.STREAM_STDOUT)
        if (line.ordinal, line.index) > (self.start.logged_ordinal, self.start.logged_index):
            self.send_record(rpb.Record(no=self.no, log=line), sync=False)
        return True

    def do_hang(self) -> bool:
        return False

    def record(self, kind: jpb.EntryKind.ValueType, sync: bool = False, **fields: Any) -> None:
        entry = jpb.Entry(lane="", ordinal=self.place + 1, kind=kind, **fields)
        self.send_record(rpb.Record(no=self.no, entry=entry), sync)

    def send_record(self, record: rpb.Record, sync: bool) -> None:
        self.no += 1
        self.host.send(records=rpb.Records(records=[record], sync=sync, **self.name))

    def done(self, state: rpb.DoneState.ValueType) -> None:
        self.dead = True
        data = repr(self.outcome).encode()
        result = jpb.Payload(encoding=jpb.ENCODING_JSON, data=data, size=len(data))
        self.host.send(done=rpb.Done(no=self.no, state=state, result=result, **self.name))

    def die(self, reason: str = "killed", code: str = "") -> None:
        self.dead = True
        self.host.send(lost=rpb.Lost(reason=reason, exit_code=-9, code=code, **self.name))


class FakeHost:
    """One host. Its messages are delivered in the next turn of the loop, in order; a subclass may do worse."""

    def __init__(self, world: World, host_id: str = "h1", capacity: int = 100, join: bool = True) -> None:
        self.world = world
        self.host_id = host_id
        self.capacity = capacity
        self.effects: Counter[str] = world.effects
        self.runners: dict[str, FakeRunner] = {}
        self.received: list[str] = []
        self.killed: list[tuple[str, int]] = []
        self.prepares: list[rpb.Prepare] = []
        self.dies_at_waits = False
        """It dies when a runner has sent the row of a wait, before that says that it waits."""
        self.connection: Connection | None = None
        if join:
            self.join()

    def join(self) -> None:
        self.runners.clear()
        self.connection = self.world.coordinator.connect(self)
        hello = rpb.HostHello(protocol_version=1, host_id=self.host_id, capacity=self.capacity, pythons=["3.11"])
        self.connection.receive(FromHost(hello=hello))

    def receive(self, message: ToHost) -> None:
        message = ToHost.FromString(message.SerializeToString())
        kind = message.WhichOneof("message")
        assert kind is not None
        self.received.append(kind)
        body = getattr(message, kind)
        if kind == "start":
            program = self.world.programs.get(body.session_id.partition("~")[0])
            self.runners[body.session_id] = FakeRunner(self, body, program or self.world.program)
        elif kind == "prepare":
            self.prepares.append(body)
        elif kind == "stop" and body.kind == rpb.STOP_KIND_KILL:
            self.killed.append((body.session_id, body.epoch))
            runner = self.runners.get(body.session_id)
            if runner is not None and runner.start.epoch == body.epoch:
                runner.dead = True
        elif kind not in {"welcome", "heartbeat"}:
            runner = self.runners.get(body.session_id)
            if runner is not None and runner.start.epoch == body.epoch and not runner.dead:
                self.tell(runner, kind, body)

    def tell(self, runner: FakeRunner, kind: str, body: Any) -> None:
        match kind:
            case "history":
                runner.history(body)
            case "committed":
                runner.committed(body.no)
            case "resolved":
                runner.resolved(body.entry)
            case "stop":
                runner.stop(body)

    def closed(self, reason: str) -> None:
        self.connection = None
        for runner in self.runners.values():
            runner.dead = True

    def send(self, **message: Any) -> None:
        """Deliver in the next turn, so that nothing depends on being called back at once."""
        connection, copy = self.connection, FromHost.FromString(FromHost(**message).SerializeToString())
        self.world.on_their_way += 1
        asyncio.get_running_loop().call_soon(self._arrived, connection, copy)

    def _arrived(self, connection: Connection | None, message: FromHost) -> None:
        self.world.on_their_way -= 1
        self.deliver(connection, message)

    def deliver(self, connection: Connection | None, message: FromHost) -> None:
        if connection is None or connection.closed:
            return
        if self.dies_at_waits and message.HasField("leaving"):
            self.world.coordinator.disconnect(connection, "it died")
        else:
            connection.receive(message)

    def runner(self, session_id: str) -> FakeRunner:
        return self.runners[session_id]


class World:
    """A coordinator with all that it needs, which can be ended and started again on the same store."""

    def __init__(self, tmp_path: Path, program: list[Step], settings: Settings | None = None) -> None:
        self.clock = VirtualClock()
        self.settings = settings or Settings(host_timeout_s=1e9)  # pretended hosts say nothing while days pass
        self.on_their_way = 0
        """Messages of hosts."""
        self.store = Store.memory()
        self.blobs = BlobStore(tmp_path / "blobs")
        self.keys = SessionKeys.random()
        self.program = program
        self.programs: dict[str, list[Step]] = {}
        self.effects: Counter[str] = Counter()
        self.limits: dict[str, float] = {"log_bytes": 1000, "journal_entries": 50}
        self.coordinator = self._coordinator()

    def _coordinator(self) -> Coordinator:
        self.control: Control
        coordinator = Coordinator(self.store, self.blobs, self.keys, self.settings, self.clock)
        self.control = Control(coordinator)
        return coordinator

    async def begin(self) -> None:
        build = Build(BUILD, 1, 1, [], {"limits": self.limits})
        await self.store.commit(Mutation(lambda transaction: transaction.put_build(build)))
        await self.coordinator.start()

    async def restart(self) -> None:
        """The coordinator dies and a new one takes its place, which finds all that this one has ever written."""
        await self.coordinator.close()
        await self.store.commit(Mutation(lambda _transaction: None))  # after what is being written, as at a real start
        self.coordinator = self._coordinator()
        await self.coordinator.start()

    async def start(self, session_id: str, program: list[Step] | None = None, **fields: Any) -> None:
        if program is not None:
            self.programs[session_id] = program
        await self.control.start_session(
            cpb.StartSessionRequest(session_id=session_id, build_id=BUILD, entry_point="main.py:run", **fields)
        )

    async def session(self, session_id: str) -> cpb.Session:
        return await self.control.get_session(cpb.GetSessionRequest(session_id=session_id))

    def state(self, session_id: str) -> str:
        actor = self.coordinator.actors.get(session_id)
        record = self.store.load_session(session_id)
        if actor is not None and not actor.state.phase.ended:
            return actor.state.phase.value
        return record.state if record else "unknown"

    def suspended(self, session_id: str) -> bool:
        return session_id not in self.coordinator.actors and self.state(session_id) == "waiting"

    def journal(self, session_id: str) -> list[jpb.Entry]:
        return [jpb.Entry.FromString(row) for row in self.store.entries(session_id)]

    def kinds(self, session_id: str) -> str:
        """The kinds of all entries: S(tarted), A(ctivity), M(arker), W(ait), X: resolved."""
        return "".join("?SRAMWXY"[entry.kind] for entry in self.journal(session_id))

    async def until(self, condition: Callable[[], object], *, turning: float = 0.0) -> None:
        """Let things happen until `condition` holds; `turning`: and time pass, so many seconds a turn.

        While anything is under way no time passes: a thread that is slow would take hours, and be given up.
        """
        async with asyncio.timeout(60):
            while not condition():
                if turning and not self.under_way:
                    self.clock.advance(turning)
                await asyncio.sleep(0.0005)

    @property
    def under_way(self) -> bool:
        """Is something to happen by itself: a write, a task of the coordinator, a message of a host?"""
        group = self.store._group
        writes = group is not None and (group._arrived or group._writing)
        return bool(writes or self.coordinator._tasks or self.on_their_way)

    async def settled(self) -> None:
        """Let everything happen that does without time."""
        turns = 0
        async with asyncio.timeout(60):
            while turns < 3:  # what a turn of the loop leaves for the next one cannot be seen
                await asyncio.sleep(0.0005)
                turns = 0 if self.under_way else turns + 1

    async def completed(self, session_id: str, *, turning: float = 0.0) -> cpb.Session:
        """The session when it has ended: its actor has gone as well, for the store knows before the loop is told."""
        ends = {"completed", "failed", "stopped"}
        await self.until(
            lambda: session_id not in self.coordinator.actors and self.state(session_id) in ends, turning=turning
        )
        return await self.session(session_id)


@contextmanager
def refused(code: str) -> Iterator[None]:
    """The block must raise `PerdureError` of this code."""
    with pytest.raises(PerdureError) as caught:
        yield
    assert caught.value.code == code

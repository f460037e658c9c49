"""A coordinator's end of the wire: each question has an answer, unless the coordinator ends before it has one."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Coroutine
from types import SimpleNamespace
from typing import Any

import pytest
from perdure_server.core.errors import PerdureError
from perdure_server.core.incoming import Accepted, Incoming
from perdure_server.web import behind, wire
from perdure_server.web.behind import GatewayEnd
from wire_support import event


class Engine:
    """As much of a coordinator as its end asks; `accept` does what the event's data says."""

    def __init__(self) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self.settings = SimpleNamespace(event_bytes=1000)
        self.dispatcher = SimpleNamespace(accept=self.accept, live=SimpleNamespace(projects=list, of=self.of))
        self.store = SimpleNamespace(projects=lambda: ["idle"])
        self.garbage = SimpleNamespace(busy=asyncio.Lock())
        self.receivers_changed: Any = None
        self.taken: list[str] = []

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.create_task(work))

    async def of(self, project: str) -> object:
        return object() if project == "p" else None

    async def accept(self, incoming: Incoming) -> Accepted:
        match incoming.data:
            case b"refuse":
                raise PerdureError("P0614", "no room")
            case b"fault":
                raise KeyError("a fault of ours")
            case b"wait":
                await asyncio.Event().wait()
        self.taken.append(incoming.project)
        return Accepted(incoming.event_id, 1, new=True)


class Asker:
    """The gateway's end."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.end = GatewayEnd(self.engine)  # type: ignore[arg-type]
        self.told: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.wire = wire.Wire(lambda header, _: self.told.put_nowait(header), lambda: None)

    async def ask(self, number: int, incoming: Incoming) -> None:
        self.wire.say(wire.event_header(incoming) | {"id": number}, incoming.data)

    async def next(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.told.get(), 30)


@pytest.fixture(name="asker")
async def asker_fixture() -> AsyncIterator[Asker]:
    asker = Asker()
    ours, theirs = socket.socketpair()
    await asker.wire.open(ours)
    await asker.end.open(theirs.detach())
    assert (await asker.next())["t"] == "here"
    yield asker
    asker.end.close()
    asker.wire.close()


async def test_a_refusal_and_a_fault_of_ours_are_answers(asker: Asker) -> None:
    """The fault is for who looks after the coordinator's tasks: it is not swallowed here."""
    for number, data in enumerate(("refuse", "fault", "take")):
        await asker.ask(number, event(data, event_id="e"))
    told = {header["id"]: header for header in [await asker.next() for _ in range(3)]}
    assert [told[0]["code"], told[1]["code"], told[2]["t"]] == ["P0614", "P0703", "taken"]
    faults = [task.exception() for task in asker.engine.tasks]
    assert [type(each) for each in faults] == [type(None), KeyError, type(None)]


async def test_what_a_coordinator_leaves_when_it_ends_is_not_refused(asker: Asker) -> None:
    """The next one is asked."""
    await asker.ask(1, event("wait", event_id="e"))
    while not asker.engine.tasks:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0)
    asker.engine.tasks[0].cancel()
    await asyncio.wait(asker.engine.tasks)
    await asker.ask(2, event("take", event_id="f"))
    assert (await asker.next())["id"] == 2


async def test_what_was_promised_for_a_project_that_is_gone_is_dropped(
    asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And told of once; one that only has no deployment gets it."""
    said: list[str] = []
    monkeypatch.setattr(behind.log, "warning", lambda text, *values: said.append(text % values))
    for number, project in enumerate(("gone", "gone", "idle", "p")):
        await asker.ask(number, event("take", project, event_id=f"e{number}", promised=True))
    told = sorted([await asker.next() for _ in range(4)], key=lambda header: header["id"])
    assert [(header["t"], header["new"]) for header in told] == [("taken", False)] * 2 + [("taken", True)] * 2
    assert sorted(asker.engine.taken) == ["idle", "p"]
    assert said == ["events of gone in the gateway's inbox are dropped: the project was deleted"]

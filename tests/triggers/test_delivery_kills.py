"""Webhooks for listeners and for new sessions, while coordinator and runners are killed: each once, and in order."""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import grpc
import pytest
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import control_pb2_grpc
from perdure_server.store import EventRow, Store

sys.path.append(str(Path(__file__).parents[2]))

from bench.place import PERDURE
from bench.webhooks import PROJECT, Sender, Told, served

WEBHOOKS: Final = int(os.environ.get("PERDURE_TEST_WEBHOOKS", "1500"))
SEED: Final = int(os.environ.get("PERDURE_TEST_SEED") or random.SystemRandom().getrandbits(32))
"""Of the webhooks during which something is killed. Which runner that is, is drawn from those that there are."""
KILLS: Final = ("coordinator", "runner", "runner") * 3
EVERY: Final = 25
"""One webhook of so many starts a session, too."""

PATIENCE_S: Final = 240
AT_ONCE: Final = 16
MANIFEST: Final = f"""
triggers:
  in: {{webhook: {{path: in, dedup_header: X-Id}}, filter: data.body.json.n % {EVERY} == 0, call: main.py:arrived}}
"""
CODE: Final = """
import perdure

FILTERS = {"all": "", "even": "data.body.json.n % 2 == 0", "third": "data.body.json.n % 3 == 0"}


def listen(event):
    wanted = [perdure.subscribe("in", FILTERS[name]) for name in event["names"]]
    perdure.status("listens")
    seen = []
    while len(seen) < event["count"]:
        came = perdure.next_event(wanted, timeout=120)
        if came is None:
            break
        seen.append(came.body.json.n)
    more = perdure.next_event(wanted, timeout=0.5)
    return {"seen": seen, "more": more and more.body.json.n}


def arrived(event):
    return event.data.body.json.n
"""


def meant(numbers: list[int], names: list[str]) -> list[int]:
    """What a listener gets, by the numbers of all events in their order; twice, what two of its subscriptions want."""
    wants = {"all": lambda _: True, "even": lambda n: n % 2 == 0, "third": lambda n: n % 3 == 0}
    return [n for n in numbers for name in names if wants[name](n)]


def events(home: Path) -> list[EventRow]:
    store = Store.open(home, read_only=True)
    try:
        return store.events_after(PROJECT, "in", 0, 10 * WEBHOOKS)
    finally:
        store.close()


@asynccontextmanager
async def control(home: Path) -> AsyncIterator[Any]:
    """A client by the home's own socket, which the next coordinator has, too."""
    async with grpc.aio.insecure_channel(f"unix:{home / 'run' / 'grpc.sock'}") as channel:
        yield control_pb2_grpc.ControlStub(channel)


async def until_ended(stub: Any, session_id: str) -> pb.Session:
    while True:
        with suppress(grpc.aio.AioRpcError):  # it is away at the moment
            session = await stub.GetSession(pb.GetSessionRequest(session_id=session_id), timeout=5)
            if session.ended_at:
                return session
        await asyncio.sleep(0.2)


async def strike(what: str, stub: Any, server: Any, dice: random.Random) -> None:
    """Kill the coordinator, or, as soon as there is one, any process that runs a session."""
    if what == "coordinator":
        server.kill()  # its gateway starts the next one
        await server.ready()
        return
    while True:
        with suppress(grpc.aio.AioRpcError, ProcessLookupError):  # no coordinator; no process any more
            found = await stub.ListSessions(pb.ListSessionsRequest(project=PROJECT, limit=200), timeout=5)
            if runners := [session.runner_pid for session in found.sessions if session.runner_pid]:
                os.kill(dice.choice(runners), signal.SIGKILL)
                return
        await asyncio.sleep(0.02)


@pytest.mark.slow
async def test_each_event_reaches_each_subscription_once_and_starts_one_session(tmp_path: Path) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    (project / "perdure.yaml").write_text(MANIFEST)
    (project / "main.py").write_text(CODE)
    print(f"PERDURE_TEST_SEED={SEED} draws the same kills")  # told where the test fails
    dice = random.Random(SEED)
    listeners = {"a": ["all"], "b": ["even"], "c": ["third", "even"]}
    told = [Told(0.0) for _ in range(WEBHOOKS)]
    with served(home, tmp_path / "log", whole=False) as server:
        await server.ready()
        deploy = [*PERDURE, "deploy", str(project), "--project", PROJECT, "--home", str(home)]
        await asyncio.to_thread(subprocess.run, deploy, check=True, capture_output=True)
        async with asyncio.timeout(PATIENCE_S), control(home) as stub:
            for name, wanted in listeners.items():
                event = {"names": wanted, "count": len(meant(list(range(WEBHOOKS)), wanted))}
                request = pb.StartSessionRequest(
                    session_id=name, project=PROJECT, entry_point="main.py:listen", event=json.dumps(event).encode()
                )
                await stub.StartSession(request, timeout=PATIENCE_S, wait_for_ready=True)
            while not all([(await stub.GetSession(pb.GetSessionRequest(session_id=n))).status for n in listeners]):
                await asyncio.sleep(0.05)
            sender, room = Sender(server, "run"), asyncio.Semaphore(AT_ONCE)

            async def send(number: int) -> None:
                async with room:
                    await sender.send(number, told[number])

            cuts = sorted(dice.sample(range(1, WEBHOOKS), len(KILLS)))
            print("kills before webhooks", dict(zip(cuts, KILLS, strict=True)))
            for what, begin, end in zip([*KILLS, ""], [0, *cuts], [*cuts, WEBHOOKS], strict=True):
                async with asyncio.TaskGroup() as group:
                    for number in range(begin, end):
                        group.create_task(send(number))
                    if what:
                        group.create_task(strike(what, stub, server, dice))
            sender.close()
            ended = {name: await until_ended(stub, name) for name in listeners}
            for state in ("pending", "started"):
                while (await stub.ListEvents(pb.ListEventsRequest(project=PROJECT, state=state), timeout=30)).events:
                    await asyncio.sleep(0.2)
    rows = events(home)
    assert sorted(row.event_id for row in rows) == sorted(each.event_id for each in told)
    numbers = [json.loads(row.data)["body"]["json"]["n"] for row in rows]
    assert sorted(numbers) == list(range(WEBHOOKS)), "no webhook is two events"
    for name, wanted in listeners.items():
        got = json.loads(ended[name].result.data)
        assert got == {"seen": meant(numbers, wanted), "more": None}, name
    assert started(home) == Counter(row.event_id for row, n in zip(rows, numbers, strict=True) if n % EVERY == 0)


def started(home: Path) -> Counter[str]:
    """How many sessions of `arrived` each event has; all of them have completed."""
    store = Store.open(home, read_only=True)
    try:
        found = store.list_sessions(PROJECT, [], limit=10 * WEBHOOKS)
    finally:
        store.close()
    assert [record for record in found if record.state != "completed"] == []
    return Counter(record.event_id for record in found if record.event_id)

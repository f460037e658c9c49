"""A stop that crosses a wait on its way: neither side knew of the other's word, and the session ends at once."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from perdure_proto.v1 import runner_pb2 as rpb
from perdure_server.app.engine import Engine
from perdure_server.cli import builds, fetch
from perdure_server.coordinator.hosts import Connection
from perdure_server.core import events as ev

GRACE_S = 600.0
PATIENCE_S = 120.0  # far from the grace's end, and not waited for

PROGRAM = """
import asyncio
import threading
import time
import perdure


def tidy(wait):
    try:
        wait()
    except perdure.Cancelled as stop:
        print(f"cancelled: {stop}")
        perdure.sleep(0.01)
        print("cleaned up")
        raise


def sleeper(event):
    tidy(lambda: time.sleep(86400))


def listener(event):
    tidy(lambda: perdure.next_signal("never"))


def retrying(event):
    @perdure.activity(retry=perdure.RetryPolicy(max_attempts=3, initial_delay=3600))
    def fails():
        raise OSError("no")

    tidy(fails)


def threaded(event):
    over = threading.Event()
    other = threading.Thread(target=over.wait)
    other.start()
    try:
        tidy(lambda: perdure.next_signal("never"))
    finally:
        over.set()
        other.join()


def tasks(event):
    async def main():
        await asyncio.gather(perdure.anext_signal("never"), perdure.anext_signal("nor this"))

    tidy(lambda: asyncio.run(main()))
"""


@pytest.mark.parametrize("handler", ["sleeper", "listener", "retrying", "threaded", "tasks"])
async def test_a_stop_that_crosses_a_wait_is_heard(tmp_path: Path, handler: str) -> None:
    (tmp_path / "main.py").write_text(PROGRAM)
    async with asyncio.timeout(PATIENCE_S), Engine.in_memory(tmp_path / "scratch") as engine:
        coordinator = engine.coordinator
        receive = coordinator.receive

        def crossing(connection: Connection, message: rpb.FromHost) -> None:
            """The stop is sent just before the coordinator hears of the wait."""
            rows = [record.entry.kind for record in message.records.records]
            if {jpb.ENTRY_KIND_WAIT, jpb.ENTRY_KIND_RETRY} & set(rows):
                coordinator.receive = receive  # type: ignore[method-assign]
                actor = coordinator.actors[message.records.session_id]
                actor.handle(ev.StopRequested("enough", grace_s=GRACE_S))
            receive(connection, message)

        coordinator.receive = crossing  # type: ignore[method-assign]
        build = await builds.send(engine.control, builds.folder(tmp_path, None), build_only=True)
        request = pb.StartSessionRequest(
            project=build.project, build_id=build.build_id, entry_point=f"main.py:{handler}"
        )
        session = await engine.wait_done((await engine.control.start_session(request)).session_id)
        whole = await fetch.whole(engine.control, session.session_id)
        replayed = await engine.control.replay_session(pb.ReplaySessionRequest(session_id=session.session_id))
    assert (session.state, session.error.message) == ("stopped", "enough")
    assert [line.text for line in whole.logs] == ["cancelled: enough", "cleaned up"]
    assert told(replayed) == ("STOPPED", "")


def told(replayed: pb.ReplaySessionResponse) -> tuple[Any, ...]:
    state = rpb.DoneState.Name(replayed.done.state).removeprefix("DONE_STATE_")
    return state, replayed.done.divergence.reason

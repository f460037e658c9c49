"""A served session survives `kill -9` of its runner, its host and its coordinator, twenty times at random moments."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Iterator

import grpc
import pytest
from support.effects import EffectServer
from terminal import Server, Terminal, alive, kill, until

CALLS = 50
KILLS = 20
SLOW_S = 0.04  # each request's time at the server: kills fall before, into and after calls
VICTIMS = ("runner", "host", "coordinator")

HANDLER = f"""
    import requests

    def main(event):
        answers = []
        for number in range({CALLS}):
            answers.append(requests.post(f"{{event['url']}}/{{number}}", data=f"call {{number}}", timeout=60).text)
            print(f"{{number}}: {{answers[-1]}}")
        return answers
"""


class SlowEffects(EffectServer):
    """Remembers the order of requests as well, and takes its time."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[tuple[str, int]] = []

    def count(self, run: str, request: str, key: str | None) -> int:
        times = super().count(run, request, key)
        self.order.append((run, int(request.rpartition("/")[2])))
        time.sleep(SLOW_S)
        return times

    def seen(self, run: str) -> list[int]:
        """The numbers of a run's requests, in the order of their arrival."""
        return [number for by, number in self.order if by == run]


@pytest.fixture(name="effects")
def effects_fixture() -> Iterator[SlowEffects]:
    with SlowEffects() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def until_called(server: Server, session: str, effects: SlowEffects, calls: int) -> None:
    """Wait until that many different calls have reached the outside world."""

    def reached() -> bool:
        if len(set(effects.seen("killed"))) >= calls:
            return True
        found = server.session(session)
        assert not found.ended_at, found
        return False

    until(reached, f"{calls} calls are made")


def strike(server: Server, session: str, victim: str) -> None:
    """Kill it; what does not come back by itself is started again."""
    match victim:
        case "runner":
            kill(until(lambda: living_runner(server, session), "the session has a runner"))
        case "host":
            kill(server.host_pid)
        case "coordinator":
            server.kill()
            server.start()


def living_runner(server: Server, session: str) -> int:
    try:
        pid = server.session(session).runner_pid
    except grpc.RpcError:
        return 0
    return pid if alive(pid) else 0


@pytest.mark.timeout(300)
def test_twenty_kills_repeat_no_completed_call(terminal: Terminal, effects: SlowEffects) -> None:
    chance = random.Random(2)
    moments = sorted(chance.sample(range(1, CALLS - 4), KILLS))
    terminal.write("project/main.py", HANDLER)
    server = terminal.serve()
    server.deploy("project")
    undisturbed = server.begin("main.py:main", {"url": f"{effects.url}/plain"})
    session = server.begin("main.py:main", {"url": f"{effects.url}/killed"})

    before = 0
    for number, moment in enumerate(moments):
        due = max(moment, before + 1)
        until_called(server, session, effects, due)
        time.sleep(chance.uniform(0, SLOW_S))  # a random moment is what is tested
        strike(server, session, VICTIMS[number % len(VICTIMS)])
        before = len(set(effects.seen("killed")))
    assert not server.session(session).ended_at, "the last kill came too late to disturb anything"

    server.until(session, "completed")
    server.until(undisturbed, "completed")
    plain = terminal.run("sessions", "show", undisturbed, "--home", server.home, "--json").document
    killed = terminal.run("sessions", "show", session, "--home", server.home, "--json").document
    assert killed["result"] == plain["result"] == [f"call {number}" for number in range(CALLS)]
    assert killed["prints"] == plain["prints"]

    seen = effects.seen("killed")
    assert seen == sorted(seen), f"a completed call was repeated: {seen}"
    assert set(seen) == set(range(CALLS))
    assert len(seen) <= CALLS + KILLS, Counter(seen).most_common(KILLS)

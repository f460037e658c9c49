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
PATIENCE_S = 120.0
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
    """Remembers the order of requests as well, and takes its time.

    Of the run "killed" it answers only so many calls: however late a kill comes, the session is not at its end.
    """

    def __init__(self) -> None:
        super().__init__()
        self.order: list[tuple[str, int]] = []
        self._answered = 0
        self._more = threading.Condition()

    def count(self, run: str, request: str, key: str | None) -> int:
        times, number = super().count(run, request, key), int(request.rpartition("/")[2])
        self.order.append((run, number))
        time.sleep(SLOW_S)
        if run == "killed":
            with self._more:
                self._more.wait_for(lambda: number < self._answered, PATIENCE_S)
        return times

    def answer(self, calls: int) -> None:
        """So many."""
        with self._more:
            self._answered = calls
            self._more.notify_all()

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
            until(lambda: killed_runner(server, session), "the session's runner is killed")
        case "host":
            kill(server.host_pid)
        case "coordinator":
            server.kill()
            server.start()


def killed_runner(server: Server, session: str) -> bool:
    """Kill the session's runner, if it has one; that of a host that was killed may be dying already."""
    try:
        pid = server.session(session).runner_pid
        if alive(pid):
            kill(pid)
            return True
    except (grpc.RpcError, ProcessLookupError):
        pass
    return False


@pytest.mark.timeout(600)
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
        effects.answer(due)
        until_called(server, session, effects, due)
        time.sleep(chance.uniform(0, SLOW_S))  # a random moment is what is tested
        strike(server, session, VICTIMS[number % len(VICTIMS)])
        before = len(set(effects.seen("killed")))
    assert not server.session(session).ended_at, "the last kill came too late to disturb anything"

    effects.answer(CALLS)
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

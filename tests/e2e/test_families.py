"""A parent and its fifty children, killed at random: every child is made once, and every result arrives once."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from perdure_proto.v1 import control_pb2 as pb
from perdure_proto.v1 import journal_pb2 as jpb
from terminal import PATIENCE_S, Server, Terminal, alive, kill, until

CHILDREN = 50
STEPS = 3
KILLS = 9
ALL_STEPS = CHILDREN * STEPS

PROGRAM = f"""
    import time

    import perdure


    def parent(event):
        children = [perdure.start("main.py:child", number) for number in range({CHILDREN})]
        perdure.status({{"children": len(children)}})
        ended = perdure.wait(children)
        perdure.signal(perdure.start("main.py:listener"), "end", len(ended))
        return [child.value if child.completed else child.error["message"] for child in ended]


    def child(number):
        for step in range({STEPS}):
            time.sleep(0.02)
            perdure.add_values("steps", 1)
        if number % 10 == 7:
            raise ValueError(f"{{number}} is no good")
        return {{"number": number}}


    def listener(event):
        return perdure.next_signal().payload
"""


def steps(server: Server) -> int:
    """How many the children have done, all together."""
    everything = pb.ListValuesRequest(project="p")
    if not server.control.ListValues(everything, timeout=PATIENCE_S, wait_for_ready=True).values:
        return 0
    request = pb.GetValueRequest(project="p", key="steps")
    return int(server.control.GetValue(request, timeout=PATIENCE_S, wait_for_ready=True).value)


def runners(server: Server) -> list[int]:
    """Processes that run a session now."""
    listed = server.control.ListSessions(pb.ListSessionsRequest(project="p", limit=1000), timeout=PATIENCE_S)
    return [session.runner_pid for session in listed.sessions if alive(session.runner_pid)]


def strike(server: Server, chance: random.Random) -> None:
    match chance.choice(("coordinator", "host", "runner", "runner")):
        case "coordinator":
            server.kill()
            server.start()
        case "host":
            kill(server.host_pid)
        case _:
            if found := runners(server):
                kill_if_there(chance.choice(found))


def kill_if_there(pid: int) -> None:
    """A runner may have ended meanwhile."""
    try:
        kill(pid)
    except ProcessLookupError:
        return


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_fifty_children_and_their_parent_survive_kills(terminal: Terminal) -> None:
    chance = random.Random(5)
    terminal.write("project/main.py", PROGRAM)
    server = terminal.serve()
    server.deploy("project")
    parent = server.begin("main.py:parent")
    for moment in sorted(chance.sample(range(1, ALL_STEPS - 10), KILLS)):
        until(lambda moment=moment: steps(server) >= moment or server.session(parent).ended_at, f"{moment} steps")
        strike(server, chance)
    ended = server.until(parent, "completed")

    shown = terminal.run("sessions", "show", parent, "--home", server.home, "--json").document
    expected = [f"{n} is no good" if n % 10 == 7 else {"number": n} for n in range(CHILDREN)]
    assert shown["result"] == expected
    assert shown["status"] == {"children": CHILDREN}
    assert steps(server) == ALL_STEPS
    listed = server.control.ListSessions(pb.ListSessionsRequest(project="p", limit=1000), timeout=PATIENCE_S).sessions
    entries = Counter(session.entry_point for session in listed)
    assert entries == {"main.py:parent": 1, "main.py:child": CHILDREN, "main.py:listener": 1}
    assert {session.parent_id for session in listed} == {"", parent}
    history = server.control.GetHistory(pb.GetHistoryRequest(session_id=parent), timeout=PATIENCE_S)
    heard = [row.resolution.name for row in history if row.resolution.kind == jpb.RESOLUTION_KIND_SIGNALLED]
    assert len(heard) == len(set(heard)) == CHILDREN
    assert ended.entries < 10_000
    (listener,) = (session.session_id for session in listed if session.entry_point == "main.py:listener")
    server.until(listener, "completed")

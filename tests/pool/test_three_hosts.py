"""Three hosts on three machines, sixty sessions: one host is killed, one is stopped, one is cut off and let back.

Every session is inside a call when that happens, because the outside world holds the answer back: so it is known which
call of which session may reach the outside world more than once, and all others must not.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections import Counter

import pytest
from e2e.terminal import PERDURE, Server, Terminal, kill, until
from perdure_proto.v1 import control_pb2 as pb
from pool.held import MANIFEST, PATIENCE_S, handler, outside
from pool.network import Machine, machines, obstacle

SESSIONS = 60
CALLS = 8


def held(run: str) -> int:
    """Which call of a session is held back: there is something before each, and something after."""
    return 1 + int(run) % (CALLS - 2)


def holds(run: str, number: int) -> bool:
    return number == held(run)


def join(terminal: Terminal, server: Server, machine: Machine) -> subprocess.Popen[str]:
    """A host on that machine, with the machine's name, in the pool of the server."""
    token = server.control.InviteHost(pb.InviteHostRequest(), timeout=PATIENCE_S).token
    command = [*machine.command, PERDURE, "host", "--join", token, "--name", machine.name]
    with (terminal.folder / f"{machine.name}.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--state-dir", str(terminal.folder / machine.name)],
            cwd=terminal.folder,
            env=terminal.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            text=True,
        )
    terminal.children.append(process)
    return process


def present(server: Server) -> set[str]:
    return {host.host_id for host in server.control.ListHosts(pb.ListHostsRequest(), timeout=PATIENCE_S).hosts}


def places(server: Server, sessions: list[str]) -> Counter[str]:
    """How many of the sessions are on which host."""
    return Counter(server.session(session).host_id for session in sessions)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_one_is_killed_one_is_stopped_one_is_cut_off_and_let_back(terminal: Terminal) -> None:
    if why := obstacle():
        pytest.skip(why)
    terminal.write("project/perdure.yaml", MANIFEST)
    terminal.write("project/main.py", handler(CALLS))
    with machines(3) as (here, (first, second, third)), outside(holds, here) as world:
        server = terminal.serve("home", "--grpc", f"{here}:0", "--tls-name", here, "--runner", "none")
        hosts = {machine.name: join(terminal, server, machine) for machine in (first, second, third)}
        until(lambda: present(server) == hosts.keys(), "all hosts have joined", PATIENCE_S)
        terminal.run("deploy", "project", "--project", "p", "--home", server.home)
        sessions = [server.begin("main.py:main", {"url": f"{world.url}/{n}"}) for n in range(SESSIONS)]
        inside = {(str(n), held(str(n))) for n in range(SESSIONS)}
        until(lambda: inside <= set(world.order), "every session is inside a call", PATIENCE_S)
        before = places(server, sessions)
        assert before.keys() == hosts.keys(), f"every host has some: {before}"

        kill(hosts[first.name].pid)
        os.kill(hosts[second.name].pid, signal.SIGSTOP)
        third.cut()
        until(lambda: not present(server), "the coordinator has given all three up", PATIENCE_S)
        world.free.set()  # runners of the stopped host live, and get their answers
        os.kill(hosts[second.name].pid, signal.SIGCONT)
        third.mend()
        until(lambda: present(server) == {second.name, third.name}, "two hosts are back", PATIENCE_S)
        for session in sessions:
            server.until(session, "completed")

        for n, session in enumerate(sessions):
            seen = world.seen(str(n))
            assert seen == sorted(seen), f"session {n}: a completed call was repeated: {seen}"
            assert set(seen) == set(range(CALLS))
            repeated = {number for number, times in Counter(seen).items() if times > 1}
            assert repeated <= {held(str(n))}, f"session {n}: only what was in flight may be repeated: {seen}"
            ran = server.session(session)
            assert json.loads(ran.result.data) == [str(number) for number in range(CALLS)]
            assert ran.epoch >= 2, "it has moved"
        server.stop()

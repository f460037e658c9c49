"""A host is stopped while its runner is between two calls, with everything acknowledged that it has done."""

from __future__ import annotations

import os
import signal
import time

import pytest
from e2e.terminal import Terminal, alive, descendants, until
from perdure_runner.child.link import TRUST_S
from pool.held import MANIFEST, PATIENCE_S, outside
from pool.hosts import attach, states

HANDLER = """
    from urllib.request import urlopen

    import perdure

    @perdure.activity
    def call(url):
        with urlopen(url, timeout=60) as answer:
            return answer.read().decode()

    def main(event):
        first = call(event["url"] + "/0")
        with perdure.inhibit_activities():
            urlopen(event["gate"], timeout=300).close()
        return [first, call(event["url"] + "/1")]
    """


@pytest.mark.slow
def test_a_runner_that_nobody_watches_begins_nothing_new(terminal: Terminal) -> None:
    """It would come to its second call long before the session has moved; that call belongs to the next runner."""
    terminal.write("project/perdure.yaml", MANIFEST)
    terminal.write("project/main.py", HANDLER)
    server = terminal.serve("home", "--runner", "none")
    server.deploy("project")
    first = attach(terminal, server, "first")
    with outside(lambda run, _number: run == "gate") as world:
        session = server.begin("main.py:main", {"url": f"{world.url}/s", "gate": f"{world.url}/gate/0"})
        until(lambda: world.seen("gate"), "the first call is over")
        until(lambda: server.session(session).entries == 2, "it is recorded")
        runners = descendants(first.pid)
        assert server.session(session).runner_pid in runners
        os.kill(first.pid, signal.SIGSTOP)
        time.sleep(TRUST_S + 1)  # for so long a runner trusts a host of which it hears nothing
        world.free.set()
        attach(terminal, server, "second")
        until(lambda: world.seen("s") == [0, 1], "the second call is made", PATIENCE_S)
        assert server.until(session, "completed").epoch == 2
        assert server.session(session).entries == 4
        os.kill(first.pid, signal.SIGCONT)
        until(lambda: states(server) == {"first": "ready", "second": "ready"}, "it is back", PATIENCE_S)
        until(lambda: not any(alive(pid) for pid in runners if pid not in descendants(first.pid)), "its runner is dead")
        assert world.seen("s") == [0, 1], "once each"
        first.send_signal(signal.SIGTERM)
        assert first.wait(PATIENCE_S) == 0

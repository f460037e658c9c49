"""User code that forks by itself: the new process is no part of the session."""

from __future__ import annotations

from terminal import Terminal

FORKS = """\
import os
import time

def main(event):
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        print("not of the session")
        numbers = [time.time() for _ in range(100)]
        os.write(writing, b"%d of them" % len(numbers))
        return "not of the session"
    os.close(writing)
    told = os.read(reading, 100).decode()
    print("of the session")
    return [told, os.waitpid(pid, 0)[1]]
"""


def test_a_forked_process_says_nothing_in_the_place_of_the_session(terminal: Terminal) -> None:
    terminal.write("p/main.py", FORKS)
    session = terminal.run("run", "p/main.py:main", "--json").document
    assert session["state"] == "completed"
    assert session["result"] == ["100 of them", 0]
    assert session["prints"] == ["of the session"]
    assert [call["function"] for call in session["activities"]] == [
        "os.pipe", "os.fork", "os.close", "os.read", "os.waitpid",
    ]  # fmt: skip

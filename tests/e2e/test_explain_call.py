"""Why a call is recorded: asked of the source, of a deployment, and of a session: no code of the project runs."""

from __future__ import annotations

from terminal import Terminal

LOADING = """\
import random
import socket
import threading
import time
import perdure

open("/nonexistent/file/of/nobody")

@perdure.activity
def order(x):
    return x

def main(event):
    order(1)
    random.random()
    threading.Thread(target=order).start()
    event.upper()
"""
RUNS = """\
import random
import time
import perdure

@perdure.activity
def order(x):
    return x

def main(event):
    order(1)
    random.random()
    (order if event else max)(2)
    time.sleep(0.001)
"""


def test_explain_call_says_what_and_why(terminal: Terminal) -> None:
    terminal.write("p/main.py", LOADING)
    said = terminal.run("explain-call", "p/main.py:14", "--dir", "p").out
    assert "main.py:14:5 order(1)" in said
    assert (
        "main.order is an activity: its outcome is recorded, because it is marked @perdure.activity (main.py:10)"
        in said
    )
    (marker,) = terminal.run("explain-call", "main.py:15", "--dir", "p", "--json").document
    assert (marker["function"], marker["what"], marker["loading"]) == ("random.random", "marker", False)


def test_explain_call_of_a_place_that_is_none(terminal: Terminal) -> None:
    terminal.write("p/main.py", LOADING)
    assert "P0110" in terminal.run("explain-call", "other.py:1", "--dir", "p", code=2).err
    terminal.run("explain-call", "main.py", "--dir", "p", code=2)
    assert "no call" in terminal.run("explain-call", "main.py:1", "--dir", "p").err


def test_a_deployment_reports_what_will_be_recorded(terminal: Terminal) -> None:
    terminal.write("p/main.py", LOADING)
    report = terminal.run("deploy", "p", "--json").document["report"]
    assert report["activities"] == {"builtins.open": 1, "main.order": 1}
    assert report["markers"] == {"random.random": 1}
    assert [(site["line"], site["function"]) for site in report["loading"]] == [(7, "builtins.open")]
    assert [site["line"] for site in report["threads"]] == [16]
    assert report["unresolved"] == 1
    assert "records 2 activities: builtins.open, main.order" in terminal.run("deploy", "p").err


def test_a_history_says_why(terminal: Terminal) -> None:
    terminal.write("p/main.py", RUNS)
    terminal.run("run", "p/main.py:main", "--event", "1")
    rows = terminal.run("sessions", "history", "latest", "--why", "--json").documents
    why = {(row["function"], row["line"]): row["why"] for row in rows if row["kind"] != "resolved"}
    assert why["main.order", 10] == "is marked @perdure.activity (main.py:6)"
    assert "as was known when it ran" in why["main.order", 12]
    assert why["time.sleep", 13] == "is answered by perdure"
    assert "WHY" in terminal.run("sessions", "history", "latest", "--why").out

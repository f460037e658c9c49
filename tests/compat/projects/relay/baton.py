"""Passes the baton on: a plain session, in which nothing is recorded."""

import autokitteh
from autokitteh import get_value, next_event, signal, subscribe


def on_baton(event):
    sub = subscribe("board", "data.url.query.pass == 'on'")
    autokitteh.set_value("listening", True)
    passed = next_event(sub, timeout=60)
    signal(get_value("race"), "go", {"from": passed.url.query["by"], "method": passed["method"]})

"""Durable timers: time.sleep, perdure.sleep with seconds and with a timedelta, in a loop."""

import time
from datetime import timedelta

import perdure
from web import get


def main(event):
    started = time.monotonic()
    time.sleep(0.02)
    print(get(event["url"] + "/one"))
    perdure.sleep(0.01)
    perdure.sleep(timedelta(milliseconds=10))
    for i in range(2):
        time.sleep(0.01)
        print(get(f"{event['url']}/loop{i}"))
    return time.monotonic() - started >= 0.06


CASE = {
    "result": True,
    "prints": ["one", "loop0", "loop1"],
    "calls": [
        "marker time.monotonic",
        "timer",
        "activity web.get",
        "timer",
        "timer",
        "timer",
        "activity web.get",
        "timer",
        "activity web.get",
        "marker time.monotonic",
    ],
    "effects": 3,
    "waits": True,
}

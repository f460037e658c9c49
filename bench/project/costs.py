"""What an activity and a marker cost the runner itself, by its own account."""

import sys
import time

import perdure

WARM = 100


@perdure.activity
def small(number, text):
    return {"number": number, "text": text}


def own_ns():
    with perdure.inhibit_activities():
        return sys.modules["bench.runner_session"].own_ns()


def costs(event):
    """Nanoseconds of so many activities, and of so many markers, after the first `WARM` of each."""
    count = event["count"]
    for _ in range(WARM):
        small(time.time(), "some text")
    began = own_ns()
    for number in range(count):
        small(number, "some text")
    between = own_ns()
    for _ in range(count):
        time.time()
    small(count, "what was kept back goes out before it")
    return [between - began, own_ns() - between]

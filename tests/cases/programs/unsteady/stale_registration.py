"""A function that is not deterministic, registered as one that is."""

import os

import perdure
from web import get


def pid():
    with perdure.inhibit_activities():
        return os.getpid()


def main(event):
    get(event["url"] + "/first")
    name = "even" if pid() % 2 else "odd"
    get(f"{event['url']}/{pid()}/{name}")  # differs
    return get(event["url"] + "/last")  # before which the other one is durable: it can be lost with a crash


CASE = {"says": "stale_registration.py:17"}

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
    return get(f"{event['url']}/{pid()}/{name}")  # differs


CASE = {"says": "stale_registration.py:17"}

"""Code that does different things in replay."""

import perdure
from web import get


def main(event):
    if perdure.is_replaying():
        get(event["url"] + "/replayed")  # differs
    get(event["url"] + "/one")
    return get(event["url"] + "/two")


CASE = {"says": "asks_whether_it_replays.py:9"}

"""A file read and written under inhibit_activities: every replay sees another text."""

import perdure
from web import get


def main(event):
    with perdure.inhibit_activities():
        with open(event["dir"] + "/runs", "a+") as stream:
            stream.write("x")
            stream.seek(0)
            runs = len(stream.read())
    get(event["url"] + "/first")
    for _ in range(runs):
        get(event["url"] + "/again")
    get(event["url"] + "/last")  # differs
    return get(event["url"] + "/end")  # before which the other one is durable: it can be lost with a crash


CASE = {"says": "reads_unrecorded.py:"}

"""No signal comes: after the timeout the program goes on with None."""

import perdure
from web import get


def main(event):
    nothing = perdure.next_signal("never", timeout=0.03)
    return [nothing, get(event["url"] + "/after")]


CASE = {
    "plain": False,
    "result": [None, "after"],
    "calls": ["signal", "activity web.get"],
    "effects": 1,
    "waits": True,
}

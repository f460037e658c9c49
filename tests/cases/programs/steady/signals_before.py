"""A signal that was sent before the program waits for it is not lost."""

import perdure
from web import get


def main(event):
    print(get(event["url"] + "/first"))
    signal = perdure.next_signal("go")
    print("signal", signal.name)
    return [signal.payload, get(event["url"] + "/last")]


CASE = {
    "plain": False,
    "signals": [["start", "go", {"x": [1, None]}]],
    "result": [{"x": [1, None]}, "last"],
    "prints": ["first", "signal go"],
    "calls": ["activity web.get", "signal", "activity web.get"],
    "effects": 2,
    "waits": True,
}

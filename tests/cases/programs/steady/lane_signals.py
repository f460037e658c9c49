"""Threads wait for a signal and a timer at the same time."""

import threading

import perdure
from web import get


def main(event):
    url, out = event["url"], {}

    def wait():
        out["signal"] = perdure.next_signal("go").payload

    thread = threading.Thread(target=wait)
    thread.start()
    perdure.sleep(0.1)
    out["after"] = get(url + "/slept")
    thread.join()
    return out


CASE = {
    "result": {"after": "slept", "signal": 7},
    "effects": 1,
    "plain": False,
    "waits": True,
    "signals": [["start", "go", 7]],
}

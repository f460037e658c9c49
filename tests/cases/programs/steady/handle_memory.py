"""A lock that comes out of an activity, and a lost object that is caught."""

import subprocess
import threading

import perdure
import web


@perdure.activity
def make():
    return {"name": "x", "parts": [1, threading.Lock()]}


def main(event):
    lock = make()["parts"][1]
    with lock:
        web.get(event["url"] + "/held")
        held = lock.locked()
    process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        text = process.communicate(b"text")[0]
    except perdure.HandleLost as error:
        text = error.code.encode()
    return [held, lock.locked(), lock.acquire(False), text.decode() in ("text", "P0406"), process.pid > 0]


CASE = {"result": [True, False, True, True, True], "effects": 1, "plain": False}

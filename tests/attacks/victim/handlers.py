"""The sessions that go on beside the attacks: one that must complete, and one that has something to lose."""

import contextlib
import os
import random
import socket
import threading
import time

import perdure

CODE = "CANARY-code-@CODE@"


def go_on(event):
    """A durable session: entry after entry, until it is told to stop. Gives how many rounds it made."""
    rounds = 0
    while perdure.next_signal("stop", timeout=0.2) is None:
        random.random()
        rounds += 1
    return rounds


def hold(event):
    """Secrets in files, sockets and memory, until it is killed."""
    kept = [event["token"], os.environ["TOKEN"]]
    perdure.store["kept"] = event["token"]
    for path in (f"/tmp/{event['name']}", f"/dev/shm/{event['name']}"):
        with contextlib.suppress(OSError), open(path, "w") as file:
            file.write(event["token"])
    for family, address in (
        (socket.AF_INET, ("127.0.0.1", 0)),
        (socket.AF_UNIX, "\0" + event["abstract"]),
        (socket.AF_UNIX, event["path"]),
    ):
        with contextlib.suppress(OSError):
            listener = socket.socket(family)
            listener.bind(address)
            listener.listen()
            if family == socket.AF_INET:
                print("port", listener.getsockname()[1])
            threading.Thread(target=serve, args=(listener, event["token"]), daemon=True).start()
    print("settled")
    while kept:
        time.sleep(0.1)


def serve(listener, token):
    while True:
        peer, _ = listener.accept()
        with peer:
            peer.sendall(token.encode())

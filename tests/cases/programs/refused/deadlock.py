"""All threads wait for each other: plain Python would wait for ever."""

import threading


def main(event):
    lock = threading.Lock()
    lock.acquire()
    thread = threading.Thread(target=lock.acquire)
    thread.start()
    thread.join()


CASE = {"error": "ConcurrencyError", "code": "P0404", "says": "for ever"}

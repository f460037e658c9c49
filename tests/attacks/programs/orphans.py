"""Grandchildren whose parents have ended, in the group of the session."""

import os


def main(event):
    reading, writing = os.pipe()
    for _ in range(5):
        if os.fork() == 0:
            if os.fork() == 0:
                os.execv("/bin/sleep", [f"sleep-{event['mark']}", "300"])
            os._exit(0)
        os.wait()
    os.close(writing)
    os.read(reading, 1)  # nothing more can come once all of them have become another program
    return {"leaked": False, "detail": "whether they live is seen from outside"}

"""A daemon that outlives its session."""

import os


def main(event):
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv("/bin/sleep", [f"sleep-{event['mark']}", "300"])
        os._exit(0)
    os.wait()
    os.close(writing)
    os.read(reading, 1)  # nothing more can come once the daemon has become another program
    return {"leaked": False, "detail": "whether it lives is seen from outside"}

"""A daemon that outlives its session."""

import os


def main(event):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv("/bin/sleep", [f"sleep-{event['mark']}", "60"])
        os._exit(0)
    os.wait()
    return {"leaked": False, "detail": "whether it lives is seen from outside"}

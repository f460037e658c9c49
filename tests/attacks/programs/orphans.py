"""Grandchildren whose parents have ended, in the group of the session."""

import os


def main(event):
    for _ in range(5):
        if os.fork() == 0:
            if os.fork() == 0:
                os.execv("/bin/sleep", [f"sleep-{event['mark']}", "60"])
            os._exit(0)
        os.wait()
    return {"leaked": False, "detail": "whether they live is seen from outside"}

"""A process that was started before a wait is lost with the runner: it says so, and where it was started."""

import subprocess
import time


def main(event):
    process = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    time.sleep(0.4)
    return process.communicate(b"text")[0].decode()


CASE = {"error": "HandleLost", "code": "P0406", "says": "lost_process.py:8", "waits": True}

"""A session that ignores all signals, and a child in a group of its own that does, too."""

import os
import signal
import time


def main(event):
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD}:
        signal.signal(number, signal.SIG_IGN)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.setsid()
        os.execv("/bin/sleep", [f"sleep-{event['mark']}", "300"])
    os.close(writing)
    os.read(reading, 1)  # nothing more can come once the child has become another program
    print("settled")
    while True:
        time.sleep(1)

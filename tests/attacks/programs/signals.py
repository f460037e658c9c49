"""Signals to the host, the coordinator, the zygote, and to processes of others."""

import os
import signal

from probing import verdict


def main(event):
    found = []
    for name, pid in event["pids"].items():
        try:
            os.kill(pid, signal.SIGUSR1 if name == "decoy" else 0)
        except OSError:
            continue
        found.append(name)
    return verdict(found)

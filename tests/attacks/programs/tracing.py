"""ptrace of the host, the coordinator, the zygote, and of processes of others."""

import os

from probing import in_child, libc, verdict

SEIZE = 0x4206  # does not stop its target, and ends with the tracer


def main(event):
    candidates = {*event["pids"].values(), os.getppid(), 1} - {0}
    return verdict(f"process {pid}" for pid in sorted(candidates) if in_child(lambda pid=pid: seizes(pid)))


def seizes(pid):
    return libc.ptrace(SEIZE, pid, 0, 0) == 0

"""The memory of others, by /proc/PID/mem."""

import os

from probing import canaries, content, processes, verdict


def main(event):
    others = {*processes()} - {os.getpid()}
    found = []
    for pid in sorted(others & {*event["pids"].values()} or others):
        try:
            found += reading(pid)
        except OSError:
            continue
    return verdict(found)


def reading(pid):
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        for line in maps:
            if " rw" in line:
                first, last = (int(number, 16) for number in line.split()[0].split("-"))
                memory.seek(first)
                if seen := canaries(memory.read(min(last - first, 8 << 20))):
                    return seen
    return [f"memory of process {pid}, which may do more"] if filtered(pid) < filtered("self") else []


def filtered(pid):
    """How many filters of system calls a process has; what may be written is as good as one's own."""
    lines = content(f"/proc/{pid}/status").splitlines()
    return max((int(line.split()[1]) for line in lines if line.startswith(b"Seccomp:")), default=0)

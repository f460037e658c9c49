"""Leaving the control group, or raising its limits. Opened for writing, never written."""

import os

from probing import may_open, verdict

FILES = ("cgroup.procs", "tasks", "memory.max", "memory.limit_in_bytes", "pids.max", "release_agent", "cgroup.kill")


def main(event):
    found = []
    for folder, folders, names in os.walk("/sys/fs/cgroup"):
        found += [path for name in FILES if name in names and may_open(path := os.path.join(folder, name))]
        if folder.count("/") > 6 or found:
            folders.clear()
    return verdict(found[:10])

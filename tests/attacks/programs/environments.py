"""Environments of other processes, and what one's own has inherited."""

import os

from probing import canaries, content, verdict


def main(event):
    found = canaries(repr(dict(os.environ)).encode())
    for pid in filter(str.isdigit, os.listdir("/proc")):
        found += canaries(content(f"/proc/{pid}/environ"))
    return verdict(set(found))

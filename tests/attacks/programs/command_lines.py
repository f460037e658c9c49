"""What runs on this machine."""

import os

from probing import canaries, content, verdict


def main(event):
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        found += canaries(content(f"/proc/{pid}/cmdline"))
    return verdict(set(found))

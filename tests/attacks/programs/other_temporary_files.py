"""Temporary files and shared memory of other sessions."""

import os

from probing import attempt, canaries, content, verdict


def main(event):
    found = []
    for folder in ("/tmp", "/var/tmp", "/dev/shm"):
        for name in attempt(os.listdir, folder) or ():
            found += canaries(content(f"{folder}/{name}"))
    return verdict(set(found))

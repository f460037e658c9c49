"""A device made by oneself. It is one that harms nobody; any other would do as well."""

import os
import stat

from probing import attempt, content, verdict


def main(event):
    made = []
    for place in ("/tmp", "/dev/shm", "."):
        path = f"{place}/{event['mark']}"
        try:
            os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5))  # as /dev/zero
        except OSError:
            continue
        if content(path, 8) == bytes(8):
            made.append(path)
        attempt(os.unlink, path)
    return verdict(made)

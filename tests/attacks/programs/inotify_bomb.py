"""All watches of files that a user may have (inotify), so that nobody else of the same user gets one."""

import ctypes
import errno
import time

from probing import libc


def main(event):
    made = 0
    while made < 200 and libc.inotify_init1(0) >= 0:
        made += 1
    print("settled")
    time.sleep(60)


def other(event):
    """What another session has of it meanwhile."""
    exhausted = libc.inotify_init1(0) < 0 and ctypes.get_errno() == errno.EMFILE
    return {"leaked": exhausted, "detail": "another session finds none left" if exhausted else ""}
